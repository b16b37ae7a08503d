"""How the tests of single rules run their small programs, and name what comes of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import JaxscopeError

R = TypeVar("R")
KEY = jax.random.key(5)
AUTO = js.AUTO_REUSE
scope = js.variable_scope
ones = js.initializers.ones
zeros = js.initializers.zeros


class MineError(Exception):
    """An error of the user's own."""


def both(program: Callable[[], R]) -> R:
    """Run a program recording, then replaying its own variables; return what both give."""
    results: list[R] = []
    net = js.transform(lambda: results.append(program()))
    variables = net.init(KEY)
    recorded = results[-1]
    net.apply(variables)
    assert results[-1] == recorded
    return recorded


def specs(program: Callable[[], Any]) -> js.VariableSpecs:
    return js.transform(program).spec()


def names(program: Callable[[], Any]) -> set[str]:
    return set(specs(program))


def get(name: str = "v", shape: Any = (1,), *args: Any, **kwargs: Any) -> jax.Array:
    return js.get_variable(name, shape, *args, **kwargs)


def code(fails: Callable[[], Any]) -> str:
    """Return the code of the error, or that there was none."""
    try:
        fails()
    except JaxscopeError as error:
        return error.code
    return "no error"


def opened(*args: Any, **kwargs: Any) -> str:
    """Open and leave a scope; return its full name."""
    with scope(*args, **kwargs) as inside:
        return inside.name


def fail(*args: Any, **kwargs: Any) -> Any:
    raise MineError


def caught(fails: Callable[[], Any]) -> None:
    with pytest.raises(MineError):
        fails()


def plain(getter: Any, **kwargs: Any) -> Any:
    return getter(**kwargs)


def no_getter(getter: Any, name: Any) -> None:
    """Take too little to be a getter."""


def logs(log: list[str], name: str) -> Callable[..., Any]:
    def getter(getter: Any, **kwargs: Any) -> Any:
        log.append(name)
        return getter(**kwargs)

    return getter


OPTIONS: dict[str, Any] = {
    "dtype": np.dtype("int32"),
    "initializer": ones,
    "regularizer": js.no_regularizer,
    "constraint": jnp.abs,
    "partitioner": jax.sharding.PartitionSpec("x"),
    "custom_getter": plain,
}


def options(where: Any) -> dict[str, Any]:
    return {name: getattr(where, name) for name in OPTIONS}


PLAIN = {**dict.fromkeys(OPTIONS), "dtype": np.dtype("float32")}
