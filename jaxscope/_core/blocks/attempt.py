"""An attempt to ask for what a block asks for; one that fails leaves nothing behind."""

from typing import Any

from jaxscope._core.base.sites import Site
from jaxscope._core.blocks.in_place import InPlace
from jaxscope._core.blocks.recipe import Answers, Recipe
from jaxscope._core.passes.base_pass import Pass
from jaxscope._core.passes.border import Border, Inner, Kind
from jaxscope._core.passes.entries import Entry
from jaxscope._core.requests.request import Request


class Attempt:
    """Requests of a recipe, in one scope or in several, which can be undone.

    Args:
        run: The pass.
        recipe: What asks.
        apart: Whether what getters compute is to be traced apart from the pass's own trace.

    Attributes:
        reads: The full names of what was asked for or read since the last call of `ask`, also by getters.
        block: What getters compute and set in that call, if that is apart; the answers are then its result.
    """

    def __init__(self, run: Pass, recipe: Recipe, *, apart: bool = False) -> None:
        self._run = run
        self._recipe = recipe
        self._apart = apart
        self._mark = run.mark()
        self._values: list[tuple[Entry, Any]] = []  # what getters have set, as it was before
        self.reads: set[str] = set()
        self.block: InPlace | None = None

    def ask(self, arguments: list[Any]) -> Answers | None:
        """Return the answers in the current scope, as `Recipe.ask`; None where a request is refused."""
        run = self._run
        self.reads, self.block = set(), None
        try:
            if self._recipe.plain:
                return self._recipe.ask(run, arguments)
            with run.during(lambda around: around._replace(border=_Watching(around.border, self))):
                if not self._apart:
                    return self._recipe.ask(run, arguments)
                if run.abstract:  # JAX's caches see as many changes as below
                    with run.during(lambda around: around):
                        return self._recipe.ask(run, arguments)
                return self._ask_apart(arguments)
        except Exception:  # noqa: BLE001 - it comes again where the block runs as it is, which may catch it
            return None

    def _ask_apart(self, arguments: list[Any]) -> Answers | None:
        found: list[Answers | None] = []

        def ask() -> list[Any]:
            answers = self._recipe.ask(self._run, arguments)
            found.append(answers)
            return [] if answers is None else list(answers.values.values())

        self.block = InPlace(self._run, ask)
        answers = found[0]
        return answers and answers._replace(values=dict.fromkeys(answers.values))

    def undo(self) -> None:
        """Undo all that was asked for."""
        run = self._run
        for entry, value in reversed(self._values):
            run.around.border.write(run, entry, value)
        run.around.border.refused()
        run.undo(self._mark)

    def note(self, entry: Entry) -> None:
        """Note what a variable is before a getter sets it."""
        self._values.append((entry, self._run.value_of(entry)))


class _Watching(Inner):
    """Tells an attempt what is read and written in it."""

    def __init__(self, outer: Border, attempt: Attempt) -> None:
        super().__init__(outer)
        self._attempt = attempt

    def answered(self, name: str, request: Request, value: Any, site: Site, *, made: bool) -> None:
        self._attempt.reads.add(name)
        super().answered(name, request, value, site, made=made)

    def read(self, run: Kind, entry: Entry) -> Any:
        self._attempt.reads.add(entry.name)
        return super().read(run, entry)

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        self._attempt.note(entry)
        super().write(run, entry, value)
