"""What blocks add to collections: as it is for one scope, and stacked where a block stands for many."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from tests.depth.lifts import Block, Lift, as_it_is, ensemble, layer, loop, scanned, side_by_side
from tests.depth.same import X, assert_close, assert_same, outcome

SINGLE = [
    pytest.param(js.jit, as_it_is, id="jit"),
    pytest.param(js.remat, as_it_is, id="remat"),
    pytest.param(lambda f: js.jit(js.remat(js.jit(f))), as_it_is, id="nested"),
]
STACKED = [
    pytest.param(scanned, loop, id="scan_layers"),
    pytest.param(ensemble, side_by_side, id="ensemble"),
    pytest.param(lambda f: scanned(js.remat(js.jit(f))), loop, id="scan_layers of blocks"),
    pytest.param(lambda f: js.remat(scanned(f)), loop, id="remat of scan_layers"),
]


def adding(x: Any) -> Any:
    with js.variable_scope("s"):
        y = layer(x)
        js.add_to_collection("losses", jnp.sum(y))
    js.add_to_collection("losses", {"of": jnp.sum(x), "name": "text", "number": 2})
    js.add_to_collection("said", "text")
    js.add_to_collection("said", 0.5)
    js.add_to_collection("said", layer)
    js.add_to_collection("chosen", js.get_variable("v", [3]))
    return y


@pytest.mark.parametrize(("lift", "bare"), SINGLE)
def test_as_they_are(lift: Lift, bare: Lift):
    """A block of one scope adds what its function adds, in its place among the variables."""

    def program(lift: Lift) -> Any:
        def net(x: Any) -> Any:
            js.get_variable("before", [])
            js.add_to_collection("losses", jnp.float32(1))
            with js.variable_scope("a"):
                x = lift(adding)(x)
            with js.variable_scope("b"):
                x = lift(adding)(x)
            keys = "losses", "said", "chosen", "variables"
            return x, [js.get_collection(key) for key in keys], js.get_collection("losses", "b/s/")

        return outcome(net, eagerly=False)

    assert_same(program(lift), program(bare))


@pytest.mark.parametrize(("lift", "bare"), STACKED)
def test_stacked(lift: Lift, bare: Lift):
    """Of many scopes, arrays have a leading axis of them; variables, and all else, are as in the loop."""

    def net(lift: Lift, x: Any) -> Any:
        js.add_to_collection("losses", jnp.float32(1))
        with js.variable_scope("net"):
            x = lift(adding)(x)
        assert js.get_collection("said") == ["text", 0.5, layer] * 3
        return x, {key: js.get_collection(key) for key in ("losses", "chosen", "variables")}

    one, other = (js.transform(functools.partial(net, way)) for way in (lift, bare))
    assert one.spec(X) == other.spec(X)
    chosen = [name for name, spec in one.spec(X).items() if "chosen" in spec.collections]
    assert chosen == [f"net/layer_{index}/v" for index in range(3)]
    given = other.init(jax.random.key(0), X)
    (y, found), (x, expected) = (way.apply(given, jnp.asarray(X)) for way in (one, other))
    assert_close(y, x)
    assert_close(found["chosen"], expected["chosen"])
    assert_close(found["variables"], expected["variables"])
    first, sums, trees = found["losses"]
    assert first == 1
    assert_close(sums, jnp.stack(expected["losses"][1::2]))
    assert (trees["name"], trees["number"]) == ("text", 2)
    assert_close(trees["of"], jnp.stack([tree["of"] for tree in expected["losses"][2::2]]))


@pytest.mark.parametrize(("lift", "bare"), [*SINGLE, *STACKED])
def test_losses_train(lift: Lift, bare: Lift):
    """Gradients of losses from inside, and of regularizers', are those of the loop; given stacked as well."""

    def block(x: Any) -> Any:
        with js.variable_scope("s", regularizer=js.regularizers.l2(0.5)):
            y = layer(x)
        js.add_to_collection("losses", jnp.sum(y**2))
        return layers.dense(y, 3, activity_regularizer=lambda y: jnp.sum(y))

    def net(lift: Lift, x: Any) -> Any:
        lift(block)(x)
        losses = js.get_collection("losses"), js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES)
        return sum(jnp.sum(loss) for loss in jax.tree.leaves(losses))

    x = jnp.stack([X, X + 1])
    one, other = (js.transform(functools.partial(net, way)) for way in (lift, bare))
    given = other.init(jax.random.key(0), x)
    expected = jax.jit(jax.value_and_grad(other.apply))(given, x)
    assert_close(jax.jit(jax.value_and_grad(one.apply))(given, x), expected)
    if bare is not as_it_is:
        value, gradients = jax.jit(jax.value_and_grad(one.apply))(given.stack("layer_{}"), x)
        assert_close((value, gradients.unstack()), expected)


def test_scopes_of_stacks():
    """Filters take `{}` for the layer's number, and the rest of the path as it is."""

    @js.transform
    def net(x: Any) -> Any:
        with js.variable_scope("net"):
            scanned(adding)(scanned(lambda x: x + js.get_variable("u", [3]))(x))
        filters = "net/", r"net/layer_\{\}", r".*/s/", "layer", "net/layer_0/"
        return [len(js.get_collection("losses", scope)) for scope in filters]

    assert net.apply(net.init(jax.random.key(0), X), X) == [2, 2, 1, 0, 0]


def test_positions():
    """Members stand among the variables where they were added, behind those of layers that are scanned."""

    @js.transform
    def net(x: Any) -> Any:
        js.get_variable("a", [1])
        x = scanned(adding)(x)
        js.add_to_collection("variables", jnp.zeros(9))
        js.get_variable("z", [2])
        return [value.shape for value in js.get_collection("variables")]

    shapes = [(1,), *([(3, 3), (3,)] * 3), (9,), (2,)]
    given = net.init(jax.random.key(0), X)
    assert net.apply(given, X) == net.apply(given.stack("layer_{}"), X) == shapes


def test_layers_that_are_not_alike():
    """Where a loop stands for the scan, what can be stacked is stacked as well."""

    def by_depth(getter: Any, name: str, **kwargs: Any) -> Any:
        return getter(name, **kwargs).astype("float16" if name == "layer_1/w" else "float32")

    def block(x: Any) -> Any:
        w = js.get_variable("w", [3])
        js.add_to_collection("losses", jnp.sum(x))
        js.add_to_collection("weights", w)
        return x * w.astype("float32")

    @js.transform
    def net(x: Any) -> Any:
        with js.variable_scope("", custom_getter=by_depth):
            scanned(block)(x)
        return [[value.shape for value in js.get_collection(key)] for key in ("losses", "weights")]

    assert net.apply(net.init(jax.random.key(0), X), X) == [[(3,)], [(3,), (3,), (3,)]]


def test_nested_layers():
    """Layers in layers have an axis each."""

    @js.transform
    def net(x: Any) -> Any:
        js.scan_layers(js.scan_layers(adding, 2, "in_{}"), 3, "out_{}")(x)
        js.ensemble(js.scan_layers(adding, 2, "in_{}"), 4)(x)
        return [jax.tree.leaves(member)[0].shape for member in js.get_collection("losses", ".*s/")]

    assert net.apply(net.init(jax.random.key(0), X), X) == [(3, 2), (4, 2)]


def written(x: Any) -> Any:
    mean = js.get_variable("mean", [3], initializer=js.initializers.zeros, trainable=False)
    new = mean + 1
    js.set_variable("mean", new)
    js.add_to_collection("before", mean)
    js.add_to_collection("after", new)
    return x - new


def by_a_getter(x: Any) -> Any:
    def getter(getter: Any, name: str, **kwargs: Any) -> Any:
        value = getter(name, **kwargs)
        js.add_to_collection("before", jnp.sum(value))
        return value * 2

    with js.variable_scope("s", custom_getter=getter):
        return layer(x)


def closing_over(x: Any) -> Any:
    y = layer(x)
    js.add_to_collection("before", lambda: jnp.sum(y))
    return y


@pytest.mark.filterwarnings("ignore:js.remat runs a block as it is")
@pytest.mark.parametrize("block", [written, by_a_getter, closing_over])
@pytest.mark.parametrize(("lift", "bare"), [*SINGLE, *STACKED])
def test_corners(lift: Lift, bare: Lift, block: Block):
    """A value that is set, a getter that adds, a function that holds what is computed: as in the loop."""

    def net(lift: Lift, x: Any) -> Any:
        y = lift(block)(x)
        members = [*js.get_collection("before"), *js.get_collection("after")]
        return y, sum(jnp.sum(member() if callable(member) else member) for member in members)

    expected, found = (
        outcome(functools.partial(net, way), jnp.stack([X, X + 1]), eagerly=False) for way in (bare, lift)
    )
    assert isinstance(expected["spec"], dict)
    assert_same(found, expected)


@pytest.mark.parametrize("wrap", [jax.jit, lambda f: lambda x: jax.vmap(f)(x[None])[0]])
@pytest.mark.parametrize(("lift", "bare"), [*SINGLE, *STACKED[:2]])
def test_added_inside_a_transform(lift: Lift, bare: Lift, wrap: Any):
    """What is added inside a transform of JAX's cannot be read outside of it, as without the block."""

    def net(lift: Lift, x: Any) -> Any:
        y = lift(wrap(adding))(x)
        return y, js.get_collection("said"), js.get_collection("losses")

    for way in (lift, bare):
        with pytest.raises(js.errors.TraceError) as caught:
            js.transform(functools.partial(net, way)).spec(X)
        assert caught.value.code == "value_of_ended_trace"


def test_updates_of_batch_norm():
    """The steps of normalizations inside layers come out stacked, and can be taken outside."""

    @js.transform
    def net(x: Any) -> Any:
        y = scanned(functools.partial(layers.batch_normalization, training=True))(x)
        return y, js.get_collection(js.GraphKeys.UPDATE_OPS)

    x = jnp.arange(12.0).reshape(4, 3)
    (_, updates), _ = net.apply_with_state(net.init(jax.random.key(0), x), x)
    assert [update.shape for update in updates] == [(3, 3), (3, 3)]
    np.testing.assert_allclose(updates[0][0], 0.01 * x.mean(0), rtol=1e-5)
