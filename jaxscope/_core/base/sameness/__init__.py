"""Sameness: what is surely the same in two calls, so that what was made for one may serve the other.

A key is a flat list of all that can make a difference: numbers by type and bits; containers and objects by
what they hold now; functions by their code, and by what that takes from outside; arrays of JAX, which never
change, by identity. Where a thing occurs twice, the second place refers to the first: so not even `is` could
tell two calls with equal keys apart. What cannot be looked into is unknown, and what is unknown is not kept.
"""

from jaxscope._core.base.recent import Recent
from jaxscope._core.base.sameness.look import FILL, Look, held_by, key_of
from jaxscope._core.base.sameness.same import Same, UnknownError

__all__ = ["Look", "Recent", "Same", "UnknownError", "held_by", "key_of"]


def _fill() -> None:
    from jaxscope._core.base.sameness.kinds import fill  # many programs never look

    fill()


FILL.append(_fill)
