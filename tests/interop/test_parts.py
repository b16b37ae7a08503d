"""Values that a library draws alike share a program, and none that it draws otherwise."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.interop.program import Program

NORMAL = jax.nn.initializers.lecun_normal()
TABLE = np.arange(100.0, dtype=np.float32).reshape(10, 10)


@jax.custom_jvp
def five_times(x):
    return x * 5


five_times.defjvp(lambda primals, tangents: (five_times(*primals), tangents[0]))


@jax.custom_jvp
def tripled(x):
    return x * 3


tripled.defjvp(lambda primals, tangents: (tripled(*primals), tangents[0]))


def scanned(key, scale):
    return jax.lax.scan(
        lambda carry, key: (carry + scale * jax.random.normal(key), None), 0.0, jax.random.split(key)
    )[0]


# Each line's values are drawn by one law; those of two lines are not.
LAWS: dict[str, list[Any]] = {
    "normal": [
        lambda key: jax.random.normal(key, (3, 2)),
        lambda key: jax.random.normal(jax.random.fold_in(key, 7), (3, 2)),
        lambda key: jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, 8), 9), (3, 2)),
        lambda key: jax.random.normal(jax.random.split(key, 5)[3], (3, 2)),
    ],
    "another shape": [lambda key: jax.random.normal(key, (2, 3))],
    "transposed": [lambda key: jax.random.normal(key, (2, 3)).T],
    "a number": [lambda key: jax.random.normal(key, (3, 2)) * 0.5],
    "another number": [lambda key: jax.random.normal(key, (3, 2)) * 0.25],
    "uniform": [lambda key: jax.random.uniform(key, (3, 2))],
    "other bounds": [lambda key: jax.random.uniform(key, (3, 2), minval=-1)],
    "two keys": [
        lambda key: functools.reduce(
            jnp.add, (jax.random.normal(one, (3, 2)) for one in jax.random.split(key))
        ),
        lambda key: functools.reduce(
            jnp.add, (jax.random.normal(one, (3, 2)) for one in jax.random.split(jax.random.fold_in(key, 3)))
        ),
    ],
    "the same key twice": [lambda key: jax.random.normal(key, (3, 2)) + jax.random.normal(key, (3, 2))],
    "key and key made of it": [
        lambda key: jax.random.normal(key, (3, 2)) + jax.random.normal(jax.random.fold_in(key, 1), (3, 2))
    ],
    "another key made of it": [
        lambda key: jax.random.normal(key, (3, 2)) + jax.random.normal(jax.random.fold_in(key, 2), (3, 2))
    ],
    "a table": [lambda key: jax.random.normal(key, (10, 10)) * TABLE],
    "another table": [lambda key: jax.random.normal(key, (10, 10)) * (TABLE + 1)],
    "a small table": [lambda key: jax.random.normal(key, (2,)) * np.array([1.0, 2.0], np.float32)],
    "another small table": [lambda key: jax.random.normal(key, (2,)) * np.array([1.0, 3.0], np.float32)],
    "five_times": [lambda key: five_times(jax.random.normal(key, (3, 2)))],
    "tripled": [lambda key: tripled(jax.random.normal(key, (3, 2)))],
    "inside of calls": [
        lambda key: jax.random.normal(key, (5,)),
        lambda key: jax.checkpoint(lambda key: (jax.random.normal(jax.random.fold_in(key, 4), (5,)), 0.0))(
            key
        )[0],
        lambda key: jax.jit(lambda key: (1.0, jax.random.normal(jax.random.split(key)[1], (5,))))(key)[1],
        lambda key: jax.jit(
            lambda key: jax.checkpoint(lambda key: (jax.random.normal(key, (5,)), jnp.zeros(2)))(key)
        )(key)[0],
    ],
    "scan": [lambda key: scanned(key, 2.0), lambda key: scanned(jax.random.fold_in(key, 1), 2.0)],
    "another scan": [lambda key: scanned(key, 3.0)],
}
FLAT = [(law, make) for law, several in LAWS.items() for make in several]


@pytest.fixture(scope="module")
def starts():
    """What each of them starts from, a half of them in one program, the others in programs of their own."""
    together = Program(lambda key, _: [make(key) for _, make in FLAT[::2]], []).starts(None)
    apart = [Program(lambda key, _, make=make: [make(key)], []).starts(None)[0] for _, make in FLAT[1::2]]
    found = [None] * len(FLAT)
    found[::2], found[1::2] = together, apart
    return found


def test_alike(starts):
    """Equal are just those of one law, wherever their key comes from and whichever program they are of."""
    for (law, _), one in zip(FLAT, starts, strict=True):
        alike = {other for (other, _), start in zip(FLAT, starts, strict=True) if start == one}
        assert alike == {law}


def test_equal_ones_draw_the_same(starts):
    """By one key, what the first of the line draws with it; those of other lines draw something else."""
    key = jax.random.key(5)
    drawn = [np.asarray(one.draw(key, (), None)) for one in starts]
    for at, (law, _) in enumerate(FLAT):
        for other, (another, _) in enumerate(FLAT):
            assert np.array_equal(drawn[at], drawn[other]) == (law == another), (law, another)
        np.testing.assert_allclose(drawn[at], LAWS[law][0](key), rtol=1e-6)


def test_programs(nn):
    """A deep module has a few programs, not one for each variable; in `jax.jit` the bits are the same."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            for _ in range(6):
                x = x + nn.Dense(3)(nn.MultiHeadDotProductAttention(num_heads=1)(nn.LayerNorm()(x)))
            return x

    layer = js.interop.linen(Net())
    specs = js.transform(lambda x: layer(x)).spec(jnp.ones([1, 2, 3]))
    assert len(specs) == 6 * 12
    assert len({spec.initializer for spec in specs.values()}) <= 6  # two of them are numbers
    key = jax.random.key(0)
    alone, staged = specs.init(key), jax.jit(specs.init)(key)
    for name, value in alone.items():
        np.testing.assert_array_equal(value, staged[name])
    assert len({value.tobytes() for value in alone.values() if np.ptp(value)}) == 6 * 5
