"""What is to be drawn from a key that is not there yet: initial values, before the variable has its name.

`tf.Variable(tf.random_normal([3]) * 0.1)` draws from the key of `net.init` and the variable's name. So a
tensor that is drawn where no `js.random_keys` is open holds a `Pending` in the place of an array, and what is
computed of it holds another one. A variable draws it; all else is an error that says so.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax

import jaxscope as js

__all__ = ["Pending", "is_pending", "settled"]


class Pending(jax.ShapeDtypeStruct):
    """The shape and dtype of an array, and how it is drawn.

    Args:
        shape: The shape.
        dtype: The dtype.
        function: A function of a key, or of as many arrays as there are parts.
        parts: What it is computed of: arrays and others of its kind; None where it is drawn itself.
    """

    __slots__ = ("_function", "_parts")

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        function: Callable[..., Any],
        parts: Sequence[Any] | None = None,
    ) -> None:
        super().__init__(tuple(shape), dtype)  # type: ignore[no-untyped-call]
        self._function, self._parts = function, parts

    def __call__(self, key: jax.Array, *_: Any) -> Any:
        """Return the array, as an initializer does.

        Args:
            key: The key, of which each part that is drawn gets another one.
            *_: The shape and the dtype, which it has.
        """
        return self._drawn(key, {})

    def _drawn(self, key: jax.Array, known: dict[int, Any]) -> Any:
        """Return the array; what is in an expression twice is drawn once."""
        if id(self) in known:
            return known[id(self)]
        if self._parts is None:
            array = self._function(jax.random.fold_in(key, len(known)))
        else:
            parts = [part._drawn(key, known) if isinstance(part, Pending) else part for part in self._parts]
            array = self._function(*parts)
        known[id(self)] = array
        return array

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def is_pending(held: Any) -> bool:
    """Tell whether a tensor holds what is still to be drawn."""
    return isinstance(held, Pending)


def settled(held: Any) -> Any:
    """Return what a tensor holds as an array, drawn from the stream of keys that is open.

    Raises:
        KeyStreamError: If there is none (`no_key_stream`).
    """
    return held(js.next_key()) if isinstance(held, Pending) else held
