"""An attempt to ask for what a block asks for; one that fails leaves nothing behind."""

from typing import Any

from jaxscope._core.base.sites import Site
from jaxscope._core.blocks.recipe import Answers, Recipe
from jaxscope._core.passes.border import Border, Inner, Kind
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import Pass
from jaxscope._core.requests.request import Request


class Attempt:
    """Requests of a recipe, in one scope or in several, which can be undone.

    Attributes:
        reads: The full names that were asked for since the last call of `ask`, also by getters.
    """

    def __init__(self, run: Pass, recipe: Recipe) -> None:
        self._run = run
        self._recipe = recipe
        self._mark = run.mark()
        self._values: list[tuple[Entry, Any]] = []  # what getters have set, as it was before
        self.reads: set[str] = set()

    def ask(self, arguments: list[Any]) -> Answers | None:
        """Return the answers in the current scope, as `Recipe.ask`; None where a request is refused."""
        self.reads = set()
        try:
            if self._recipe.plain:
                return self._recipe.ask(self._run, arguments)
            with self._run.during(lambda around: around._replace(border=_Watching(around.border, self))):
                return self._recipe.ask(self._run, arguments)
        except Exception:  # noqa: BLE001 - it comes again where the block runs as it is, which may catch it
            return None

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

    def write(self, run: Kind, entry: Entry, value: Any) -> None:
        self._attempt.note(entry)
        super().write(run, entry, value)
