"""Memory: what the passes of one function have taught; it makes later ones faster, never different."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Memory:
    """What one transformed function's passes have taught: it makes later passes faster, never different."""

    __slots__ = ("_written", "completed", "made_at", "numbered", "places", "sites")

    #: Beyond this many places, a function whose scopes have ever new names would fill the memory.
    LIMIT = 100_000
    #: How many kinds of call are told apart.
    KINDS = 64

    def __init__(self) -> None:
        self.places: set[tuple[str, int]] = set()  # in which traces begin that make requests
        self.numbered = False  # whether there are names that depend on how often scopes were opened
        self.completed = False  # whether any pass came to its end
        self.made_at: dict[str, Any] = {}  # where the last recording made each variable
        self.sites = False  # whether an error had to say where a variable was made, so that replays note it
        self._written: OrderedDict[Hashable, set[str]] = OrderedDict()

    def written(self, kind: Hashable) -> set[str]:
        """Return the variables that inner traces write in a kind of call, to be added to."""
        if len(self._written) > self.KINDS:
            self._written.popitem(last=False)
        return self._written.setdefault(kind, set())
