"""Slots: variables beside a variable, by TensorFlow's names: `w/Adam`, `w/Adam_1`."""

from typing import Any

import jaxscope as js
from jaxscope.tf1.ops.variables.finding import found_name
from jaxscope.tf1.ops.variables.variable import Variable, apart, object_of

__all__ = ["new_slot"]


def new_slot(
    primary: Any,
    kind: str,
    initial: Any = js.initializers.zeros,
    shape: tuple[int, ...] | None = None,
    within: str = "",
) -> Variable:
    """Return a new variable `PRIMARY/KIND` in the current scope, numbered where that is taken.

    Args:
        primary: What it stands beside, in whose dtype it is.
        kind: The last part of its name.
        initial: A value, or an initializer of `js`.
        shape: The shape that an initializer makes; the primary's if left out.
        within: The name scope of the primary, where its name has it not.
    """
    scope = js.get_variable_scope().name
    name = f"{within}{primary.op.name}/{kind}"
    # Whatever the scope's reuse, a slot is new.
    with js.name_scope(f"{scope}/" if scope else None):
        if callable(initial):
            sizes = tuple(primary.get_shape().as_list()) if shape is None else shape
            array = js.Variable(initial, False, name=name, dtype=primary.dtype.dtype, shape=sizes)
        else:
            array = js.Variable(apart(initial), False, name=name)
        return object_of(array, found_name(array, name), trainable=False)
