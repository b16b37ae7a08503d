"""js.ensemble: members side by side, with the variables of the loop over them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from tests.depth.same import X, assert_close, assert_same, count_equations, outcome


def loop(block: Any, size: int, name: str = "member_{}", *, in_axes: int | None = None) -> Any:
    """Return the loop that `js.ensemble` stands for."""

    def run(*args: Any, **kwargs: Any) -> Any:
        found = []
        for i in range(size):
            mine = [arg if in_axes is None else jnp.take(arg, i, in_axes) for arg in args]
            with js.variable_scope(name.format(i)):
                found.append(block(*mine, **kwargs))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    return run


def layer(x: jax.Array) -> jax.Array:
    w = js.get_variable("w", [3, 3])
    with js.variable_scope(None, "bias"):
        b = js.get_variable("b", [3], initializer=js.initializers.ones)
    return jnp.tanh(x @ w + b)


def counting(x: jax.Array) -> jax.Array:
    n = js.get_variable("n", [], "float32", js.initializers.zeros, trainable=False)
    js.set_variable("n", n + x.sum())
    return x * (n + 1)


def noisy(x: jax.Array) -> jax.Array:
    return x + jax.random.uniform(js.next_key(), x.shape)


def plain(lift: Any, x: Any) -> Any:
    return lift(layer, 3)(x)


def in_scopes(lift: Any, x: Any) -> Any:
    members = lift(layer, 2, "m{}")
    with js.variable_scope("a"):
        y = members(x)
    with js.variable_scope("b"):
        return y + members(x)


def own_arguments(lift: Any, x: Any) -> Any:
    return lift(layer, 3, in_axes=0)(jnp.stack([x, x + 1, x + 2]))


def along_another_axis(lift: Any, x: Any) -> Any:
    return lift(layer, 3, in_axes=1)(jnp.stack([x, x + 1, x + 2], axis=1))


def tree(lift: Any, x: Any) -> Any:
    def block(x: Any, *, scale: float) -> Any:
        return {"y": layer(x) * scale, "n": jnp.int32(1)}

    return lift(block, 2)(x, scale=2.0)


def one_after_the_other(lift: Any, x: Any) -> Any:
    hidden = lift(layer, 3)(x)
    return lift(layer, 3, "head_{}", in_axes=0)(hidden)


def shared(lift: Any, x: Any) -> Any:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return lift(layer, 2)(x) + lift(layer, 2)(x * 2)


def exists(lift: Any, x: Any) -> Any:
    return lift(layer, 2)(x) + lift(layer, 2)(x)


def missing(lift: Any, x: Any) -> Any:
    with js.variable_scope("a", reuse=True):
        return lift(layer, 2)(x)


def losses(lift: Any, x: Any) -> Any:
    with js.variable_scope("a", regularizer=js.regularizers.l2(0.5)):
        y = lift(layer, 2)(x)
    return y, js.get_collection("regularization_losses"), js.get_collection("variables")


def state(lift: Any, x: Any) -> Any:
    return lift(counting, 3)(x)


def keys(lift: Any, x: Any) -> Any:
    with js.random_keys(jax.random.key(3)):
        return lift(noisy, 3)(x), lift(noisy, 3)(x)


def under_jit_and_grad(lift: Any, x: Any) -> Any:
    return jax.grad(lambda x: jax.jit(lift(layer, 2))(x).sum())(x)


def in_js_jit(lift: Any, x: Any) -> Any:
    def block(x: Any) -> Any:
        return lift(layer, 2)(x).sum(0)

    block = js.jit(block)
    with js.variable_scope("a"):
        x = block(x)
    with js.variable_scope("b"):
        return block(x)


def around_layers(lift: Any, x: Any) -> Any:
    return lift(js.scan_layers(layer, 2), 2)(x)


PROGRAMS = [
    plain, in_scopes, own_arguments, along_another_axis, tree, one_after_the_other, shared, exists, missing,
    losses, state, keys, under_jit_and_grad, in_js_jit, around_layers,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_as_a_loop(program: Any):
    """An ensemble does what the loop over its members does: names, bits, values, gradients, state, keys."""
    expected = outcome(functools.partial(program, loop), eagerly=program is shared)
    assert_same(outcome(functools.partial(program, js.ensemble), eagerly=program is shared), expected)


@pytest.mark.parametrize("program", [plain, own_arguments, losses, state], ids=lambda p: p.__name__)
def test_given_stacked(program: Any):
    """The ensemble and the loop take the members' variables stacked, too."""
    bare, net = (js.transform(functools.partial(program, lift)) for lift in (loop, js.ensemble))
    values = bare.init(jax.random.key(0), X)
    stacked = values.stack("member_{}")
    expected, after = jax.jit(bare.apply_with_state)(values, X)
    for way in (bare, net):
        found, new = jax.jit(way.apply_with_state)(stacked, X)
        assert_close(found, expected)
        assert_close(dict(new.unstack()), dict(after))


def test_size_in_members():
    """With stacked variables the program is of one size for any number of members."""

    def equations(size: int) -> int:
        net = js.transform(js.ensemble(layer, size))
        given = net.init(jax.random.key(0), X).stack("member_{}")
        return count_equations(jax.make_jaxpr(net.apply)(given, X).jaxpr)

    assert equations(4) == equations(64)


def test_errors():
    """A wrong name or number is said when the ensemble is made; what cannot be lifted, when it is called."""
    with pytest.raises(js.errors.InvalidNameError):
        js.ensemble(layer, 2, "member")
    with pytest.raises(js.errors.InvalidShapeError):
        js.ensemble(layer, 0)
    with pytest.raises(js.errors.TraceError, match=r"js\.Variable"):
        js.transform(js.ensemble(lambda x: x * js.Variable(1.0), 2)).spec(X)


@pytest.mark.parametrize("in_axes", [None, 0])
def test_error_in_a_member(in_axes: int | None):
    """What goes wrong in a member is said by its full names."""

    def block(x: Any) -> Any:
        x = x * js.get_variable("w", [3])
        return x * js.get_variable("w", [3])

    net = js.transform(js.ensemble(block, 2, in_axes=in_axes))
    with pytest.raises(js.errors.VariableExistsError, match="member_0/w"):
        net.spec(X if in_axes is None else jnp.stack([X, X]))
