"""Slots: variables beside a variable, by TensorFlow's names: `w/Adam`, `w/Adam_1`."""

from typing import Any

import jaxscope as js
from jaxscope.tf1.ops.variables.finding import found_name
from jaxscope.tf1.ops.variables.variable import Variable, apart

__all__ = ["new_slot"]


def new_slot(primary: Any, kind: str, initial: Any = None, *, zeros: bool = False) -> Variable:
    """Return a new variable `PRIMARY/KIND` in the current scope, numbered where that is taken.

    Args:
        primary: What it stands beside.
        kind: The last part of its name.
        initial: A value, or an initializer of `js`.
        zeros: Whether it begins with zeros.
    """
    scope = js.get_variable_scope().name
    shape = tuple(primary.get_shape().as_list())
    dtype = primary.dtype.dtype
    # Whatever the scope's reuse, a slot is new.
    with js.name_scope(f"{scope}/" if scope else None):
        start = js.initializers.zeros() if zeros else initial
        made: Variable = object.__new__(Variable)
        name = f"{primary.op.name}/{kind}"
        if callable(start):
            array = js.Variable(start, False, name=name, dtype=dtype, shape=shape)
        else:
            array = js.Variable(apart(start), False, name=name)
        made._begin(array, found_name(array, name), trainable=False)
    return made
