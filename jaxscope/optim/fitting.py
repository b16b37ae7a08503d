"""Specs for names as they are given: those of numbered layers alone or in stacks, whatever the specs have."""

import re
from collections.abc import Iterable

import jaxscope as js


def fitted(specs: js.VariableSpecs, given: Iterable[str]) -> dict[str, js.VariableSpec]:
    """Return the spec of each given name that is known, in order of making.

    Args:
        specs: Specs, of single layers or of stacks.
        given: Full names; those of a stack have `{}` for the number of the layer.

    Returns:
        Given name -> spec of that name. Names that the specs do not know are left out.

    Raises:
        MergeError: What is given as a stack are layers that cannot be one.
    """
    specs = checked(specs)
    names = list(given)
    alone = specs if all(name in specs for name in names) else specs | specs.unstack()
    found = {name: alone[name] for name in names if name in alone}
    for name in names:
        if name not in found and "{}" in name and (stack := _stack(alone, name)) is not None:
            found[name] = stack
    order = {name: at for at, name in enumerate(alone)}
    layer = {name: name.replace("{}", "0") for name in found}
    return dict(sorted(found.items(), key=lambda pair: order.get(pair[0], order.get(layer[pair[0]], 0))))


def checked(specs: js.VariableSpecs) -> js.VariableSpecs:
    """Return specs, after making sure that they are."""
    if not isinstance(specs, js.VariableSpecs):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise js.errors.VariablesMismatchError(
            f"specs are js.VariableSpecs, and this is of type {type(specs).__name__}",
            fix="pass what net.spec(*args) returns",
        )
    return specs


def _stack(alone: js.VariableSpecs, name: str) -> js.VariableSpec | None:
    """Return the spec of a stack of layers that have specs; None where there are no such layers."""
    numbered = re.compile(r"(?:0|[1-9]\d*)".join(map(re.escape, name.split("{}"))))
    layers = alone.select(lambda spec: numbered.fullmatch(spec.name) is not None)
    # Level by level, the innermost first: the part of the name that ends with a number is what is stacked.
    for part in reversed([part for part in name.split("/") if "{}" in part]):
        layers = layers.stack(part) if layers else layers
    return layers.get(name)
