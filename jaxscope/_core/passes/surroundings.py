"""What surrounds a request, beside its scope: one immutable value, and one way to change it for a while."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from jaxscope._core.base.sites import here
from jaxscope._core.passes.border import OPEN, Border
from jaxscope.errors import ScopeNestingError


class Around(NamedTuple):
    """What surrounds a request.

    Attributes:
        creators: What the making of a variable goes through, innermost first.
        stream: Where random keys come from, or None.
        frozen: Whether nothing may be made: during a template's later call.
        border: Who listens, and what is allowed.
    """

    creators: tuple[Any, ...] = ()
    stream: Any = None
    frozen: bool = False
    border: Border = OPEN


#: What surrounds the requests of a model by itself.
NOTHING = Around()


class Surrounded(Protocol):
    """A pass, as far as this module needs it."""

    around: Around

    @property
    def ended(self) -> bool: ...
    def surround(self, around: Around) -> None: ...


class During:
    """A context manager that changes what surrounds the requests inside; made by `Pass.during`."""

    __slots__ = ("_before", "_change", "_now", "_run")

    def __init__(self, run: Surrounded, change: Callable[[Around], Around]) -> None:
        self._run = run
        self._change = change

    def __enter__(self) -> None:
        self._before = self._run.around
        self._now = self._change(self._before)
        self._run.surround(self._now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run = self._run
        if run.ended:
            return  # a generator that was closed after its pass had ended
        if run.around is not self._now and error is None:
            raise ScopeNestingError(
                "a block of variable creators or random keys is left while a later one is open",
                at=here(),
                fix="leave blocks in the reverse order of entering; do not yield inside one",
            )
        run.surround(self._before)
