"""Which name of TensorFlow's is which object: each module says it of what it brings.

`@export("nn.relu")` puts a function under `tf.nn.relu`, `@export("square", "math.square")` under both names.
"""

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["EXPORTED", "export", "export_constant", "export_later"]

T = TypeVar("T")

#: All names: namespace (`""`, `"nn"`, `"contrib.layers"`) -> name -> object.
EXPORTED: dict[str, dict[str, Any]] = {"": {}}


def export_constant(thing: T, *names: str) -> T:
    """Put an object under names of TensorFlow's, without the leading `tf.`, and return it.

    Raises:
        ValueError: If a name is taken by another object.
    """
    for name in names:
        space, _, last = name.rpartition(".")
        owner = EXPORTED.setdefault(space, {})
        if owner.get(last, thing) is not thing:
            raise ValueError(f"tf.{name} is exported twice: {owner[last]!r} and {thing!r}")
        owner[last] = thing
    return thing


def export(*names: str) -> Callable[[T], T]:
    """Return a decorator that puts a function or class under names: `"nn.relu"` for `tf.nn.relu`."""
    return lambda thing: export_constant(thing, *names)


def export_later(space: str, get: Callable[[str], Any]) -> None:
    """Let `get(name)` answer for the names of a namespace that nobody exports, or raise `AttributeError`."""
    LATER[space] = get


#: Namespace -> who answers for names that are not exported.
LATER: dict[str, Callable[[str], Any]] = {}
