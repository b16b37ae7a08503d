"""What a result depends on, and the part of a program that it needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxscope.interop.dependencies import INPUT, INPUTS, KEY, KEY_ALONE, dependencies
from jaxscope.interop.program import Program

CASES = {
    "plain": lambda key, x: (jax.random.normal(key), x + 1, x * jax.random.normal(key), jnp.zeros(2)),
    "jit": lambda key, x: jax.jit(
        lambda k, x: (jax.random.normal(k), x + 1, x * 2 + jax.random.normal(k), 0.0)
    )(key, x),
    "remat": lambda key, x: jax.checkpoint(
        lambda k, x: (jax.random.normal(k), jnp.sin(x), x * jax.random.normal(k), 1.0)
    )(key, x),
    "scan": lambda key, x: _scan(key, x),
}


def _scan(key, x):
    def body(carry, key):
        drawn = jax.random.normal(key)
        return (carry[0] + x, carry[1] + carry[0] * drawn), (drawn, jnp.zeros(2))

    (only, both), (drawn, zero) = jax.lax.scan(body, (x, x), jax.random.split(key, 3))
    return drawn, only, both, zero


@pytest.mark.parametrize("case", CASES)
def test_dependencies(case):
    """The key, the input, both, nothing: also where one equation computes all four."""
    closed = jax.make_jaxpr(CASES[case])(jax.random.key(0), jnp.float32(2))
    found = dependencies(closed.jaxpr, [KEY_ALONE, INPUT])
    assert found == [KEY_ALONE, INPUT, KEY_ALONE | INPUT, frozenset()]
    assert (KEY, INPUTS) == ("key", "inputs")


@pytest.mark.parametrize("case", CASES)
def test_each_result_by_itself(case):
    """A result is drawn alone, with any key, as all of them are together."""
    program = Program(lambda key, arrays: list(CASES[case](key, arrays[0])), [jnp.float32(2)])
    assert program.alone == [0, 3]
    for key in (jax.random.key(1), jax.random.key(1, impl="rbg")):
        expected = CASES[case](key, jnp.float32(2))
        for at in program.alone:
            np.testing.assert_allclose(program.draw(at, key), expected[at], rtol=1e-6)
    starts = program.starts(None)
    assert starts[0] == program.starts(None)[0]
    assert starts[0] != Program(lambda key, _: [jax.random.normal(key)], []).starts(None)[0]
    rest = program.rest(["a", "b", "c", "d"], [None, None], jax.random.key(1), [jnp.float32(2)])
    expected = CASES[case](jax.random.key(1), jnp.float32(2))
    for value, wanted in zip(rest, expected[1:3], strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6)
