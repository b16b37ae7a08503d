"""set_variable: a new value for a variable of this pass."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope._core.base import names
from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.initializers.base import as_constant
from jaxscope._core.passes.running import current
from jaxscope._core.requests.arguments import widens
from jaxscope.errors import (
    DtypeMismatchError,
    InitializerError,
    ShapeMismatchError,
    StateError,
    VariableNotFoundError,
    near,
)


def set_variable(name: str, value: Any) -> None:
    """Give a non-trainable variable of the current scope a new value.

    Only `net.apply_with_state` returns what was written; later requests in the same call read it.

    Args:
        name: The name that `get_variable` made it with, in this scope. Of a `js.Variable`, its full name
            less that of this scope.
        value: The new value, of the variable's shape and dtype.

    Raises:
        VariableNotFoundError: This pass has not made the name.
        StateError: The variable is trainable, or cannot be written here: in plain `apply`, or inside
            a transform in which JAX would lose the write or run it twice.
        ShapeMismatchError: The value has another shape.
        DtypeMismatchError: The value has another dtype.
        NoPassError: Outside a transformed function.

    Example:
        >>> import jax, jaxscope as js
        >>> @js.transform
        ... def counter():
        ...     count = js.get_variable("count", [], "int32", trainable=False)
        ...     js.set_variable("count", count + 1)
        >>> out, state = counter.apply_with_state(counter.init(jax.random.key(0)))
        >>> state["count"]
        Array(1, dtype=int32)
    """
    run = current("set_variable")
    if type(name) is not str:
        names.check_string(name, "variable", here())
    full = run.scope._prefix + name
    entry = run.entries.get(full) or run.settled(full)
    if entry is None:
        raise VariableNotFoundError(
            f"variable {full!r} does not exist, so it cannot be set",
            at=here(),
            scope=run.describe_scope(),
            near=near(full, run.entries),
            fix="get it first, in this scope: js.get_variable(name, shape, trainable=False)",
        )
    if entry.trainable:
        raise StateError(
            f"variable {full!r} is trainable, and only others can be set",
            code="set_trainable",
            first=run.first(entry),
            again=here(),
            fix="make it with trainable=False, or change it outside: variables.replace({...})",
        )
    try:
        new = value if isinstance(value, jax.Array) else jnp.asarray(as_constant(value))
    except InitializerError:
        raise StateError(
            f"variable {full!r} is set to {type(value).__name__}, which is no array",
            code="set_to_no_array",
            first=run.first(entry),
            again=here(),
            fix="set a value of the variable's shape and dtype",
        ) from None
    if isinstance(value, (bool, int, float)) and widens(new.dtype, entry.value.dtype):
        new = new.astype(entry.value.dtype)
    if new.shape != entry.shape:
        raise ShapeMismatchError(
            f"variable {full!r} is set to a value of another shape",
            first=run.first(entry),
            again=f"{describe(new)}  {here()}",
            fix="set a value of the variable's shape",
        )
    if new.dtype != entry.value.dtype:
        raise DtypeMismatchError(
            f"variable {full!r} is set to a value of another dtype",
            first=run.first(entry),
            again=f"{describe(new)}  {here()}",
            fix=f"convert it: value.astype({str(entry.value.dtype)!r})",
        )
    run.write(entry, new)
    run.changed()
