"""Keeping: what stands beside a pass for as long as it runs, and is told when the function has returned."""

from collections.abc import Callable, Hashable
from typing import Any

from jaxscope._core.base.sites import here
from jaxscope.errors import JaxscopeError


class Keeping:
    """Things that a pass keeps, by key, each with the user's line that asked for it first."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Any, Any]] = {}

    def of(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under a key; made where there is nothing yet."""
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make(), here()
        return found[0]

    def end(self) -> None:
        """Tell all that the function has returned; what they raise, the call raises."""
        for kept, site in tuple(self._kept.values()):
            end: Callable[[], Any] | None = getattr(kept, "end_of_pass", None)
            if end is not None:
                try:
                    end()
                except JaxscopeError as error:
                    error.add(at=site)
                    raise

    def close(self) -> None:
        """Let go of them."""
        self._kept.clear()
