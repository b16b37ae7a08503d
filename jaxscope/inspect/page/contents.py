"""Contents: what a page shows, as plain data that becomes JSON."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

import jaxscope as js
from jaxscope.inspect import histograms, statistics
from jaxscope.inspect.diff import Diff
from jaxscope.inspect.leaves import Leaf, is_array, named_dtype, type_text
from jaxscope.inspect.page.columns import coded, front_coded, rounded
from jaxscope.inspect.sharing import Asked
from jaxscope.inspect.statistics import Statistics

_WIDTH = 120  # characters of what people gave
_UNREAD: tuple[Statistics | None, str] = None, ""


def alone(leaves: Sequence[Leaf], *, values: bool) -> dict[str, Any]:
    """Return the contents of a page about one set of variables."""
    return {"names": front_coded([leaf.name for leaf in leaves]), "sides": [_side(leaves, values=values)]}


def compared(
    names: Sequence[str],
    a: Sequence[Leaf],
    b: Sequence[Leaf],
    new: Mapping[str, str],
    found: Diff,
    *,
    values: bool,
) -> dict[str, Any]:
    """Return the contents of a page about two sets.

    Args:
        names: The names of the second, then what only the first has.
        a: The first set.
        b: The second.
        new: What names of the first set became.
        found: In what they differ.
        values: Whether to look at values.
    """
    here = {new[leaf.name]: leaf for leaf in a if leaf.name in new}
    there = {leaf.name: leaf for leaf in b}
    places = {name: at for at, name in enumerate(names)}
    by_name = {row.name: row for row in found.rows}
    rows = [by_name.get(name) for name in names]
    first = [here.get(name) for name in names]
    renamed = [
        leaf.name if leaf and leaf.name != name else "" for leaf, name in zip(first, names, strict=True)
    ]
    renames = [
        {"rule": str(one), "why": one.why, "pairs": [(places[old], places[to]) for old, to in one.pairs]}
        for one in found.renames
    ]
    return {
        "names": front_coded(names),
        "sides": [_side(leaves, values=values) for leaves in (first, [there.get(name) for name in names])],
        "difference": {
            "kinds": coded(row.kinds if row else () for row in rows),
            "compared": coded(
                values and name in here and name in there and _may_be_compared(here[name], there[name])
                for name in names
            ),
            "elements": coded(row.elements if row else None for row in rows),
            "absolute": _limits(row.absolute if row else None for row in rows),
            "relative": _limits(row.relative if row else None for row in rows),
            "note": coded(row.note if row else "" for row in rows),
            "old": coded(renamed),
            "renames": renames,
        },
    }


def _may_be_compared(one: Leaf, other: Leaf) -> bool:
    """Tell whether `diff` looks at more than types."""
    return bool(one.read and other.read) or one.shape is other.shape is None


def of_specs(names: Sequence[str], specs: Mapping[str, js.VariableSpec]) -> dict[str, Any]:
    """Return what specs know of variables beside types: who made them, where, and by what."""
    there = [specs.get(name) for name in names]
    return {
        "initializer": coded("" if spec is None else _initializer(spec.initializer) for spec in there),
        "partitioner": coded("" if spec is None else _sharding(spec.sharding) for spec in there),
        "site": coded(
            None
            if spec is None or spec.site is None
            else (spec.site.file, spec.site.line, spec.site.function)
            for spec in there
        ),
    }


def of_sharing(names: Sequence[str], rows: Mapping[str, Asked]) -> dict[str, Any]:
    """Return who asks for which variables: the places, and for each variable which of them, how often."""
    places: dict[Any, int] = {}
    asked: list[Any] = []
    for name in names:
        row = rows.get(name)
        asked.append(
            [
                (
                    places.setdefault((one.file, one.line, one.function, one.scope), len(places)),
                    one.times,
                    int(one.makes),
                )
                for one in row.requests
            ]
            if row is not None
            else []
        )
    return {"places": list(places), "asked": asked}


def _side(leaves: Sequence[Leaf | None], *, values: bool) -> dict[str, Any]:
    """Return columns of what is known of variables; of those that are not there, nothing."""
    none = (None, None, 0, 0)
    return {
        "type": coded(
            none
            if leaf is None
            else (
                named_dtype(leaf.dtype) if leaf.shape is not None else None,
                leaf.shape,
                leaf.elements,
                leaf.nbytes,
            )
            for leaf in leaves
        ),
        "there": coded(leaf is not None for leaf in leaves),
        "trainable": coded(None if leaf is None else leaf.trainable for leaf in leaves),
        "sharding": coded("" if leaf is None else _sharding(leaf.sharding) for leaf in leaves),
        "note": coded("" if leaf is None else leaf.note for leaf in leaves),
        "statistics": _statistics(leaves) if values else None,
    }


def _statistics(leaves: Sequence[Leaf | None]) -> dict[str, Any] | None:
    readable: dict[str, Callable[[], Any]] = {
        leaf.name: leaf.read for leaf in leaves if leaf and leaf.read and statistics.has_numbers(leaf.dtype)
    }
    if not readable:
        return None
    of_all = histograms.of_all((name, read()) for name, read in readable.items())
    looked_at = {name: (found, bars) for name, found, bars in of_all}
    sets = [looked_at.get(leaf.name, _UNREAD) if leaf else _UNREAD for leaf in leaves]

    def each(key: str) -> list[Any]:
        return [None if found is None else getattr(found, key) for found, _ in sets]

    return {
        **{key: rounded(each(key)) for key in ("norm", "min", "max", "mean")},
        **{key: coded(each(key)) for key in ("nan", "inf")},
        "bars": [bars for _, bars in sets],
    }


def _limits(values: Iterable[float | None]) -> dict[str, Any]:
    """Return the largest differences; JSON has no infinity."""
    return coded(
        "infinite" if value is not None and math.isinf(value) else rounded([value])[0] for value in values
    )


def _sharding(sharding: Any) -> str:
    """Return in words how arrays lie on devices."""
    if sharding is None:
        return ""
    if isinstance(sharding, jax.sharding.SingleDeviceSharding):
        return f"one device: {next(iter(sharding.device_set))}"
    if isinstance(sharding, jax.sharding.NamedSharding):
        axes = ", ".join(f"{name}: {size}" for name, size in sharding.mesh.shape.items())
        return _short(f"{sharding.spec} on ({axes})")
    return _called(sharding)


def _initializer(initializer: Any) -> str:
    if initializer is None:
        return ""
    return f"constant {type_text(initializer)}" if is_array(initializer) else _called(initializer)


def _called(thing: Any) -> str:
    """Return what people call a thing: the name of a function, or what it shows of itself."""
    return _short(str(getattr(thing, "__qualname__", None) or repr(thing)))


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
