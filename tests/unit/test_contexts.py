"""Passes beside and inside each other: recursion, threads, tasks, generators, and scopes left in disorder."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import (
    JaxscopeError,
    NoPassError,
    ScopeNestingError,
)

KEY = jax.random.key(0)
ONE = jnp.ones(3)


@js.transform
def scale(x: Any) -> Any:
    return x * js.get_variable("w", [3])


def refused(kind: type[JaxscopeError], code: str, run: Callable[[], Any]) -> JaxscopeError:
    with pytest.raises(kind) as caught:
        run()
    assert caught.value.code == code
    return caught.value


def recorded(function: Callable[..., Any], *args: Any) -> js.VariableSpecs:
    return js.transform(function).spec(*args)


# --- passes in passes --------------------------------------------------------------------------


def test_a_function_may_call_itself():
    def tree(depth: int) -> None:
        with js.variable_scope(f"at_{depth}"):
            js.get_variable("w", [1])
            if depth:
                transformed(depth - 1)
                tree(depth - 2) if depth > 1 else None

    transformed = js.transform(tree)
    assert list(transformed.spec(2)) == ["at_2/w", "at_2/at_1/w", "at_2/at_1/at_0/w", "at_2/at_0/w"]


def test_recursion_without_end_is_python_s_error():
    def endless() -> Any:
        with js.variable_scope("a"):
            return transformed()

    transformed = js.transform(endless)
    with pytest.raises(RecursionError):
        transformed.spec()
    refused(NoPassError, "no_pass", js.get_variable_scope)


def test_apply_inside_another_function_is_a_pass_of_its_own():
    @js.transform
    def outer(x: Any) -> Any:
        with js.variable_scope("outer", reuse=js.AUTO_REUSE):
            w = js.get_variable("w", [3])
            y = scale.apply({"w": 2 * w}, x)
            y, _ = scale.apply_with_state({"w": w}, y)
            return y + js.get_variable("b", [3])

    assert list(outer.spec(ONE)) == ["outer/w", "outer/b"]
    given = {"outer/w": 3 * ONE, "outer/b": ONE}
    for apply in (outer.apply, jax.jit(outer.apply)):
        np.testing.assert_array_equal(apply(given, ONE), 19 * ONE)


def test_init_inside_another_function_is_a_pass_of_its_own():
    """Its values are those of init outside, and do not become variables of the outer one."""

    @js.transform
    def outer(x: Any) -> Any:
        assert list(scale.spec(x)) == ["w"]
        inner = scale.init(KEY, x)
        return inner["w"] * js.get_variable("v", [3])

    assert list(outer.spec(ONE)) == ["v"]
    for apply in (outer.apply, jax.jit(outer.apply)):
        np.testing.assert_array_equal(apply({"v": ONE}, ONE), scale.init(KEY, ONE)["w"])


def test_a_function_initialized_inside_itself():
    @js.transform
    def net(depth: int) -> Any:
        w = js.get_variable("w", [2])
        return w if depth == 0 else w + net.init(KEY, depth - 1)["w"] + net.apply({"w": w}, depth - 1)

    w = net.init(KEY, 2)["w"]
    np.testing.assert_allclose(net.apply({"w": jnp.ones(2)}, 1), 2 + w, rtol=1e-6)


# --- threads, tasks, generators ----------------------------------------------------------------


def test_eight_threads_of_fifty_passes():
    """One transformed function, with inner transforms, learns and runs in all of them at once."""

    @js.transform
    def net(x: Any) -> Any:
        @jax.jit
        def layer(x: Any) -> Any:
            return x + js.get_variable("w", [3])

        for number in range(2):
            with js.variable_scope(None, "layer"):
                x = layer(x)
            assert js.get_variable_scope().name == ""
            js.Variable(float(number), name="v")
        return x

    names = ["layer/w", "v", "layer_1/w", "v_1"]
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        given = {name: np.full(3 * name.endswith("w") or (), thread, np.float32) for name in names}
        for number in range(50):
            if number % 10 == 0:
                assert list(net.spec(ONE)) == names
            np.testing.assert_array_equal(net.apply(given, ONE), 1.0 + 2 * thread)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, thread) for thread in range(8)]:
            done.result()


@pytest.mark.parametrize("copied", [False, True], ids=["new context", "copied context"])
def test_a_thread_started_inside_a_pass_sees_none(copied: bool):
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            js.get_variable("b", [1])
        except NoPassError as error:
            caught.append(error)

    @js.transform
    def net() -> Any:
        a = js.get_variable("a", [1])
        target = functools.partial(contextvars.copy_context().run, ask) if copied else ask
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        return a

    assert net.apply({"a": jnp.ones(1), "b": jnp.ones(1)}) == 1
    assert [error.code for error in caught] == ["no_pass"]


def test_a_thread_inside_a_pass_may_run_a_pass_of_its_own():
    @js.transform
    def net() -> Any:
        with ThreadPoolExecutor(1) as pool:
            y = pool.submit(scale.apply, {"w": ONE}, 2 * ONE).result()
        return y + js.get_variable("b", [3])

    np.testing.assert_array_equal(net.apply({"b": ONE}), 3 * ONE)


def test_a_task_started_inside_a_pass_sees_none():
    async def main() -> Any:
        tasks = []

        async def ask() -> Any:
            return js.get_variable("b", [1])

        @js.transform
        def net() -> Any:
            tasks.append(asyncio.get_running_loop().create_task(ask()))
            return js.get_variable("a", [1])

        net.apply({"a": jnp.ones(1)})
        return await tasks[0]

    refused(NoPassError, "no_pass", lambda: asyncio.run(main()))


def test_tasks_run_their_passes_beside_each_other():
    async def one(number: int) -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
            np.testing.assert_array_equal(scale.apply({"w": number * ONE}, ONE), number * ONE)
        return number

    async def main() -> list[int]:
        return await asyncio.gather(*map(one, range(4)))

    assert asyncio.run(main()) == [0, 1, 2, 3]


def test_a_generator_that_outlives_its_pass_sees_none():
    def parts() -> Iterator[Any]:
        with js.variable_scope("g"):
            yield js.get_variable("a", [1])
            yield js.get_variable("b", [1])

    kept = []

    @js.transform
    def net() -> None:
        generator = parts()
        next(generator)
        kept.append(generator)

    net.apply({"g/a": jnp.ones(1), "g/b": jnp.ones(1)})
    refused(NoPassError, "no_pass", lambda: next(kept[0]))
    kept[0].close()
    np.testing.assert_array_equal(scale.apply({"w": ONE}, ONE), ONE)


def test_generators_that_interleave_two_passes():
    """Each step of a generator runs a pass that is over when it yields."""

    def steps(name: str, value: float) -> Iterator[Any]:
        def make() -> Any:
            with js.variable_scope(name):
                return js.get_variable("w", [])

        net = js.transform(make)
        for _ in range(3):
            yield list(net.spec()), float(net.apply({f"{name}/w": jnp.float32(value)}))

    pairs = list(zip(steps("a", 1.0), steps("b", 2.0), strict=True))
    assert pairs == [((["a/w"], 1.0), (["b/w"], 2.0))] * 3


def test_scopes_left_out_of_order():
    def net() -> None:
        a, b = js.variable_scope("a"), js.variable_scope("b")
        a.__enter__()
        b.__enter__()
        a.__exit__(None, None, None)

    refused(ScopeNestingError, "scope_nesting", lambda: recorded(net))
    never_entered = js.variable_scope("a")
    refused(
        ScopeNestingError, "scope_nesting", lambda: recorded(lambda: never_entered.__exit__(None, None, None))
    )


def test_two_generators_in_one_pass():
    def weight(name: str) -> Iterator[Any]:
        with js.variable_scope(name):
            yield js.get_variable("w", [])

    refused(
        ScopeNestingError,
        "scope_nesting",
        lambda: recorded(lambda: list(zip(weight("a"), weight("b"), strict=True))),
    )
