"""Tracebacks: without jaxscope's own frames, as JAX leaves out its own."""

from types import TracebackType
from typing import Any

import jax

from jaxscope._core.base.compat import OWN_FOLDER
from jaxscope.errors import JaxscopeError

__all__ = ["without_own_frames"]


def without_own_frames(problem: BaseException) -> TracebackType | None:
    """Return an exception's traceback without frames of jaxscope's.

    What is not meant to be raised ends where it was, in jaxscope or elsewhere. With JAX's switch
    `jax_traceback_filtering` at "off" all frames stay.
    """
    following = problem.__traceback__
    switch: Any = jax.config
    if switch.jax_traceback_filtering == "off":
        return following
    frames: list[TracebackType] = []
    while following is not None:
        frames.append(following)
        following = following.tb_next
    kept: TracebackType | None = None
    ending = not isinstance(problem, JaxscopeError)
    for one in reversed(frames):
        own = one.tb_frame.f_code.co_filename.startswith(OWN_FOLDER)
        ending = ending and own
        if ending or not own:
            kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return kept
