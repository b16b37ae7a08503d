"""Whether two programs surely compute the same: what differs in them is found, wherever it stands."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxscope._core.blocks.alike import alike

Function = Callable[[jax.Array, jax.Array], Any]


def program(function: Function, *types: Any) -> Any:
    given = types or (jax.ShapeDtypeStruct((3,), "float32"),) * 2
    # A function of its own each time, of which JAX has no older trace.
    return jax.make_jaxpr(lambda *args: function(*args))(*given).jaxpr


def loop(steps: int, by: float) -> Function:
    return lambda x, y: jax.lax.scan(lambda c, _: (jnp.sin(c) * by, None), x, None, length=steps)[0] + y


def branch(by: float) -> Function:
    return lambda x, y: jax.lax.cond(x[0] > 0, lambda x: x * by, lambda x: x, y)


def jitted(by: float) -> Function:
    return lambda x, y: jax.jit(lambda x: jnp.cos(x * by))(x) - y


def table(values: Any) -> Function:
    constant = np.asarray(values, np.float32)
    return lambda x, y: x * constant + y


PROGRAMS: list[Function] = [
    lambda x, y: x + y,
    lambda x, y: y + x,
    lambda x, y: x - y,
    lambda x, y: x + x,
    lambda x, y: x + y + 1.0,
    lambda x, y: x + y + 2.0,
    lambda x, y: x + y + 0.0,
    lambda x, y: x + y + -0.0,
    lambda x, y: x + y + jnp.nan,
    lambda x, y: (x + y, x),
    lambda x, y: (x + y, y),
    lambda x, y: (x + y).astype("bfloat16"),
    lambda x, y: jnp.sum(x) + y,
    lambda x, y: jnp.sum(x, keepdims=True) + y,
    loop(2, 2.0),
    loop(3, 2.0),
    loop(2, 3.0),
    branch(2.0),
    branch(3.0),
    jitted(2.0),
    jitted(3.0),
    table([1, 2, 3]),
]


@pytest.mark.parametrize("at", range(len(PROGRAMS)))
def test_only_the_same(at: int):
    """Of all these programs each is like its own second trace, and like no other."""
    one = program(PROGRAMS[at])
    assert [other for other in range(len(PROGRAMS)) if alike(one, program(PROGRAMS[other]))] == [at]


@pytest.mark.parametrize("kind", [(3,), (2,), ()])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weak", [False, True])
def test_types_of_inputs(kind: Any, dtype: str, weak: bool):
    """Shape, dtype and weakness of what goes in count."""
    types = (jax.ShapeDtypeStruct(kind, dtype, weak_type=weak),) * 2
    same = alike(program(jnp.add), program(jnp.add, *types))
    assert same == (kind == (3,) and dtype == "float32" and not weak)


def test_functions_that_jax_keeps():
    """Of a rule of the user's, which is another function in each trace, nothing is sure."""

    def with_rule(x: jax.Array, y: jax.Array) -> Any:
        f = jax.custom_jvp(lambda x: jnp.sin(x))
        f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
        return f(x) + y

    assert not alike(program(with_rule), program(with_rule))
    one = program(with_rule)
    assert alike(one, one)


def test_results_that_are_inputs():
    """Handing through the first input is another thing than handing through the second."""
    first, second = (program(functools.partial(lambda at, *args: args[at], at)) for at in (0, 1))
    assert not alike(first, second)
