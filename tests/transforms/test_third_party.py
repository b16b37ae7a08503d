"""Libraries built on JAX's transforms work around code that asks for variables, as they are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.transforms import outcomes

X = np.asarray([0.5, -1.0, 2.0], np.float32)


def field(y: Any) -> Any:
    """A small network with variables of its own."""
    with js.variable_scope("field"):
        return jnp.tanh(y * js.get_variable("w", [3]) + js.get_variable("b", [3]))


def shared_field(y: Any) -> Any:
    """The same, for callers who call it as often as they like."""
    with js.variable_scope("", reuse=js.AUTO_REUSE):
        return field(y)


def field_by_hand(variables: Any, y: Any) -> Any:
    return jnp.tanh(y * variables["field/w"] + variables["field/b"])


def agree(function: Any, by_hand: Any, names: list[str]) -> None:
    """Check names, values and gradients against a function of a dict of variables."""
    net = js.transform(function)
    x = jnp.asarray(X)
    variables = net.init(jax.random.key(0), x)
    assert list(variables) == names
    given = dict(variables)
    for apply in (net.apply, jax.jit(net.apply)):
        np.testing.assert_allclose(apply(given, x), by_hand(given, x), rtol=1e-5, atol=1e-6)

    def gradients(f: Any) -> Any:
        return jax.grad(lambda variables, x: jnp.sum(f(variables, x) ** 2), argnums=(0, 1))(given, x)

    def staged_gradients(f: Any) -> Any:
        loss = lambda variables, x: jnp.sum(f(variables, x) ** 2)
        return jax.jit(jax.grad(jax.jit(loss), argnums=(0, 1)))(given, x)

    for taken in (gradients, staged_gradients):
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5),
            taken(net.apply),
            taken(by_hand),
        )


@pytest.mark.filterwarnings("default")  # of others' libraries
def test_diffrax():
    """A neural ODE: the vector field owns its variables, and the solver calls it as it likes."""
    diffrax = pytest.importorskip("diffrax")

    def solve(vector_field: Any, x: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, y, args: vector_field(y)),
                diffrax.Heun(),
                t0=0.0,
                t1=1.0,
                dt0=0.5,
                y0=x,
                max_steps=4,
            ).ys[-1]

    agree(
        lambda x: solve(shared_field, x),
        lambda variables, x: solve(lambda y: field_by_hand(variables, y), x),
        ["field/b", "field/w"],
    )


@pytest.mark.filterwarnings("default")
def test_optimistix():
    """A fixed point of a network, with implicit derivatives by values that are passed as arguments."""
    optimistix = pytest.importorskip("optimistix")

    def solve(w: Any, b: Any, x: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            solver = optimistix.Newton(rtol=1e-6, atol=1e-6)
            step = lambda y, args: y - 0.5 * jnp.tanh(y * args[0] + args[1]) - args[2]
            return optimistix.root_find(step, solver, x, args=(w, b, x)).value

    def net(x: Any) -> Any:
        with js.variable_scope("field"):
            return jax.jit(solve)(js.get_variable("w", [3]), js.get_variable("b", [3]), x)

    agree(net, lambda v, x: solve(v["field/w"], v["field/b"], x), ["field/b", "field/w"])


@pytest.mark.filterwarnings("default")
def test_optimistix_makes_the_variables():
    """The function whose fixed point is sought may itself ask for its variables."""
    optimistix = pytest.importorskip("optimistix")

    def solve(function: Any, x: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            solver = optimistix.FixedPointIteration(rtol=1e-6, atol=1e-6)
            return optimistix.fixed_point(lambda y, _: 0.5 * function(y) + x, solver, x, max_steps=64).value

    agree(
        lambda x: solve(shared_field, x),
        lambda variables, x: solve(lambda y: field_by_hand(variables, y), x),
        ["field/b", "field/w"],
    )


def test_custom_root():
    """`lax.custom_root` of an equation that a network is part of."""

    def solve(function: Any, x: Any) -> Any:
        def newton(residual: Any, start: Any) -> Any:
            step = lambda _, y: y - jnp.linalg.solve(jax.jacfwd(residual)(y), residual(y))
            return jax.lax.fori_loop(0, 6, step, start)

        def tangent(linear: Any, y: Any) -> Any:
            return jnp.linalg.solve(jax.jacfwd(linear)(y), y)

        return jax.lax.custom_root(lambda y: y - 0.5 * function(y) - x, x, newton, tangent)

    agree(
        lambda x: solve(shared_field, x),
        lambda variables, x: solve(lambda y: field_by_hand(variables, y), x),
        ["field/b", "field/w"],
    )


@pytest.mark.filterwarnings("default")
def test_equinox_modules():
    """An Equinox module is a function, and a pytree of constants, like any other."""
    equinox = pytest.importorskip("equinox")
    linear = equinox.nn.Linear(3, 3, key=jax.random.key(1))

    def net(x: Any, module: Any) -> Any:
        return module(field(x))

    transformed = js.transform(net)
    variables = dict(transformed.init(jax.random.key(0), X, linear))
    assert list(variables) == ["field/b", "field/w"]
    expected = linear(field_by_hand(variables, X))
    for apply in (transformed.apply, equinox.filter_jit(transformed.apply)):
        np.testing.assert_allclose(apply(variables, X, linear), expected, rtol=1e-5)
    gradients = equinox.filter_grad(lambda module: transformed.apply(variables, X, module).sum())(linear)
    np.testing.assert_allclose(gradients.bias, np.ones(3))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["filter_jit", "filter_vmap", "filter_checkpoint", "filter_closure_convert"])
def test_equinox_transforms(name: str):
    """Equinox's own transforms around code that asks for variables."""
    equinox = pytest.importorskip("equinox")

    def around(f: Any) -> Any:
        if name == "filter_vmap":
            return lambda x: equinox.filter_vmap(f)(x[None])[0]
        if name == "filter_closure_convert":
            return lambda x: equinox.filter_closure_convert(f, x)(x)
        return getattr(equinox, name)(f)

    def net(x: Any) -> Any:
        f = around(field)
        with js.variable_scope("a"):
            x = f(x)
        with js.variable_scope("b"):
            return f(x)

    def by_hand(variables: Any, x: Any) -> Any:
        for scope in "ab":
            w, b = variables[f"{scope}/field/w"], variables[f"{scope}/field/b"]
            x = jnp.tanh(x * w + b)
        return x

    agree(net, by_hand, ["a/field/b", "a/field/w", "b/field/b", "b/field/w"])


def test_optax():
    """Optimizers take the variables for the pytree that they are."""
    optax = pytest.importorskip("optax")
    net = js.transform(jax.jit(field))
    x = jnp.asarray(X)
    variables = net.init(jax.random.key(0), x)
    optimizer = optax.adam(0.1)

    @jax.jit
    def step(variables: Any, state: Any) -> Any:
        loss, gradients = jax.value_and_grad(lambda v: jnp.sum((net.apply(v, x) - 0.5) ** 2))(variables)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, state = optimizer.update(gradients, state, variables)
        return optax.apply_updates(variables, updates), state, loss

    state = optimizer.init(variables)
    losses = []
    for _ in range(30):
        variables, state, loss = step(variables, state)
        losses.append(float(loss))
    assert losses[-1] < 0.2 * losses[0]
    assert list(variables) == ["field/b", "field/w"]


def test_failures_are_no_surprise():
    """Where a solver calls a function more than once, a scope that does not share says so."""

    def solve(x: Any) -> Any:
        return jax.lax.associative_scan(lambda a, b: a + b + 0 * field(a), jnp.stack([x, x, x, x]))[-1]

    failure = outcomes.attempt(js.transform(solve).spec, X)
    assert failure == outcomes.Failure("VariableExistsError", "exists")
