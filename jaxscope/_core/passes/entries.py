"""Entries: what the books of a pass say about one variable, or about one value in a collection."""

from typing import Any

from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import Site
from jaxscope._core.requests.request import Request


class Entry:
    """One variable of a pass, as the books hold it.

    Attributes:
        name: The full name.
        request: What was asked for when it was made.
        shape: Its shape; None, or with Nones, until the pass has made it.
        dtype: The dtype asked for; a given value may have another.
        initializer: What it starts from.
        site: Where it was made; None in a pass that does not note it.
        added_to: The collections that it was added to later.
        value: Its value, or a placeholder.
        by_get: Whether `get_variable` made it, or `js.Variable`, whose variables `get_variable` never finds.
        cell: Where the value lives, if not here: see `passes/cells.py`.
        index: Which part of the cell's value it is.
        state: The trace that `value` belongs to, while recording.
        held: Refers to the placeholder of an inner trace, while recording; `value` is then only its type.
        loss: What its regularization loss is of, the loss, and the trace of both; None where it has none.
    """

    # Defaults of the class: an entry is made for each variable of each trace, and most set few of them.
    by_get = True
    added_to: tuple[str, ...] = ()
    value: Any = None
    cell: Any = None
    index: Any = ...
    state: Any = None
    held: Any = None
    loss: Any = None

    def __init__(
        self, name: str, request: Request, shape: Any, dtype: Any, initializer: Any = None, site: Any = None
    ) -> None:
        self.name = name
        self.request = request
        self.shape = shape
        self.dtype = dtype
        self.initializer = initializer
        self.site = site
        if request.collections is not None:
            request.kept_in  # noqa: B018 - an error where there is no such list

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections that it is in."""
        return tuple(dict.fromkeys((*self.request.kept_in, *self.added_to)))

    @property
    def trainable(self) -> bool:
        """Whether it is trainable."""
        return self.request.trainable

    def __str__(self) -> str:
        return f"{describe(self.value)}  {self.site}"


class Added:
    """A value that `add_to_collection` put into a collection."""

    __slots__ = ("entry", "key", "path", "position", "site", "state", "value")

    def __init__(
        self, key: str, path: str, value: Any, state: Any, position: int, site: Site, entry: Entry | None
    ) -> None:
        self.key = key
        self.path = path  # of the name scopes it was added in, which filters take for its name
        self.value = value
        self.state = state
        self.position = position  # how many variables there were before
        self.site = site
        self.entry = entry  # of the variable that the value is; filters then take its name
