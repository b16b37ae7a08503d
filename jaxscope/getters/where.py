"""Where: which variables a getter is for, what it remembers of a pass, and patterns without a match."""

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import jaxscope as js
from jaxscope.getters.requests import Request

#: A regular expression that full names match at their start, a predicate of a request; None: the default.
Where = str | re.Pattern[str] | Callable[[Request], Any] | None

T = TypeVar("T")

_SHOWN = 10  # names in an error


class Notes(Generic[T]):
    """What one getter remembers of a pass.

    Attributes:
        chosen: For each full name, whether the getter is for it: a later request may say less than the first.
        asked: What is behind the losses on what the getter returns, by the name that has the loss.
    """

    def __init__(self, getter: str, where: Where) -> None:
        self._getter = getter
        self._where = where
        self._matched = False
        self._seen: dict[str, str] = {}  # names that did not match: why
        self.chosen: dict[str, bool] = {}
        self.asked: dict[str, T] = {}

    def choose(self, request: Request, unfit: str, *, default: bool) -> bool:
        """Tell whether the getter is for a variable.

        Args:
            request: Which.
            unfit: Why it can be none for this one; empty if it can.
            default: Whether it is for it where nothing is said.
        """
        where = self._where
        if where is None:
            return default and not unfit
        if isinstance(where, str | re.Pattern):
            name = request.of or request.name
            matches = re.match(where, name) is not None
            if matches and not unfit and not default:
                unfit = "is not trainable"
            chosen = matches and not unfit
            self._matched = self._matched or chosen
            self.pass_over(request, unfit if matches else "")
            return chosen
        return not unfit and bool(where(request))

    def pass_over(self, request: Request, why: str) -> None:
        """Note that the getter is not for a variable."""
        if not self._matched:
            self._seen[str(request)] = why

    def end_of_pass(self) -> None:
        """Raise `VariableNotFoundError` where a pattern matched nothing in the whole pass."""
        if self._matched or not self._seen or not isinstance(self._where, str | re.Pattern):
            return
        where = self._where if isinstance(self._where, str) else self._where.pattern
        names = [seen.split()[0] for seen in self._seen]
        unfit = [f"{seen} {why}" for seen, why in self._seen.items() if why]
        inside = next((name for name in names if re.search(where, name)), None)
        if unfit:
            fix = "choose variables that it can be for, or leave the getter out"
        elif inside is not None:
            fix = f"a pattern matches at the start of a full name: {'.*' + where!r} finds {inside!r}"
        else:
            fix = "use a pattern that matches at the start of a full name"
        raise js.errors.VariableNotFoundError(
            f"{self._getter} is for no variable of this call: none matches {where!r}"
            + (" and can be used" if unfit else ""),
            code="nothing_matches",
            unfit=_listed(unfit),
            near="" if unfit else js.errors.near(where, names),
            asked="" if unfit else _listed(names),
            fix=fix,
        )


def _listed(rows: list[str]) -> str:
    more = [f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    return "\n".join(rows[:_SHOWN] + more)
