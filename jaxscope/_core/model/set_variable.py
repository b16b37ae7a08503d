"""set_variable: a new value for a variable of this pass."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base import names
from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.initializers.base import as_constant, as_numbers
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope._core.passes.entries import Entry
from jaxscope._core.requests.arguments import widens
from jaxscope.errors import (
    DtypeMismatchError,
    InitializerError,
    ShapeMismatchError,
    StateError,
    VariableNotFoundError,
    near,
)

_LEFT_OUT: Any = object()


def set_variable(name: str | None = None, value: Any = _LEFT_OUT, *, full_name: str | None = None) -> None:
    """Give a non-trainable variable a new value.

    Only `net.apply_with_state` returns what was written; later requests in the same call read it.

    Args:
        name: The name that `get_variable` was asked for, in the current scope. Of a `js.Variable`, its full
            name less that of this scope.
        value: The new value, of the variable's shape and dtype.
        full_name: The full name, from whatever scope, in the place of `name`.

    Raises:
        VariableNotFoundError: This pass has not made the name.
        StateError: The variable is trainable, or cannot be written here: in plain `apply`, or inside
            a transform in which JAX would lose the write or run it twice.
        ShapeMismatchError: The value has another shape.
        DtypeMismatchError: The value has another dtype.
        NoPassError: Outside a transformed function.
        TypeError: Not just one of `name` and `full_name` is given, or no value.

    Example:
        >>> @js.transform
        ... def counter():
        ...     with js.variable_scope("a"):
        ...         count = js.get_variable("count", [], "int32", trainable=False)
        ...         js.set_variable("count", count + 1)
        ...     js.set_variable(full_name="a/count", value=js.global_variables()["a/count"] * 10)
        >>> out, state = counter.apply_with_state(counter.init(jax.random.key(0)))
        >>> state["a/count"]
        Array(10, dtype=int32)
    """
    run = current("set_variable")
    if (name is not None and full_name is not None) or value is _LEFT_OUT:
        raise TypeError("js.set_variable takes a name and a value, or full_name= and value=")
    own: Any = name if full_name is None else full_name
    if type(own) is not str:
        names.check_string(own, "variable", here())
    full = own if full_name is not None else run.scopes.current._prefix + own
    entry = _find(run, full, own)
    new = _as_array(run, entry, value)
    if type(value) in (bool, int, float) and widens(new.dtype, entry.value.dtype):
        new = jnp.asarray(as_numbers(value), entry.value.dtype)  # with every digit of it
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
    # A variable has a dtype: its values are not of a weak type.
    run.set(entry, new.astype(new.dtype) if getattr(new, "weak_type", False) else new)


def _find(run: Pass, full: str, own: str) -> Entry:
    books = run.books
    entry = books.find(books.aliases.get(full, full)) or books.find(full)
    if entry is None:
        raise VariableNotFoundError(
            f"variable {full!r} does not exist, so it cannot be set",
            at=here(),
            scope=run.describe_scope(),
            near=near(full, books.entries),
            fix=f"give its full name: js.set_variable(full_name={own!r}, value=...)"
            if own in books.entries
            else "get it first, in this scope: js.get_variable(name, shape, trainable=False)",
        )
    if entry.trainable:
        raise StateError(
            f"variable {full!r} is trainable, and only others can be set",
            code="set_trainable",
            first=run.first(entry),
            again=here(),
            fix="make it with trainable=False, or change it outside: variables.replace({...})",
        )
    return entry


def _as_array(run: Pass, entry: Entry, value: Any) -> Any:
    try:
        return value if isinstance(value, jax.Array) else jnp.array(as_constant(value))
    except InitializerError as problem:
        numbers = isinstance(value, np.ndarray | np.generic | int) and not isinstance(
            value, np.ma.MaskedArray
        )
        what = ", which is no array"
        if numbers:
            what = f", and {str(problem).partition(chr(10))[0]}"
        raise StateError(
            f"variable {entry.name!r} is set to {type(value).__name__}{what}",
            code="set_to_no_array",
            first=run.first(entry),
            again=here(),
            fix="set a value of the variable's shape and dtype",
        ) from None
