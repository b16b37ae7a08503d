"""What a function does in each kind of pass: while it is recorded, and replayed, eagerly and under jit."""

from collections.abc import Callable
from typing import Any

import jax
import pytest

import jaxscope as js
from jaxscope.errors import JaxscopeError


def in_all_modes(function: Callable[[], Any]) -> list[Any]:
    """Return what a function returns in each kind of pass; it may be anything."""
    seen: list[Any] = []
    js.transform(lambda: seen.append(function())).spec()
    net = js.transform(function)
    variables = net.init(jax.random.key(0))
    seen.append(net.apply_with_state(variables)[0])
    jax.jit(lambda variables: seen.append(net.apply_with_state(variables)[0]))(variables)
    return seen


def agreed(function: Callable[[], Any]) -> Any:
    """Return what a function returns in each kind of pass, which has to be the same."""
    first, *others = in_all_modes(function)
    assert others
    assert all(other == first for other in others)
    return first


def error_of(function: Callable[[], Any]) -> JaxscopeError:
    """Return the error of a function that is recorded."""
    with pytest.raises(JaxscopeError) as caught:
        js.transform(function).spec()
    return caught.value


def in_scope(scope: Any, function: Callable[[], Any]) -> Any:
    """Return what a function returns inside a context manager."""
    with scope:
        return function()
