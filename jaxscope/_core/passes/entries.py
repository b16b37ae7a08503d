"""What the books of a pass are made of: variables, collections and what was added to them."""

from typing import Any, Protocol

from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import Site
from jaxscope._core.requests.graph_keys import GLOBAL_TRAINABLE


class Entry:
    """One variable of a pass, as the books hold it.

    Attributes:
        name: The full name.
        shape: Its shape; None, or with Nones, until the pass has made it.
        dtype: The dtype asked for; a given value may have another.
        value: Its value, or a placeholder.
        trainable: Whether it is trainable.
        collections: The collections that it is in.
        site: Where it was made; None in a pass that does not note it.
        by_get: Whether `get_variable` made it, or `js.Variable`, whose variables `get_variable` never finds.
        initializer: What it starts from.
        state: The trace that `value` belongs to, while recording.
        held: Refers to the placeholder of an inner trace, while recording; `value` is then but its type.
        loss: What its regularization loss is of, the loss, and the trace of both; None where it has none.
    """

    # Defaults of the class: an entry is made for each variable of each trace, and most set few of them.
    trainable = True
    collections: tuple[str, ...] = GLOBAL_TRAINABLE
    site: Any = None
    by_get = True
    stacked = False  # whether the value is cut out of one for many layers
    grouped = False  # whether it is a group's, be it of one layer or of all
    initializer: Any = None
    regularizer: Any = None
    constraint: Any = None
    sharding: Any = None
    value: Any = None
    asked: Any = None  # the request as it was made, in a block that is lifted
    state: Any = None
    held: Any = None
    loss: Any = None

    def __init__(self, name: str, shape: Any, dtype: Any) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype

    def keep_in(self, collections: tuple[str, ...], *, trainable: bool) -> None:
        """Set the collections that it is in, and whether it is trainable."""
        self.collections = collections
        self.trainable = trainable

    def __str__(self) -> str:
        return f"{describe(self.value)}  {self.site}"


class Group(Protocol):
    """The variables of many layers, whose entries are made when they are asked for."""

    pattern: str
    prefix: str
    position: int
    settled: bool
    values: dict[str, Any]

    def entries(self) -> list[Entry]:
        """Return an entry for each variable of each layer, in order of making."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the non-trainable ones among the stacked values, by their stacked names."""
        ...


class Added:
    """A value that `add_to_collection` put into a collection."""

    __slots__ = ("key", "path", "position", "site", "state", "value")

    def __init__(self, key: str, path: str, value: Any, state: Any, position: int, site: Site) -> None:
        self.key = key
        self.path = path  # of the name scopes it was added in, which filters take for its name
        self.value = value
        self.state = state
        self.position = position  # how many variables there were before
        self.site = site
