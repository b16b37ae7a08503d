"""Variables of a pass as arrays: found by name, whatever collections they are in."""

import re
from collections.abc import Callable
from typing import Any

import jaxscope as js

__all__ = ["ELSEWHERE", "NAMED", "found_name", "kept_in", "read"]

#: The collections of variables alone, by which these are found: key -> by full name.
NAMED: dict[str, Callable[..., dict[str, Any]]] = {
    "variables": js.global_variables,
    "trainable_variables": js.trainable_variables,
    "local_variables": js.local_variables,
    "model_variables": js.model_variables,
}
#: A collection for variables that are in none of these.
ELSEWHERE = "jaxscope.tf1"


def kept_in(collections: Any, trainable: bool) -> list[Any] | None:
    """Return the collections of a new variable as `js` takes them, among them one by which it is found."""
    if collections is None:
        return None
    keys = list(collections)
    return keys if trainable or any(key in keys for key in NAMED) else [*keys, ELSEWHERE]


def read(name: str) -> Any:
    """Return the array that a variable of this pass is now, by its full name, or None."""
    pattern = re.escape(name) + "$"
    for find in NAMED.values():
        found = find(pattern).get(name)
        if found is not None:
            return found
    kept = js.get_collection(ELSEWHERE, pattern)
    return kept[0] if kept else None


def found_name(array: Any, own: str | None) -> str | None:
    """Return the full name of a variable that was just made."""
    for find in NAMED.values():
        for name, value in reversed(find().items()):
            if value is array:
                return name
    # A branch of `cond` has an array of its own: the newest of that name is the one.
    like = re.compile(rf"(.*/)?{re.escape(own or 'Variable')}(_[0-9]+)?")
    newest = (name for find in NAMED.values() for name in reversed(find()) if like.fullmatch(name))
    return next(newest, own or "Variable")
