"""js.remat: what the block does, each of it once; and its inside computed again in the backward pass."""

import copy
import functools
import gc
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

import jaxscope as js
from jaxscope import layers
from tests.depth import lifts
from tests.depth.lifts import Block, Lift, as_it_is, counting, layer
from tests.depth.same import Failure, X, assert_close, assert_same, outcome

BATCH = jnp.arange(12.0).reshape(4, 3) / 8


# --- what it means: programs that take a way to wrap a block, and x -----------------------------------


def state(lift: Lift, x: Any) -> Any:
    block = lift(counting)
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return block(block(x)), js.get_variable("n")


def keys(lift: Lift, x: Any) -> Any:
    def block(x: Any, key: Any) -> Any:
        x = x + jax.random.uniform(js.next_key())
        with js.random_keys(key), js.variable_scope("own"):
            return x + jax.random.uniform(js.next_key(), x.shape)

    key = jax.random.key(1)
    with js.random_keys(key):  # the same key object, whose keys are counted over all of these
        y = lift(block)(x, key)
        with js.variable_scope("own"):
            return y, jax.random.uniform(js.next_key()), lift(block)(y, key)


def collected(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        with js.variable_scope("s"):
            y = layer(x)
            js.add_to_collection("losses", jnp.sum(y))
        js.add_to_collection("losses", {"sum": jnp.sum(x), "kind": "text"})
        js.add_to_collection("losses", js.get_variable("v", [3]))
        return y

    y = lift(block)(x)
    return y, js.get_collection("losses"), js.get_collection("losses", "s/"), js.get_collection("variables")


def regularized(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        scale = jnp.sum(jnp.cos(x))
        with js.variable_scope("s", regularizer=lambda value: scale * jnp.sum(value**2)):
            y = layer(x)
        return y + sum(js.get_collection("regularization_losses"))

    return lift(block)(x), js.get_collection("regularization_losses")


def templates(lift: Lift, x: Any) -> Any:
    outside = js.make_template("outside", counting)

    def block(x: Any) -> Any:
        inside = js.make_template("inside", counting)
        return outside(inside(inside(x)))

    return lift(block)(outside(x))


def reaching_out(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a") as scope:
        js.get_variable("v", [3])

    def block(x: Any) -> Any:
        with js.variable_scope(scope, reuse=True):
            x = x * js.get_variable("v")
        with js.variable_scope(None, "d") as numbered:
            return x * js.Variable(2.0) * len(js.trainable_variables()) * len(numbered.name)

    return lift(lambda x: block(block(x)))(x)


def surrounded(lift: Lift, x: Any) -> Any:
    def doubled(getter: Any, name: str, **kwargs: Any) -> Any:
        return 2 * getter(name, **kwargs)

    def frozen(following: Any, **kwargs: Any) -> Any:
        return following(**{**kwargs, "trainable": kwargs["shape"] != (3,)})

    def block(x: Any) -> Any:
        with js.variable_scope("s", initializer=js.initializers.ones, custom_getter=doubled):
            return layer(x) * js.get_variable("v", [3])

    with js.variable_creator_scope(frozen), js.variable_scope("a", custom_getter=doubled):
        return lift(block)(x)


def stateful_getter(lift: Lift, x: Any) -> Any:
    with js.variable_scope("a", custom_getter=js.getters.spectral_norm(training=True)):
        return lift(layer)(lift(lambda x: x + 1)(x))


def written_in_jax(lift: Lift, x: Any) -> Any:
    def shared(x: Any) -> Any:
        with js.variable_scope("a", reuse=js.AUTO_REUSE):
            return counting(x)

    def block(x: Any) -> Any:
        x = jax.jit(shared)(shared(x))
        x = jax.lax.scan(lambda x, _: (shared(x), None), x, None, length=2)[0]
        with js.variable_scope("a", reuse=True):
            return jax.lax.cond(jnp.sum(x) > 0, shared, lambda x: x, x) * js.get_variable("n")

    return lift(block)(x)


def batch_norm(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        y = layers.batch_normalization(jnp.stack([x, 2 * x, x + 1]), training=True, updates_collection=None)
        return jnp.sum(layers.dense(y, 3, kernel_regularizer=js.regularizers.l2(0.1)), 0)

    return lift(block)(x), js.get_collection("regularization_losses")


def computed_initial_value(lift: Lift, x: Any) -> Any:
    return lift(lambda x: x * js.get_variable("w", initializer=x + 1))(x)


def caught(lift: Lift, x: Any) -> Any:
    def failing(x: Any) -> Any:
        counting(x)
        js.add_to_collection("seen", x)
        raise ZeroDivisionError

    try:
        lift(failing)(x)
    except ZeroDivisionError:
        with js.variable_scope("", reuse=True):
            return x * js.get_variable("n"), js.get_collection("seen")


def exists(lift: Lift, x: Any) -> Any:
    return lift(lambda x: layer(layer(x)))(x)


def under_jax(lift: Lift, x: Any) -> Any:
    y = jax.jit(lift(counting))(x)
    with js.variable_scope("v"):
        y += jax.vmap(lift(layer))(jnp.stack([x, y]))[1]
    with js.variable_scope("g"):
        return y + jax.grad(lambda x: jnp.sum(jnp.sin(lift(layer)(x))))(x)


PROGRAMS = [
    state, keys, collected, regularized, templates, reaching_out, surrounded, stateful_getter, written_in_jax,
    batch_norm, computed_initial_value, caught, exists, under_jax,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_it_is(program: Any):
    """Names, bits, values, gradients, state, keys, collections and errors are those of the block."""
    expected, found = (
        outcome(functools.partial(program, lift), eagerly=False) for lift in (as_it_is, js.remat)
    )
    for one in (expected, found):
        if isinstance(one["spec"], dict):  # of functions made anew in each run
            one["spec"] = {name: (*facts[:4], facts[4] is None) for name, facts in one["spec"].items()}
    assert_same(found, expected)
    assert isinstance(expected["spec"], Failure) == (program is exists)


in_layers, scanned = (functools.partial(lift, length=2) for lift in (lifts.loop, lifts.scanned))


def members(block: Block) -> Block:
    return js.ensemble(block, 2, "layer_{}", in_axes=0)


NESTED: list[tuple[Lift, Lift]] = [
    (lambda f: scanned(js.remat(f)), in_layers),
    (lambda f: js.remat(scanned(f)), in_layers),
    (lambda f: js.remat(scanned(js.remat(f))), in_layers),
    (lambda f: in_layers(js.jit(js.remat(f))), in_layers),
    (lambda f: js.remat(in_layers(js.jit(f))), in_layers),
    (lambda f: js.remat(js.remat(f)), as_it_is),
    (lambda f: members(js.remat(f)), members),
    (lambda f: js.remat(members(f)), members),
]


@pytest.mark.parametrize(("lift", "bare"), NESTED)
def test_in_and_around_blocks(lift: Lift, bare: Lift):
    """Inside of other blocks, and around them, it changes nothing either."""

    def block(x: Any) -> Any:
        y = counting(x) + jax.random.uniform(js.next_key())
        js.add_to_collection("losses", jnp.sum(y))
        return y

    def program(lift: Lift) -> Any:
        def net(x: Any) -> Any:
            with js.random_keys(jax.random.key(1)), js.variable_scope("a", regularizer=js.no_regularizer):
                y = lift(block)(jnp.stack([x, x + 1]) if bare is members else x)
            return y, sum(jnp.sum(loss) for loss in js.get_collection("losses"))

        return outcome(net, eagerly=False)

    assert_same(program(lift), program(bare))


# --- what is computed again -----------------------------------------------------------------------------


def gradient(block: Block) -> str:
    net = js.transform(block)
    given = {name: jnp.ones(spec.shape) for name, spec in net.spec(BATCH).items()}
    return str(jax.make_jaxpr(jax.grad(lambda given: jnp.sum(net.apply_with_state(given, BATCH)[0])))(given))


def test_the_program_is_that_of_checkpoint():
    """The backward pass computes the inside again, as by hand with `jax.checkpoint`."""

    def block(x: Any) -> Any:
        return jnp.sin(checkpoint_name(layer(x), "h"))

    for options in (
        {},
        {"policy": jax.checkpoint_policies.save_only_these_names("h")},
        {"policy": jax.checkpoint_policies.everything_saveable, "prevent_cse": False},
    ):
        by_hand = jax.checkpoint(lambda w, x: jnp.sin(checkpoint_name(jnp.tanh(x @ w), "h")), **options)
        written = str(jax.make_jaxpr(jax.grad(lambda w: jnp.sum(by_hand(w, BATCH))))(jnp.ones((3, 3))))
        found = gradient(js.remat(block, **options))
        for part in ("tanh", "sin", "cos", "remat2", "prevent_cse=False"):
            assert found.count(part) == written.count(part), (part, options)


def test_less_is_kept():
    """Nothing of the inside is kept for the backward pass, in a scan neither, nor where state is written."""

    def kept(block: Block) -> int:
        net = js.transform(block)
        given = net.init(jax.random.key(0), BATCH)
        _, backward, _ = jax.vjp(lambda x: net.apply_with_state(given, x), BATCH, has_aux=True)
        return sum(leaf.size for leaf in jax.tree.leaves(backward))

    def deep(x: Any) -> Any:
        return jnp.sin(jnp.sin(jnp.sin(counting(x))))

    assert kept(js.remat(deep)) < kept(deep)
    assert kept(scanned(js.remat(deep))) < kept(scanned(deep))
    assert kept(js.remat(lambda x: jax.jit(deep)(x))) < kept(lambda x: jax.jit(deep)(x))


# --- as an object ------------------------------------------------------------------------------------------


@js.remat
def at_the_top(x: jax.Array) -> jax.Array:
    """Ask for a weight."""
    return layer(x)


def test_metadata_and_pickles():
    """It has the function's name and words, is pickled by its name, and copied with its options."""
    assert (at_the_top.__name__, at_the_top.__doc__) == ("at_the_top", "Ask for a weight.")
    made = js.remat(layer, policy=jax.checkpoint_policies.dots_saveable, prevent_cse=False)
    for one in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert gradient(one) == gradient(made)
        assert one.__wrapped__ is layer


def test_methods_and_arguments():
    """It decorates methods; arguments and results may be any pytrees, and keywords of any name."""

    class Net:
        @js.remat
        def run(self, x: Any, mode: str, *, act: Any) -> Any:
            return act(layer(x)), mode, None, (1, 2.5, True)

    net = js.transform(lambda x: Net().run(x, "a", act=jnp.sin))
    y, *rest = net.apply(net.init(jax.random.key(0), BATCH), BATCH)
    assert y.shape == BATCH.shape
    assert rest == ["a", None, (1, 2.5, True)]
    names = ("self", "block", "function", "policy", "run")
    keywords = js.remat(lambda x, **kwargs: x * sum(kwargs.values()))
    assert js.transform(lambda x: keywords(x, **dict.fromkeys(names, 2.0))).apply({}, jnp.float32(1)) == 10
    with pytest.raises(TypeError, match="takes a function, not int"):
        js.remat(3)  # type: ignore[arg-type]
    with pytest.raises(js.errors.NoPassError):
        at_the_top(X)


def test_eager_calls():
    """An eager call gives what the bare one gives, and sees what changes between two calls."""
    scale = [1.0]
    net, bare = (js.transform(lift(lambda x: counting(x) * scale[0])) for lift in (js.remat, as_it_is))
    given = net.init(jax.random.key(0), BATCH)
    for scale[0] in (1.0, 3.0):
        (found, state), (expected, after) = (one.apply_with_state(given, BATCH) for one in (net, bare))
        assert_close((found, dict(state)), (expected, dict(after)))


def test_errors_of_writes():
    """A write that is lost is an error at its own line."""
    net = js.transform(js.remat(counting))
    given = net.init(jax.random.key(0), BATCH)
    with pytest.raises(js.errors.StateError) as caught:
        net.apply(given, BATCH)
    assert caught.value.code == "write_in_apply"
    assert "in counting" in str(caught.value.facts["again"])
    with pytest.raises(js.errors.StateError, match=r"jax\.vmap"):
        js.transform(lambda x: jax.vmap(js.remat(counting))(x)).apply_with_state(given, BATCH)
    inner = js.remat(lambda x: jax.jit(counting)(x))
    with pytest.raises(js.errors.StateError) as caught:
        js.transform(scanned(inner)).spec(BATCH)
    assert caught.value.code == "write_in_block"


def test_what_cannot_be_computed_again():
    """A block that works only as it is runs so, with a warning that says why."""

    @js.remat
    def block(x: Any) -> Any:
        y = layer(x)
        js.add_to_collection("later", lambda: jnp.sum(y))
        return y

    net = js.transform(lambda x: block(x) + sum(later() for later in js.get_collection("later")))
    given = net.init(jax.random.key(0), BATCH)
    with pytest.warns(UserWarning, match="computes nothing again.*holds what the block has computed"):
        y = jax.jit(net.apply)(given, BATCH)
    bare = jnp.tanh(BATCH @ given["w"])
    assert_close(y, bare + bare.sum())


def twice(block: Block) -> Block:
    def run(x: Any) -> Any:
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            return block(block(x))

    return run


def then_written_in_jax(block: Block) -> Block:
    def run(x: Any) -> Any:
        x = block(x)
        with js.variable_scope("layer_1", reuse=True):
            x = jax.jit(counting)(x)
        with js.variable_scope("", reuse=True):
            return block(x)

    return run


@pytest.mark.parametrize("around", [lambda f: js.remat(twice(f)), lambda f: then_written_in_jax(js.remat(f))])
def test_layers_given_stacked(around: Lift):
    """Around scanned layers whose state is given stacked, each run of them sees what the last one has set."""
    net, bare = js.transform(around(scanned(counting))), js.transform(around(in_layers(counting)))
    given = bare.init(jax.random.key(0), BATCH)
    expected, state = jax.jit(bare.apply_with_state)(given, BATCH)
    for values in (given, given.stack("layer_{}")):
        found, after = jax.jit(net.apply_with_state)(values, BATCH)
        after = after.unstack() if "layer_{}/n" in after else after
        assert_close((found, dict(after)), (expected, dict(state)))


def test_errors_that_the_block_catches():
    """A request that is refused leaves the block's trace as it was, for all that comes after."""

    def block(x: Any) -> Any:
        for name, shape in (("missing", [3]), ("other", [5])):
            try:
                x = x * js.get_variable(name, shape)
            except (js.errors.VariableNotFoundError, js.errors.ShapeMismatchError):
                x = x + 1
            x = jax.jit(lambda x, name=name: x * js.get_variable(f"v_{name}", [3]))(x)
        return x

    given = {"other": jnp.ones(4), "v_missing": jnp.full(3, 2.0), "v_other": jnp.full(3, 4.0)}

    def comes_to(lift: Lift) -> Any:
        net = js.transform(lift(block))
        return jax.jit(jax.value_and_grad(lambda given: jnp.sum(net.apply(given, X))))(given)

    assert_close(comes_to(js.remat), comes_to(as_it_is))


@pytest.mark.parametrize("mode", [jax.checking_leaks, jax.disable_jit])
def test_modes(mode: Any):
    """JAX's modes for debugging find nothing, and change nothing."""

    def block(x: Any) -> Any:
        y = counting(x)
        js.add_to_collection("losses", jnp.sum(y))
        return y

    net = js.transform(lambda x: (js.remat(block)(x), js.get_collection("losses")))
    given = net.init(jax.random.key(0), BATCH)
    apply = net.apply_with_state if mode is jax.disable_jit else jax.jit(net.apply_with_state)
    expected, state = net.apply_with_state(given, BATCH)
    gc.freeze()  # JAX collects garbage at each trace, which takes as long as there are objects
    try:
        with mode():
            found, after = apply(given, BATCH)
    finally:
        gc.unfreeze()
    assert_close((found, dict(after)), (expected, dict(state)))
    np.testing.assert_array_equal(after["n"], 1)
