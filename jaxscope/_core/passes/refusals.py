"""Refusals: the errors of requests that a rule forbids, with the facts that were known."""

from typing import Any

from jaxscope._core.base.describe import shape_text
from jaxscope._core.base.sites import Site
from jaxscope._core.passes.entries import Entry
from jaxscope.errors import (
    CollectionError,
    DtypeMismatchError,
    ShapeMismatchError,
    TemplateError,
    TraceError,
    VariableExistsError,
    VariableNotFoundError,
)

SHARE = "to share it, open the scope with reuse=True or js.AUTO_REUSE; for a new one, use another name"


def exists(
    entry: Entry, made: str, first: Site, again: Site, scope: str, why: str, fix: str
) -> VariableExistsError:
    """Return the error for a name that is taken."""
    # Of one line that ran twice, the lines that called it say more.
    callers = (first.called, again.called)
    if callers[0] == callers[1] or str(first) != str(again):
        callers = ("", "")
    return VariableExistsError(
        f"variable {entry.name!r} already exists, and {why}",
        first=f"{made}{callers[0]}",
        again=f"{again}{callers[1]}",
        scope=scope,
        fix=fix,
    )


def missing(name: str, site: Site, scope: str, near: str, *, given: bool) -> VariableNotFoundError:
    """Return the error for a name that nobody made, in a scope that makes none."""
    fix = "make it before, in a scope without reuse=True; or share and make with reuse=js.AUTO_REUSE"
    if given:
        fix += "\n(a given value does not make it: each call asks for it first in a scope that may)"
    return VariableNotFoundError(
        f"variable {name!r} does not exist, and this scope makes none",
        at=site,
        scope=scope,
        near=near,
        fix=fix,
    )


def other_shape(entry: Entry, made: str, shape: Any, again: Site, scope: str) -> ShapeMismatchError:
    """Return the error for a variable that exists with another shape."""
    return ShapeMismatchError(
        f"variable {entry.name!r} exists with another shape",
        first=made,
        again=f"{shape_text(shape)}  {again}",
        scope=scope,
        fix="ask for the shape that it has, or use another name",
    )


def other_dtype(entry: Entry, made: str, dtype: Any, again: Site, scope: str) -> DtypeMismatchError:
    """Return the error for a variable that exists with another dtype."""
    return DtypeMismatchError(
        f"variable {entry.name!r} exists with another dtype",
        first=made,
        again=f"{dtype}  {again}",
        scope=scope,
        fix="ask for the dtype that it has, leave out dtype=, or use another name",
    )


def conflict(entry: Entry, scope: str) -> CollectionError:
    """Return the error for a variable that is not trainable, in the collection of those that are (R45)."""
    return CollectionError(
        f"variable {entry.name!r} is not trainable, and is put in 'trainable_variables'",
        at=entry.site,
        scope=scope,
        fix="leave out that collection, or pass trainable=True",
    )


def frozen(entry: Entry, scope: str, near: str) -> TemplateError:
    """Return the error for a variable that a template's later call would make (R51)."""
    return TemplateError(
        f"a template's later call would make variable {entry.name!r}",
        at=entry.site,
        scope=scope,
        near=near,
        fix="make all variables in the template's first call; only its later calls share them",
    )


def set_outside(name: str, transform: str) -> str:
    """Return what to write where a transform would lose a write."""
    fix = f"return the new value from the function under {transform}, and set the variable outside it"
    if transform != "jax.shard_map":
        return fix
    return f"""{fix}.
If it is the same on all devices (jax.lax.pmean makes it so), its out_specs is P():
    y, new = jax.shard_map(f, mesh=mesh, in_specs=..., out_specs=(..., P()))(x)
    js.set_variable(full_name={name!r}, value=new)
or let jax.shard_map stand around the whole call of net.apply_with_state"""


def computed_in_trace(entry: Entry, scope: str) -> TraceError:
    """Return the error for an initial value that cannot leave the inner trace it is computed in."""
    return TraceError(
        f"the initial value of {entry.name!r} is computed inside a JAX transform",
        code="initial_value_in_trace",
        at=entry.site,
        scope=scope,
        fix=(
            "pass a function (key, shape, dtype) -> array, or a NumPy array, as initializer "
            "(jnp.zeros(3) is\ncomputed, too); "
            if entry.by_get
            else "pass a NumPy array; "
        )
        + "for a value that depends on the data, make the variable outside the transform",
    )
