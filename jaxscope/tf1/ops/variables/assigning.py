"""`tf.assign` and its like: state, written at once, in the order of the program."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.variables.variable import Variable, written

__all__ = ["assign", "assign_add", "assign_sub"]


def _variable(ref: Any) -> Variable:
    if not isinstance(ref, Variable):
        raise TensorTypeError(f"only a tf.Variable is assigned to, not {ref!r}", code="not_a_variable")
    return ref


@export("assign")
def assign(
    ref: Any, value: Any, validate_shape: Any = None, use_locking: Any = None, name: str | None = None
) -> Tensor:
    """Give a variable a value, at once, and return that.

    Args:
        ref: The variable.
        value: What can be a tensor, of its dtype and shape.
        validate_shape: Without meaning here: a variable keeps its shape.
        use_locking: Without meaning here.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is no variable (`not_a_variable`).
        TensorValueError: If the value has another shape or dtype (`shapes_disagree`, `tensor_dtype`).
        StateError: Where `js.set_variable` refuses. The value of a trainable variable ends with the pass,
            which is said by a warning, unless `tf1.train_step` keeps it.

    Example:
        >>> @js.transform
        ... def net():
        ...     n = js.tf1.get_variable("n", [], "int32", trainable=False)
        ...     assign(n, n + 1)
        ...     return n.value()
        >>> net.apply_with_state({"n": jnp.int32(1)})[1]["n"]
        Array(2, dtype=int32)
    """
    del validate_shape
    return _variable(ref).assign(value, use_locking, name)


@export("assign_add")
def assign_add(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Tensor:
    """Add a value to a variable, at once, and return the sum.

    Args:
        ref: The variable.
        value: What can be a tensor, of its dtype and shape.
        use_locking: Without meaning here.
        name: A name for the result.
    """
    return _variable(ref).assign_add(value, use_locking, name)


@export("assign_sub")
def assign_sub(ref: Any, value: Any, use_locking: Any = None, name: str | None = None) -> Tensor:
    """Subtract a value from a variable, at once, and return the difference.

    Args:
        ref: The variable.
        value: What can be a tensor, of its dtype and shape.
        use_locking: Without meaning here.
        name: A name for the result.
    """
    return _variable(ref).assign_sub(value, use_locking, name)


def _scattering(name: str, kind: str, change: Callable[[Any, Any, Any], Any]) -> None:
    def scatter(
        ref: Any, indices: Any, updates: Any, use_locking: Any = None, name: str | None = None
    ) -> Tensor:
        del use_locking
        variable = _variable(ref)
        rows, new = convert_to_tensor(indices), convert_to_tensor(updates, variable.dtype)
        value = compute(
            kind,
            lambda x, i, u: change(jnp.asarray(x), jnp.asarray(i), jnp.asarray(u)),
            variable.value(),
            rows,
            new,
            known=False,
        )
        return wrap(written(variable, value._held), kind, name)

    scatter.__name__ = scatter.__qualname__ = name
    scatter.__doc__ = f"""Change rows of a variable, at once, and return its value: TensorFlow's {kind}.

    Args:
        ref: The variable.
        indices: Which rows.
        updates: What is put there, a row for each index.
        use_locking: Without meaning here.
        name: A name for the result.
    """
    export(name)(scatter)


_scattering("scatter_update", "ScatterUpdate", lambda x, i, u: x.at[i].set(u))
_scattering("scatter_add", "ScatterAdd", lambda x, i, u: x.at[i].add(u))
_scattering("scatter_sub", "ScatterSub", lambda x, i, u: x.at[i].add(-u))
