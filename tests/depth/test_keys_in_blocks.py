"""Keys that blocks take are those of the loop, whatever is around and beside them, and go on afterwards."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import pytest

import jaxscope as js
from tests.depth.lifts import Lift, as_it_is, ensemble, layer, loop, scanned, side_by_side
from tests.depth.same import X, assert_same, outcome


def noisy(x: Any) -> Any:
    return layer(x) + jax.random.uniform(js.next_key(), (3,))


def adding(x: Any) -> Any:
    js.add_to_collection("kept", 0.5)
    return noisy(x)


def setting(x: Any) -> Any:
    n = js.get_variable("n", [], initializer=js.initializers.zeros, trainable=False)
    js.set_variable("n", n + 1)
    return noisy(x)


def doubled(getter: Any, name: str, **kwargs: Any) -> Any:
    return 2 * getter(name, **kwargs)


def frozen(next_creator: Any, **kwargs: Any) -> Any:
    return next_creator(**{**kwargs, "trainable": False})


AROUND = {
    "nothing": nullcontext,
    "a getter": lambda: js.variable_scope("", custom_getter=doubled, reuse=js.AUTO_REUSE),
    "a creator": lambda: js.variable_creator_scope(frozen),
}
LIFTS: dict[str, tuple[Lift, Lift]] = {
    "jit": (lambda f: loop(js.jit(f)), loop),
    "remat": (lambda f: loop(js.remat(f)), loop),
    "scan_layers": (scanned, loop),
    "ensemble": (ensemble, side_by_side),
    "remat in scan_layers": (lambda f: scanned(js.remat(f)), loop),
    "jit, once": (js.jit, as_it_is),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", LIFTS)
@pytest.mark.parametrize("block", [noisy, adding, setting])
def test_keys_go_on(block: Any, name: str, around: str):
    """Of two calls in one scope, and of what the user takes between them and after them."""
    surround: Any = AROUND[around]

    def program(lift: Lift) -> Any:
        def main(x: Any) -> Any:
            scope: AbstractContextManager[Any] = surround()
            with js.random_keys(jax.random.key(1)), js.variable_scope("", reuse=js.AUTO_REUSE), scope:
                found = [lift(block)(x), js.next_key(), lift(block)(x)]
                with js.variable_scope("layer_0"):
                    return *found, js.next_key()

        return lambda x: jax.tree.map(_bits, main(x))

    lifted, bare = LIFTS[name]
    assert_same(outcome(program(lifted), X, eagerly=False), outcome(program(bare), X, eagerly=False))


def _bits(value: jax.Array) -> jax.Array:
    return jax.random.key_data(value) if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key) else value
