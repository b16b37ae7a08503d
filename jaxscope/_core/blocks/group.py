"""Stacking: the variables of many layers as one array each, in the books of a pass."""

from typing import Any

from jaxscope._core.base.describe import describe, shape_text
from jaxscope._core.blocks.recipe import Request
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.recording import Recording, placeholder
from jaxscope._core.passes.replaying import Replaying
from jaxscope._core.passes.running import Pass
from jaxscope._core.requests.starts import WithoutArguments
from jaxscope.errors import DtypeMismatchError, ShapeMismatchError


class Group:
    """The variables of all layers, stacked; the books make the entries of single layers when asked for them.

    Attributes:
        pattern: The full name of a layer's scope, with `{}` for its number.
        prefix: What the full names of all layers begin with.
        position: How many variables were made before.
        settled: Whether the entries were made.
        values: Arrays with a leading axis of layers, by the name relative to the layer's scope.
    """

    position = 0
    settled = False

    def __init__(self, prefix: str, name: str, length: int, requests: list[Request]) -> None:
        self.pattern = prefix + name
        self.prefix = prefix + name.partition("{}")[0]
        self.length = length
        self.requests = requests
        self.values: dict[str, Any] = {}

    def shared_by(self, other: "Group") -> bool:
        """Tell whether a second run of the layers shares these variables."""
        mine = [(request.name, request.shape, request.dtype) for request in self.requests]
        theirs = [(request.name, request.shape, request.dtype) for request in other.requests]
        shares = all(request.reuse is not False for request in other.requests)
        return self.length == other.length and mine == theirs and shares

    def entries(self) -> list[Entry]:
        """Return an entry for each variable of each layer, in order of making."""
        return [
            _LayerEntry(self, request, index) for index in range(self.length) for request in self.requests
        ]

    def stacked_entry(self, name: str) -> Entry:
        """Return an entry whose value is that of all layers."""
        return next(_StackEntry(self, request) for request in self.requests if request.name == name)

    def state(self) -> dict[str, Any]:
        """Return the non-trainable ones among the stacked values, by their stacked names."""
        return {
            f"{self.pattern}/{request.name}": self.values[request.name]
            for request in self.requests
            if not request.trainable
        }


class _GroupEntry(Entry):
    """An entry that takes its value from a group's."""

    grouped = True

    def __init__(self, group: Group, request: Request, scope: str, shape: tuple[int, ...]) -> None:
        super().__init__(f"{scope}/{request.name}", shape, request.dtype)
        self.keep_in(request.collections, trainable=request.trainable)
        self.site = request.site
        self.initializer = request.initializer
        self.constraint = request.constraint
        self.sharding = request.partitioner
        self.group = group
        self.relative = request.name


class _StackEntry(_GroupEntry):
    """An entry for one variable in all layers."""

    def __init__(self, group: Group, request: Request) -> None:
        super().__init__(group, request, group.pattern, (group.length, *request.shape))

    @property
    def value(self) -> Any:
        return self.group.values[self.relative]

    @value.setter
    def value(self, value: Any) -> None:
        self.group.values[self.relative] = value


class _LayerEntry(_GroupEntry):
    """An entry for one variable in one layer, whose value is cut out when it is asked for."""

    stacked = True

    def __init__(self, group: Group, request: Request, index: int) -> None:
        super().__init__(group, request, group.pattern.replace("{}", str(index)), request.shape)
        self.index = index

    @property
    def value(self) -> Any:
        return self.group.values[self.relative][self.index]

    @value.setter
    def value(self, value: Any) -> None:
        values = self.group.values
        values[self.relative] = values[self.relative].at[self.index].set(value)


def stacked_values(run: Pass, group: Group) -> dict[str, Any]:
    """Return the stacked values of a new group, or nothing where they are not given stacked."""
    if isinstance(run, Recording):
        return {
            request.name: placeholder((group.length, *request.shape), request.dtype)
            for request in group.requests
        }
    assert isinstance(run, Replaying)
    found = {request.name: _find(run, f"{group.pattern}/{request.name}") for request in group.requests}
    if any(value is None for value in found.values()):
        return {}
    for request in group.requests:
        _check(run, group, request, found[request.name])
    return found


def _find(run: Replaying, name: str) -> Any:
    """Return what is given stacked under a name, perhaps as part of a stack of stacks; None if nothing is."""
    if name in run.given:
        return run.given[name]
    place = run.place_in_stack(name)
    return None if place is None else run.given[place[0]][place[1]]


def _check(run: Replaying, group: Group, request: Request, value: Any) -> None:
    asked = shape = (group.length, *request.shape)
    given = getattr(value, "shape", None)
    if isinstance(request.initializer, WithoutArguments) and given is not None:
        shape = (group.length, *given[1:])  # what the function decides may differ from time to time (R4)
    if given == shape and not (request.explicit and value.dtype != request.dtype):
        return
    name = f"{group.pattern}/{request.name}"
    facts: dict[str, Any] = {
        "given": describe(value),
        "asked": f"{request.dtype}{shape_text(asked)}",
        "at": request.site,
        "scope": run.describe_scope(),
    }
    if given != shape:
        raise ShapeMismatchError(
            f"the given stack {name!r} has another shape than its layers ask for",
            fix="give the variables of as many layers as the function has",
            **facts,
        )
    raise DtypeMismatchError(
        f"the given stack {name!r} has another dtype than its layers ask for",
        fix="cast it, or leave out dtype= in the request to take it as it is",
        **facts,
    )
