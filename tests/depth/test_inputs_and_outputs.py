"""js.scan_layers with inputs and outputs of each layer's own, which are as in the loop."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.depth.same import X, assert_close, assert_same, count_equations, outcome

RATES = jnp.asarray([0.5, 1.0, 2.0])
ROWS = jnp.arange(9.0).reshape(3, 3) / 4


def scanned(block: Any, x: Any, *rest: Any, xs: Any = None, outputs: bool = False, **options: Any) -> Any:
    return js.scan_layers(block, 3, xs=xs, outputs=outputs, **options)(x, *rest)


def unrolled(block: Any, x: Any, *rest: Any, xs: Any = None, outputs: bool = False, **options: Any) -> Any:
    """Run the loop that `scanned` stands for."""
    del options
    xs, found = jax.tree.map(jnp.asarray, xs), []
    for index in range(3):
        own = () if xs is None else (jax.tree.map(lambda leaf, at=index: leaf[at], xs),)
        with js.variable_scope(f"layer_{index}"):
            result = block(x, *own, *rest)
        x, out = result if outputs else (result, None)
        found.append(out)
    return (x, jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)) if outputs else x


def layer(x: jax.Array) -> jax.Array:
    return jnp.tanh(x @ js.get_variable("w", [3, 3]))


# --- programs: each takes how to run layers, and x --------------------------------------------------


def inputs(run: Any, x: Any) -> Any:
    return run(lambda x, rate, bias: layer(x) * rate + bias, x, x + 1, xs=RATES)


def outputs(run: Any, x: Any) -> Any:
    return run(lambda x: (layer(x), {"sum": jnp.sum(x), "x": x}), x, outputs=True)


def both_of_trees(run: Any, x: Any) -> Any:
    def block(carry: Any, own: Any) -> Any:
        x, total = carry
        x = layer(x) + own["bias"] * own["rate"]
        return [(x, total + jnp.sum(x)), (x[:1], own["rate"])]

    return run(block, (x, jnp.float32(0)), xs={"rate": RATES, "bias": x + ROWS, "none": None}, outputs=True)


def computed_inputs(run: Any, x: Any) -> Any:
    """Inputs that depend on variables and arguments."""
    rates = jnp.stack([x.sum(), js.get_variable("rate", []), jnp.float32(1)])
    return run(lambda x, rate: layer(x) * rate, x, xs=rates)


def numbers(run: Any, x: Any) -> Any:
    """Outputs that are Python's numbers, and nothing."""
    return run(lambda x, i: (layer(x) * i.astype("float32"), (1.5, None)), x, xs=np.arange(3), outputs=True)


def keys(run: Any, x: Any) -> Any:
    def block(x: Any, key: Any) -> Any:
        x = x + jax.random.uniform(key) + jax.random.uniform(js.next_key())
        with js.random_keys(key):
            return x + jax.random.uniform(js.next_key())

    with js.random_keys(jax.random.key(1)):
        return run(block, x, xs=jax.random.split(jax.random.key(2), 3))


def state(run: Any, x: Any) -> Any:
    def block(x: Any, rate: Any) -> Any:
        mean = js.get_variable("mean", [3], initializer=js.initializers.zeros, trainable=False)
        js.set_variable("mean", mean + rate * x)
        return layer(x) - mean, mean

    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        run(block, x, xs=RATES, outputs=True)
        return run(block, x, xs=RATES, outputs=True)


def remat(run: Any, x: Any) -> Any:
    return run(lambda x, rate: (layer(x) * rate, jnp.sum(x)), x, xs=RATES, outputs=True, remat=True)


def nested(run: Any, x: Any) -> Any:
    def block(x: Any, rates: Any) -> Any:
        return run(lambda x, rate: (layer(x) * rate, x), x, xs=rates, outputs=True)

    return run(block, x, xs=ROWS, outputs=True)


def layers_that_are_not_alike(run: Any, x: Any) -> Any:
    """One whose getter is another in one layer, so that a loop stands for the scan."""

    def by_depth(getter: Any, name: str, **kwargs: Any) -> Any:
        value = getter(name, **kwargs)
        return value.astype("bfloat16") if name == "layer_1/w" else value

    def block(x: Any, rate: Any) -> Any:
        return x * js.get_variable("w", [3]).astype("float32") * rate, (x, 2)

    with js.variable_scope("", custom_getter=by_depth):
        return run(block, x, xs=RATES, outputs=True)


PROGRAMS = [
    inputs, outputs, both_of_trees, computed_inputs, numbers, keys, state, remat, nested,
    layers_that_are_not_alike,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_unrolled(program: Callable[..., Any]):
    """Names, bits, values, gradients and state are those of the loop."""
    expected, found = (
        outcome(functools.partial(program, run), X, eagerly=False) for run in (unrolled, scanned)
    )
    assert isinstance(expected["spec"], dict)
    assert_same(found, expected)


def test_gradients_of_inputs():
    """Inputs may be traced values: their gradient is that of the loop, and they may be mapped over."""

    def results(run: Any) -> Any:
        net = js.transform(lambda x, xs: run(lambda x, r: (layer(x) * r, x), x, xs=xs, outputs=True))
        given = net.init(jax.random.key(0), X, RATES)
        loss = lambda *args: sum(jnp.sum(jnp.sin(part)) for part in net.apply(*args))
        gradients = jax.grad(loss, (0, 1, 2))(given, jnp.asarray(X), RATES)
        return gradients, jax.vmap(net.apply, (None, None, 0))(given, X, ROWS)

    assert_close(results(scanned), results(unrolled))


def test_one_program():
    """The program is of one size at any depth."""

    def size(length: int) -> int:
        def program(x: Any, rates: Any) -> Any:
            return js.scan_layers(lambda x, r: (layer(x) * r, x), length, xs=rates, outputs=True)(x)

        net, rates = js.transform(program), jnp.ones(length)
        given = net.init(jax.random.key(0), X, rates).stack("layer_{}")
        return count_equations(jax.make_jaxpr(net.apply)(given, X, rates).jaxpr)

    assert size(2) == size(32)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Pair:
    """A pytree of a user's."""

    a: jax.Array
    b: jax.Array


def test_other_pytrees_and_what_is_no_array():
    """Any pytree goes in and out; what is no array comes out as it is."""
    xs = Pair(RATES, jnp.ones((3, 2)))

    def block(x: Any, own: Pair) -> Any:
        return x * own.a, Pair(own.b, "text")  # type: ignore[arg-type]

    net = js.transform(lambda x: scanned(block, x, xs=xs, outputs=True))
    x, out = net.apply({}, jnp.ones(2))
    np.testing.assert_allclose(x, 1)
    assert isinstance(out, Pair)
    assert (out.a.shape, out.b) == ((3, 2), "text")
    empty = js.transform(lambda x: scanned(lambda x, own: x + len(own), x, xs={}))
    assert empty.apply({}, jnp.float32(1)) == 1


@pytest.mark.parametrize(
    "xs", [1.0, [0.5, 1.0, 2.0], np.ones(()), np.ones(2), {"a": RATES, "b": np.ones((1, 3))}]
)
def test_wrong_inputs(xs: Any):
    """What has no leading axis of layers is an error where the layers are made, which names the leaf."""
    with pytest.raises(js.errors.InvalidShapeError, match="xs") as caught:
        js.scan_layers(layer, 3, xs=xs)
    assert caught.value.code == "layer_axis"


@pytest.mark.parametrize("result", [lambda x: x, lambda x: (x, x, x), lambda x: {"x": x}])
def test_wrong_outputs(result: Any):
    """A block with outputs returns a pair."""
    with pytest.raises(js.errors.TraceError) as caught:
        js.transform(lambda x: scanned(result, x, outputs=True)).spec(X)
    assert caught.value.code == "outputs"
    with pytest.raises(js.errors.TraceError) as caught:
        js.transform(lambda x: scanned(lambda x: (x[:2], x), x, outputs=True)).spec(X)
    assert caught.value.code == "carry"


@pytest.mark.parametrize("start", [2, 2.0, jnp.asarray(2.0), np.float32(2)])
@pytest.mark.parametrize(
    "block",
    [
        lambda x: x * js.get_variable("w", []),
        lambda x: x + 1,
        lambda x: jnp.asarray(2.0) + 0 * js.get_variable("w", []).astype("int32"),
        lambda x: (x * js.get_variable("w", [], "bfloat16")).astype("float32"),
    ],
    ids=["strong", "as it is", "weak", "another precision"],
)
def test_weak_types(block: Any, start: Any):
    """Numbers without a type of their own mean what they mean in the loop, in each layer."""

    def comes_to(run: Any) -> Any:
        net = js.transform(lambda: run(block, start))
        y = jnp.asarray(jax.jit(net.apply)(net.init(jax.random.key(0))))
        return y.dtype, y.weak_type, y.item()

    with jax.numpy_dtype_promotion("standard"):
        expected = comes_to(unrolled)
        if expected[0] == jnp.asarray(start).dtype:
            assert comes_to(scanned) == expected
        else:  # what goes from layer to layer is of one dtype in a scan
            with pytest.raises(js.errors.TraceError, match="must return what its first argument is"):
                comes_to(scanned)
