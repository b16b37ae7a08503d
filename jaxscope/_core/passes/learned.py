"""Memory: what the passes of one kind of call have taught; it makes later ones faster, never different."""

from collections.abc import Hashable
from typing import Any

from jaxscope._core.base.recent import Recent


class Memory:
    """What the passes of one kind of call have taught.

    Attributes:
        places: In which places traces begin that make requests.
        numbered: Whether there are names that depend on how often scopes were opened.
        completed: Whether any pass came to its end.
        made_at: Where the last recording made each variable.
        compiles: Whether something in the call would be compiled anew each time that it runs eagerly.
        sites: Whether an error had to say where a variable was made, so that replays note it.
        asked: The names that were read of variables that are given on demand.
        eagerly: Why an eager call has to run as it is written, operation by operation; None: it need not.
    """

    __slots__ = (
        "_written",
        "asked",
        "compiles",
        "completed",
        "eagerly",
        "made_at",
        "numbered",
        "places",
        "sites",
    )

    #: Beyond this many places, a function whose scopes have ever new names would fill the memory.
    LIMIT = 100_000

    def __init__(self) -> None:
        self.places: set[tuple[str, int]] = set()
        self.numbered = False
        self.asked: set[str] = set()
        self.completed = False
        self.made_at: dict[str, Any] = {}
        self.compiles = False
        self.sites = False
        self.eagerly: str | None = None
        self._written: set[str] = set()

    @property
    def inner(self) -> bool:
        """Whether inner traces make requests or write variables, or the like, as far as is known."""
        return bool(self.places or self._written or self.compiles)

    def written(self, kind: Hashable = None) -> set[str]:
        """Return the variables that inner traces write, to be added to."""
        del kind
        return self._written


class Memories:
    """The memories of one function, for the kinds of call that were made lately."""

    #: How many kinds of call are told apart.
    KINDS = 256

    __slots__ = ("_kinds", "_unknown", "restless")

    def __init__(self) -> None:
        self._kinds: Recent[Memory] = Recent(self.KINDS)
        self._unknown = Memory()
        self.restless = 0  # how often a run changed what the next run reads

    def of(self, kind: Hashable) -> Memory:
        """Return the memory of a kind of call; None stands for all calls of which the kind is unknown."""
        return self._unknown if kind is None else self._kinds.get_or(kind, Memory)

    def teach(self, kind: Hashable, memory: Memory) -> None:
        """Let the passes of another kind of call have taught what those of this memory have."""
        if kind is not None:
            self._kinds.put(kind, memory)
