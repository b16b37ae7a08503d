"""Several functions over one tree, passes inside passes, threads, tasks and generators."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

X = np.asarray([0.5, -1.0, 2.0], np.float32)
KEY = 0


@jax.jit
def jitted(x: Any) -> Any:
    """A jitted function of the module: all passes of all functions share its trace cache."""
    return x * js.get_variable("w", [3])


def in_scope(name: str) -> Any:
    """Return a function that calls it in a scope."""

    def f(x: Any) -> Any:
        with js.variable_scope(name):
            return jitted(x)

    return f


# --- several functions ----------------------------------------------------------------------------


def test_functions_share_a_tree():
    """An encoder and its two heads are three functions; each takes what it needs of one tree."""

    def encoder(x: Any) -> Any:
        with js.variable_scope("encoder", reuse=js.AUTO_REUSE):
            return jitted(x)

    def head(name: str) -> Any:
        def f(x: Any) -> Any:
            x = encoder(x)
            with js.variable_scope(name):
                return jitted(x)

        return f

    nets = [js.transform(encoder), js.transform(head("policy")), js.transform(head("value"))]
    x = jnp.asarray(X)
    key = jax.random.key(KEY)
    tree = js.Variables({})
    for net in nets:
        tree = tree | net.init(key, x)
    assert list(tree) == ["encoder/w", "policy/w", "value/w"]
    e, p, v = (tree[name] for name in tree)
    for apply in (lambda net: net.apply, lambda net: jax.jit(net.apply)):
        got = [apply(net)(tree, x) for net in nets]
        np.testing.assert_allclose(got, [x * e, x * e * p, x * e * v], rtol=1e-6)
    # In any order, and again.
    np.testing.assert_allclose(nets[0].apply(tree, x), x * e, rtol=1e-6)
    gradients = jax.grad(lambda tree: sum(jnp.sum(net.apply(tree, x)) for net in nets))(tree)
    np.testing.assert_allclose(gradients["encoder/w"], x * (1 + p + v), rtol=1e-6)


def test_one_function_transformed_twice():
    """Two transformed functions of one function have nothing in common but their names."""
    one, two = js.transform(in_scope("a")), js.transform(in_scope("a"))
    assert list(one.spec(X)) == list(two.spec(X)) == ["a/w"]
    w = jnp.ones(3)
    assert one.apply({"a/w": w}, X).tolist() == X.tolist()
    assert two.apply({"a/w": 3 * w}, X).tolist() == (3 * X).tolist()


def test_a_transformed_function_in_the_body_of_another():
    """It makes its variables there, below the scope that is open."""
    inner = js.transform(in_scope("inner"))
    inner.init(jax.random.key(KEY), X)  # what it learned alone does not matter

    @js.transform
    def outer(x: Any) -> Any:
        with js.variable_scope("outer"):
            return inner(x)

    @js.transform
    def wrapped(x: Any) -> Any:
        with js.variable_scope("one"):
            x = jax.jit(inner)(x)
        with js.variable_scope("two"):
            return jax.checkpoint(inner)(x)

    assert list(outer.spec(X)) == ["outer/inner/w"]
    variables = wrapped.init(jax.random.key(KEY), X)
    assert list(variables) == ["one/inner/w", "two/inner/w"]
    expected = X * variables["one/inner/w"] * variables["two/inner/w"]
    np.testing.assert_allclose(wrapped.apply(variables, X), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(wrapped.apply)(variables, X), expected, rtol=1e-6)


def test_a_method():
    """Methods of one object share what the object gives them, and nothing else."""

    class Model:
        def __init__(self, name: str) -> None:
            self.name = name

        @js.transform
        def forward(self, x: Any) -> Any:
            return in_scope(self.name)(x)

    one, two = Model("one"), Model("two")
    assert [list(model.forward.spec(X)) for model in (one, two)] == [["one/w"], ["two/w"]]
    w = jnp.ones(3)
    assert one.forward.apply({"one/w": w}, X).tolist() == X.tolist()
    assert two.forward.apply({"two/w": 2 * w}, X).tolist() == (2 * X).tolist()


# --- passes inside passes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.jit, jax.checkpoint, lambda f: lambda x: jax.vmap(f)(x[None])[0]]
)
def test_apply_inside_apply(wrap: Any):
    """The inner pass reads what it is given; the outer one goes on as if nothing had happened."""
    inner = js.transform(in_scope("w"))

    @js.transform
    def outer(x: Any) -> Any:
        with js.variable_scope("a"):
            given = js.get_variable("w", [3])
            y = jitted_after(x)
            z = wrap(lambda x: inner.apply({"w/w": 2 * given}, x))(y)
            with js.variable_scope("b"):
                return jitted(z)

    def jitted_after(x: Any) -> Any:
        with js.variable_scope("c"):
            return jitted(x)

    variables = outer.init(jax.random.key(KEY), X)
    assert list(variables) == ["a/b/w", "a/c/w", "a/w"]
    expected = X * variables["a/c/w"] * 2 * variables["a/w"] * variables["a/b/w"]
    for apply in (outer.apply, outer.apply, jax.jit(outer.apply)):
        np.testing.assert_allclose(apply(variables, X), expected, rtol=1e-6)


def test_init_inside_init():
    """Variables that a body makes for another function are values there: computed, like any other."""
    inner = js.transform(in_scope("w"))

    @js.transform
    def outer(x: Any, key: Any) -> Any:
        made = inner.init(key, x)
        return inner.apply(made, jitted(x))

    key = jax.random.key(7)
    variables = outer.init(jax.random.key(KEY), X, key)
    assert list(variables) == ["w"]
    expected = X * variables["w"] * inner.init(key, X)["w/w"]
    for apply in (outer.apply, jax.jit(outer.apply)):
        np.testing.assert_allclose(apply(variables, X, key), expected, rtol=1e-6)


def test_spec_inside_a_jitted_function():
    """`spec` needs no values, so it may be asked anywhere, and leaves nothing behind."""
    inner = js.transform(in_scope("w"))
    found = []

    @jax.jit
    def f(x: Any) -> Any:
        found.append(list(inner.spec(x)))
        return x

    f(X)
    assert found == [["w/w"]]
    assert not jax.make_jaxpr(lambda x: (inner.spec(x), x)[1])(X).eqns


def test_recursion():
    """A transformed function that applies itself to other variables."""

    @js.transform
    def net(x: Any, depth: int) -> Any:
        y = jitted(x)
        return net.apply({"w": 2 * js_w()}, y, depth - 1) if depth else y

    def js_w() -> Any:
        with js.variable_scope("", reuse=True):
            return js.get_variable("w")

    w = jnp.asarray([1.0, 2.0, 3.0])
    expected = X * w * (2 * w) * (4 * w)
    assert list(net.spec(X, 2)) == ["w"]
    np.testing.assert_allclose(net.apply({"w": w}, X, 2), expected)
    np.testing.assert_allclose(jax.jit(net.apply, static_argnums=2)({"w": w}, X, 2), expected)


def test_an_error_inside_leaves_the_outer_pass_whole():
    """After a failed pass, or a failed trace, the pass around it goes on where it was."""
    broken = js.transform(lambda x: jax.jit(lambda x: 1 / 0)(jitted(x)))

    @js.transform
    def outer(x: Any) -> Any:
        with js.variable_scope("a"):
            with pytest.raises(ZeroDivisionError):
                broken.apply({"w": x}, x)
            with pytest.raises(js.errors.VariableNotFoundError):
                broken.apply({}, x)
            x = jitted(x)
        with js.variable_scope("b"):
            return jitted(x)

    variables = outer.init(jax.random.key(KEY), X)
    assert list(variables) == ["a/w", "b/w"]
    expected = X * variables["a/w"] * variables["b/w"]
    np.testing.assert_allclose(outer.apply(variables, X), expected, rtol=1e-6)


def test_requests_do_not_reach_the_outer_pass():
    """A function applied inside has its own names; those of the outer pass are hidden from it."""
    inner = js.transform(lambda x: x + js.get_variable("w", [3]))

    @js.transform
    def outer(x: Any) -> Any:
        js.get_variable("w", [3])
        with js.variable_scope("", reuse=True):
            return inner.apply({"w": jnp.zeros(3)}, x)

    assert outer.apply({"w": jnp.ones(3)}, jnp.asarray(X)).tolist() == X.tolist()


# --- NumPy ----------------------------------------------------------------------------------------


def test_numpy_variables():
    """NumPy arrays serve as variables, however the call is made: a checkpoint may come as such."""

    @js.transform
    def net(x: Any) -> Any:
        x = jitted(x)
        with js.variable_scope("", reuse=True):
            return jitted(x) + js.get_variable("w")

    w = np.asarray([1.0, 2.0, 3.0], np.float32)
    expected = X * w * w + w
    np.testing.assert_allclose(net.apply({"w": w}, X), expected)
    np.testing.assert_allclose(jax.jit(lambda x: net.apply({"w": w}, x))(X), expected)
    np.testing.assert_allclose(jax.jit(net.apply)({"w": w}, X), expected)
    np.testing.assert_allclose(jax.grad(lambda x: net.apply({"w": w}, x).sum())(X), w * w)


# --- threads --------------------------------------------------------------------------------------


def test_threads():
    """Passes in threads know nothing of one another, though they share jitted functions and nets."""
    shared = js.transform(in_scope("shared"))
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        net = js.transform(in_scope(f"n{number}"))
        w = jnp.full(3, float(number + 1))
        barrier.wait()
        for _ in range(5):
            assert list(net.spec(X)) == [f"n{number}/w"]
            np.testing.assert_allclose(net.apply({f"n{number}/w": w}, X), X * w)
            np.testing.assert_allclose(shared.apply({"shared/w": w}, X), X * w)
            np.testing.assert_allclose(jax.jit(shared.apply)({"shared/w": w}, X), X * w)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result()


def test_a_thread_inside_a_pass_sees_no_pass():
    """R5: a thread started by the function would ask in no order that anybody knows."""
    problems = []

    def ask() -> None:
        try:
            js.get_variable("w", [3])
        except js.errors.NoPassError as problem:
            problems.append(problem.code)

    @js.transform
    def net(x: Any) -> Any:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return x * js.get_variable("w", [3])

    assert list(net.spec(X)) == ["w"]
    assert len(problems) == 1


def test_a_pass_handed_to_a_thread():
    """A context copied into a thread carries the pass along, which refuses it."""

    def ask(context: contextvars.Context) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(context.run, js.get_variable, "w", [3]).result()

    net = js.transform(lambda: ask(contextvars.copy_context()))
    with pytest.raises(js.errors.NoPassError, match="another thread"):
        net.spec()


# --- tasks and generators -------------------------------------------------------------------------


def test_tasks():
    """Each task of an event loop has its own passes, also where they wait between one and the next."""

    async def train(name: str, scale: float) -> None:
        net = js.transform(in_scope(name))
        for _ in range(3):
            variables = net.init(jax.random.key(KEY), X)
            await asyncio.sleep(0)
            assert list(variables) == [f"{name}/w"]
            y = net.apply({f"{name}/w": jnp.full(3, scale)}, X)
            await asyncio.sleep(0)
            np.testing.assert_allclose(y, X * scale)

    async def main() -> None:
        await asyncio.gather(train("a", 1.0), train("b", 2.0), train("c", 3.0))

    asyncio.run(main())


def test_a_task_inside_a_pass():
    """An event loop that a function runs to its end asks in the function's pass, in its thread."""

    async def ask(x: Any) -> Any:
        await asyncio.sleep(0)
        with js.variable_scope("a"):
            return jitted(x)

    net = js.transform(lambda x: asyncio.run(ask(x)))
    assert list(net.spec(X)) == ["a/w"]
    np.testing.assert_allclose(net.apply({"a/w": jnp.ones(3)}, X), X)


def test_a_coroutine_function_has_no_pass_left():
    """The pass of an async function ends when it gives its coroutine: what that asks for comes too late."""

    async def ask() -> Any:
        return js.get_variable("w", [3])

    coroutine = js.transform(ask).apply({"w": jnp.ones(3)})
    with pytest.raises(js.errors.NoPassError):
        asyncio.run(coroutine)


def test_a_generator_that_outlives_its_pass():
    """It asks too late, and says so; the pass that is then running is left alone."""

    def layers(x: Any) -> Any:
        with js.variable_scope("a"):
            yield jitted(x)
            yield js.get_variable("late", [3])

    kept = []

    @js.transform
    def net(x: Any) -> Any:
        generator = layers(x)
        kept.append(generator)
        return next(generator)

    assert list(net.spec(X)) == ["a/w"]
    with pytest.raises(js.errors.NoPassError):
        next(kept[-1])  # the first pass may have started again
    assert list(net.spec(X)) == ["a/w"]
    kept.clear()


def test_a_generator_inside_a_pass():
    """Run to its end in one pass, it is like any other function."""

    def layers(x: Any) -> Any:
        for number in range(3):
            with js.variable_scope(f"layer_{number}"):
                x = jitted(x)
            yield x

    net = js.transform(lambda x: list(layers(x))[-1])
    assert list(net.spec(X)) == ["layer_0/w", "layer_1/w", "layer_2/w"]


def test_generators_that_interleave_scopes():
    """Two scopes left in the order of entering would mix names up: an error, and not names."""

    def layer(name: str) -> Any:
        with js.variable_scope(name):
            yield js.get_variable("v", [3])
            yield js.get_variable("w", [3])

    @js.transform
    def net() -> Any:
        one, two = layer("one"), layer("two")
        next(one)
        next(two)
        list(one)

    with pytest.raises(js.errors.ScopeNestingError):
        net.spec()
