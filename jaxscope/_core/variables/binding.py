"""Binding: given values become the variables of specs, and one error tells all that is wrong with them."""

from collections.abc import Mapping
from typing import Any

from jaxscope._core.base.describe import describe
from jaxscope._core.variables.given import as_given
from jaxscope._core.variables.nesting import way_out
from jaxscope._core.variables.stacks import places_in_stacks, stacked_names, two_places
from jaxscope.errors import DtypeMismatchError, MergeError, ShapeMismatchError, VariablesMismatchError

#: A variable of a given value: where it is in a stack (nothing where it is given alone), and its spec.
Member = tuple[tuple[Any, ...], Any]

_KINDS = ("missing", "extra", "twice", "shape", "dtype", "value")


def bound(specs: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the arrays given for specs, by the names they are given under, and which are not trainable.

    Args:
        specs: Full name -> what has shape, dtype and trainable.
        given: Full name, or the name of a stack of layers -> what `as_given` takes.

    Raises:
        VariablesMismatchError: Names are missing, extra or given twice, or values do not fit.
    """
    problems: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    members: dict[str, list[Member]] = {}
    stacks = stacked_names(given)
    missing: list[str] = []
    twice: set[str] = set()
    for name, spec in specs.items():
        places = places_in_stacks(name, given) if stacks else {}
        if both := two_places(name, places, given):
            problems["twice"].append(f"{name} {both}")
            twice |= {name, *places}
        elif name in given:
            members[name] = [((), spec)]
        elif places:
            (stacked, index), *_ = places.items()
            members.setdefault(stacked, []).append((index, spec))
        else:
            missing.append(name)
    problems["missing"] = [f"{name} {describe(specs[name])}" for name in missing]
    problems["extra"] = [
        _described(name, given) for name in given if name not in members and name not in twice
    ]
    values: dict[str, Any] = {}
    frozen: list[str] = []
    for name, of in members.items():
        try:
            shape, dtype, trainable = _type_of(name, of)
            values[name] = as_given(name, given[name], shape, dtype)
            frozen += [] if trainable else [name]
        except ShapeMismatchError as problem:
            problems["shape"].append(_told(name, problem))
        except DtypeMismatchError as problem:
            if problem.code == "dtype_mismatch":
                problems["dtype"].append(_told(name, problem))
            else:
                problems["value"].append(problem.summary.removeprefix("the given variable "))
        except MergeError as problem:
            problems["value"].append(problem.summary)
    if any(problems.values()):
        raise VariablesMismatchError(
            f"the given variables do not match the {len(specs)} specs",
            **{kind: "\n".join(rows) for kind, rows in problems.items()},
            fix=way_out(given, missing)
            or "rename or convert the given values, or select the specs that they are for",
        )
    return values, frozen


def _told(name: str, problem: ShapeMismatchError | DtypeMismatchError) -> str:
    return f"{name} {problem.facts['given']}, not {problem.facts['asked']}"


def _described(name: str, given: Mapping[str, Any]) -> str:
    """Return the name and type of a value that nobody asked for, and which therefore has to be readable."""
    try:
        return f"{name} {describe(given[name])}"
    except Exception:  # noqa: BLE001 - a mapping may read a file for it, and fail
        return str(name)


def _type_of(name: str, members: list[Member]) -> tuple[tuple[int, ...], Any, bool]:
    """Return shape, dtype and trainability of a value that is given for variables.

    Raises:
        MergeError: These are layers that differ, so that no stack can have all of them.
    """
    first, spec = members[0]
    if len({(other.shape, other.dtype, other.trainable) for _, other in members}) > 1:
        raise MergeError(
            f"{name!r} is a stack of layers that differ in shape, dtype or trainable",
            fix="give these layers one by one",
        )
    own = iter(spec.shape)
    shape = [
        next(own) if isinstance(at, slice) else 1 + max(index[axis] for index, _ in members)
        for axis, at in enumerate(first)
    ]
    return (*shape, *own), spec.dtype, spec.trainable
