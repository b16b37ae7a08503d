"""The keys that a block takes: what they are taken of, here and in other scopes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope._core.base.sites import here
from jaxscope._core.blocks.border import CannotLiftError, Took
from jaxscope._core.model.random_keys import check_taking
from jaxscope._core.passes.base_pass import Pass

#: Stands for the key of the stream that is open around the block.
STREAM: Any = object()


class _Argument(NamedTuple):
    """Stands for a key that is one of the block's arguments."""

    at: int


class _Inside(NamedTuple):
    """Stands for a key that the block makes, by its number."""

    number: int


def placed(event: Took, stream: Any, arguments: list[Any]) -> Took:
    """Return an event that says whether its key is that of the stream around, or an argument."""
    given = event.given
    if stream is not None and given is stream.given:
        return event._replace(given=STREAM)
    for at, argument in enumerate(arguments):
        if argument is given:
            return event._replace(given=_Argument(at))
    return event


def placed_inside(event: Took, closed_over: list[Any], results: list[int]) -> Took:
    """Return an event that says whether the block makes its key, and keeps nothing of the block's trace.

    Args:
        event: What `placed` returned.
        closed_over: What the block takes from outside.
        results: The addresses of the arrays that it returns.

    Raises:
        CannotLiftError: It returns such a key, of which more may be taken outside.
    """
    given = event.given
    if not isinstance(given, Tracer) or any(given is one for one in closed_over):
        return event  # from outside
    if id(given) in results:
        raise CannotLiftError("a key that it makes, takes from and returns", here(), loop=True)
    return event._replace(given=_Inside(id(given)))


def parts_of(
    event: Took, run: Pass, scope: str, arguments: list[Any], inside: dict[Any, object]
) -> tuple[Any, Any]:
    """Return words and count of a key that a block takes, and count it as taken.

    Args:
        event: What `placed` returned.
        run: The pass.
        scope: The full name of the scope.
        arguments: The arrays of the call; None for those that are not the same in all scopes.
        inside: The objects that stand for keys which the block makes, in this scope.
    """
    given: Any = event.given
    if given is STREAM:
        check_taking(run, run.around.stream)
        given = run.around.stream.given
    elif isinstance(given, _Argument) and arguments[given.at] is not None:
        given = arguments[given.at]
    elif isinstance(given, _Argument | _Inside):
        given = inside.setdefault(given, object())
    return run.key_parts(given, scope)


def stacked(rows: list[list[tuple[Any, Any]]]) -> tuple[Any, Any]:
    """Return words and counts of keys, as uint32[scopes, keys, 2] and uint32[scopes, keys]."""
    return _stacked(rows, 0), _stacked(rows, 1)


def _stacked(rows: list[list[tuple[Any, Any]]], part: int) -> Any:
    cells = [[pair[part] for pair in row] for row in rows]
    if any(isinstance(cell, jax.Array) for row in cells for cell in row):  # those of a block around this one
        return jnp.stack([jnp.stack([jnp.asarray(cell, np.uint32) for cell in row]) for row in cells])
    return np.array(cells, np.uint32)
