"""Merging: what two values, or two specs, of one name must have in common."""

from typing import Any

from jaxscope._core.base.describe import describe, type_of
from jaxscope.errors import MergeError


def check_same(name: str, old: Any, new: Any) -> None:
    """Raise `MergeError` unless two values of one name have one shape and dtype, as far as they have any."""
    both = [type_of(value) for value in (old, new)]
    # By identity: NumPy finds its float64 equal to None.
    if both[0] == both[1] or any(shape is None for shape, _ in both):
        return
    raise MergeError(
        f"variable {name!r} has two shapes or dtypes",
        left=describe(old),
        right=describe(new),
        fix="rename one of them, or make both with one shape and dtype",
    )


def differently_trainable(name: str, *, on_the_left: bool) -> MergeError:
    """Return the error for a variable that is trainable on one side of `|` alone."""
    return MergeError(
        f"variable {name!r} is trainable on one side of | and not on the other",
        trainable="on the left" if on_the_left else "on the right",
        fix="make it with the same `trainable` in both functions; values from elsewhere get it by\n"
        "net.spec(...).bind(values), or stay a plain dict, which takes it from the other side",
    )


def check_same_spec(one: Any, two: Any) -> None:
    """Raise `MergeError` unless two specs of one name have one shape, dtype and trainability."""
    if (one.shape, one.dtype, one.trainable) != (two.shape, two.dtype, two.trainable):
        raise MergeError(
            f"variable {one.name!r} has two specs that differ",
            left=f"{describe(one)} {one.site or ''}".strip(),
            right=f"{describe(two)} {two.site or ''}".strip(),
            fix="rename one of them, or make both with one shape, dtype and trainable",
        )
