"""Values are drawn by initializers as they are at the call, and nothing of these is kept."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import io_callback

import jaxscope as js
from tests.transforms.test_eager import THINGS, Thing

KEY = jax.random.key(0)
HOW: dict[str, Callable[[Any], Any]] = {
    "eager": lambda init: init,
    "jit": lambda init: jax.jit(lambda key: init(key)),
}


class Initializer:
    """An initializer that is an object."""

    def __init__(self, held: Any, read: Any) -> None:
        self.held, self.read = held, read

    def __call__(self, key: Any, shape: Any, dtype: Any) -> Any:
        return self.read(self.held) + 0 * jax.random.normal(key, shape, dtype)


def closure(held: Any, read: Any) -> Any:
    return lambda key, shape, dtype: read(held) + 0 * jax.random.normal(key, shape, dtype)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("make", [Initializer, closure])
@pytest.mark.parametrize("thing", THINGS.values(), ids=list(THINGS))
def test_an_initializer_is_called_as_it_is_now(thing: Thing, make: Any, how: str):
    """Whatever it reads has changed; also where another like it has changed in between."""
    one, two = thing.make(2.0), thing.make(2.0)
    nets = [
        js.transform(lambda start=start: js.get_variable("w", [], initializer=start))
        for start in (make(one, thing.read), make(two, thing.read))
    ]

    def drawn() -> list[float]:
        return [float(HOW[how](net.init)(KEY)["w"]) for net in nets]

    assert drawn() == [2, 2]
    thing.change(one, 3.0)
    last = 3 if thing is THINGS["attribute of the class"] else 2
    assert drawn()[0] == 3
    assert drawn()[1] in (2, last)
    thing.change(one, 2.0)
    assert drawn() == [2, 2]


@pytest.mark.parametrize("how", HOW)
def test_the_shape_is_checked_as_it_is_now(how: str):
    """An initializer that began to give another shape is refused."""
    sizes = [2]
    net = js.transform(lambda: js.get_variable("w", [2], initializer=lambda k, s, d: jnp.zeros(sizes[0], d)))
    net.init(KEY)
    sizes[0] = 3
    with pytest.raises(js.errors.InitializerError):
        HOW[how](net.init)(KEY)


@pytest.mark.parametrize("how", HOW)
def test_what_an_initializer_holds_is_freed(how: str):
    """The programs that drew its values keep neither it nor its arrays."""
    seen = []
    for number in range(5):
        array = jnp.full(1000, float(number))
        net = js.transform(
            lambda array=array: js.get_variable("w", [], initializer=lambda k, s, d: array[0].astype(d))
        )
        HOW[how](net.init)(KEY)
        seen.append(weakref.ref(array))
        del array, net
    gc.collect()
    if how == "jit":
        jax.clear_caches()  # the user's own program keeps it
        gc.collect()
    assert sum(reference() is not None for reference in seen) <= 1


def test_callbacks_of_an_initializer_reach_the_present_one():
    """Two that are alike call back each its own list."""
    lists: list[list[Any]] = [[], []]
    for calls in lists:

        def start(key: Any, shape: Any, dtype: Any, calls: Any = calls) -> Any:
            io_callback(calls.append, None, 1)
            return jnp.ones(shape, dtype)

        js.transform(lambda start=start: js.get_variable("w", [2], initializer=start)).init(KEY)
    jax.effects_barrier()
    assert [len(calls) for calls in lists] == [1, 1]
