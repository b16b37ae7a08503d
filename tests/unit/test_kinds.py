"""Kinds: which functions are surely the same."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.initializers.base import kind_of
from jaxscope.initializers import ones, zeros

FACTOR = 0.1


def scaled(factor, more=()):
    return lambda key, shape, dtype: factor * jax.random.normal(key, shape, dtype)


def test_functions_made_twice_are_one_kind():
    """Same code, same simple values: one kind."""
    normal = jax.nn.initializers.normal
    assert kind_of(normal(0.02)) == kind_of(normal(0.02))
    assert hash(kind_of(normal(0.02))) == hash(kind_of(normal(0.02)))
    assert kind_of(jax.nn.initializers.he_normal()) == kind_of(jax.nn.initializers.he_normal())
    assert kind_of(scaled(0.5)) == kind_of(scaled(0.5))
    assert kind_of(functools.partial(max, 1)) == kind_of(functools.partial(max, 1))
    assert kind_of(functools.partial(scaled(1), dtype="f4")) == kind_of(
        functools.partial(scaled(1), dtype="f4")
    )

    @dataclasses.dataclass(frozen=True)
    class Mine:
        scale: float

        def __call__(self, key, shape, dtype):
            return jnp.full(shape, self.scale, dtype)

    assert kind_of(Mine(1.0)) == kind_of(Mine(1.0)) != kind_of(Mine(1))


def test_other_functions_are_other_kinds():
    """Another type is another value; what may change is told apart by identity."""
    kinds = [kind_of(scaled(x)) for x in (1, 1.0, True, 0.0, -0.0, "1", np.float32(1), np.float64(1), None)]
    assert len(set(kinds)) == len(kinds)
    assert kind_of(jax.nn.initializers.normal(0.02)) != kind_of(jax.nn.initializers.normal(0.03))
    array = np.ones(2)
    first, second = scaled(array), scaled(array)
    assert kind_of(first) == kind_of(first) != kind_of(second)
    assert kind_of(functools.partial(max, 1)) != kind_of(functools.partial(max, 1.0))
    assert kind_of(zeros()) != kind_of(ones())


def test_globals_are_part_of_a_kind(monkeypatch):
    """A function that reads a global number is another kind after the number changed."""

    def initializer(key, shape, dtype):
        return FACTOR * jax.random.normal(key, shape, dtype)

    before = kind_of(initializer)
    assert kind_of(initializer) == before
    monkeypatch.setitem(globals(), "FACTOR", 0.2)
    assert kind_of(initializer) != before


def test_traced_values_have_no_kind():
    """Nothing is kept of a function that closes over a traced value."""
    kinds = []
    jax.eval_shape(lambda x: kinds.append(kind_of(scaled(x))), 1.0)
    assert kinds[0] is None


def test_a_kind_keeps_no_object_alive():
    """The kind of a gone function equals no later one's."""
    kind = kind_of(scaled(np.ones(2)))
    later = [kind_of(scaled(np.ones(2))) for _ in range(10)]
    assert kind not in later
