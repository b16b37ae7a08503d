"""capture: results are those of apply, values what passes through scopes; NaN is found where it is made."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js

X = jnp.array([[1.0, 2.0, 3.0]])


@js.transform
def net(x, power=1.0):
    with js.variable_scope("body"):
        with js.variable_scope("first"):
            x = x * js.get_variable("w", [3], initializer=js.initializers.constant(2.0))
        with js.variable_scope("second"):
            y = jnp.log(x - power)
        return x + y


VARIABLES = net.init(jax.random.key(0), X)


def line_of(words: str) -> int:
    """Return the number of the line of this file that has some words for the first time."""
    with open(__file__, encoding="utf-8") as file:
        return next(at for at, line in enumerate(file, 1) if words in line)


def test_inputs_and_outputs():
    """What a scope takes from elsewhere goes in; what others take of its results comes out."""
    y, found = js.inspect.capture(net)(VARIABLES, X)
    np.testing.assert_array_equal(y, net.apply(VARIABLES, X))
    assert list(found) == ["body", "body/first", "body/second"]
    first, second = found["body/first"], found["body/second"]
    assert first.variables == ("body/first/w",)
    np.testing.assert_array_equal(first.inputs[0], X)
    np.testing.assert_array_equal(first.outputs[0], 2 * X)
    assert len(first.inputs) == len(first.outputs) == len(second.inputs) == len(second.outputs) == 1
    np.testing.assert_array_equal(second.inputs[0], first.outputs[0])
    np.testing.assert_array_equal(second.outputs[0], np.log(2 * X - 1))
    np.testing.assert_array_equal(found["body"].outputs[0], y)
    assert found["body"].variables == ("body/first/w",)
    assert found.first_nan() is None
    assert found.first_inf() is None


def test_where_a_nan_is_made():
    """The scope, the operation and the user's line; values after it are NaN, too, and are not told of."""
    _, found = js.inspect.capture(net)(VARIABLES, X, power=4.0)
    origin = found.first_nan()
    assert (origin.kind, origin.scope, origin.operation) == ("NaN", "body/second", "log")
    assert origin.at == f"test_capture.py:{line_of('jnp.log(x - power)')} in net"
    _, found = js.inspect.capture(net)(VARIABLES, X, power=2.0)
    assert found.first_inf().scope == "body/second"
    assert found.first_nan() is None
    table = found.table()
    assert {table.rows[at][0] for at in table.loud} == {"body", "body/second"}
    assert "the first Inf is made by 'log' in scope 'body/second'" in str(found)


def test_jitted_without_scopes():
    """The user's functions are looked into; JAX's own are told by their names."""

    @jax.jit
    def helper(x):
        return jnp.log(-x)  # of the user's own

    @js.transform
    def calls(x, modulo=False):
        with js.variable_scope("here"):
            return jnp.remainder(x, 0.0) if modulo else helper(x)

    origin = js.inspect.capture(calls)({}, X)[1].first_nan()
    assert (origin.scope, origin.operation) == ("here", "log")
    assert f"test_capture.py:{line_of('return jnp.log(-x)  # of')} in helper" == origin.at
    origin = js.inspect.capture(calls)({}, X, modulo=True)[1].first_nan()
    assert (origin.scope, origin.operation) == ("here", "jit(remainder)")
    assert f"test_capture.py:{line_of('return jnp.remainder(x')} in calls" == origin.at


def test_blocks_without_scopes():
    """The layer of a scan, and the line in a block, are told though no scope is open in them."""

    def layer(x):
        return jnp.log(jnp.abs(x @ js.get_variable("w", [3, 3])))

    @js.transform
    def scanned(x):
        return js.scan_layers(layer, 4)(x)

    @js.transform
    def jitted(x):
        with js.variable_scope("block"):
            return js.jit(layer)(x)

    given = scanned.init(jax.random.key(0), jnp.ones([2, 3])).replace({"layer_2/w": jnp.zeros([3, 3])})
    found = js.inspect.capture(scanned)(given, jnp.ones([2, 3]))[1]
    assert (found.first_inf().scope, found.first_inf().operation) == ("layer_2", "log")
    assert (found.first_nan().scope, found.first_nan().operation) == ("layer_3", "dot_general")
    found = js.inspect.capture(jitted)({"block/w": jnp.zeros([3, 3])}, jnp.ones([2, 3]))[1]
    assert (found.first_inf().scope, found.first_inf().at.split()[-1]) == ("block", "layer")


def test_given():
    """A NaN that is given is told by what it is in."""
    bad = VARIABLES.replace({"body/first/w": jnp.array([1.0, jnp.nan, 1.0])})
    origin = js.inspect.capture(net)(bad, X)[1].first_nan()
    assert (origin.operation, origin.at) == ("given", "variable 'body/first/w'")
    origin = js.inspect.capture(net)(VARIABLES, X.at[0, 0].set(jnp.nan))[1].first_nan()
    assert origin.at == "args[0]"


def test_masks_are_no_overflow():
    """Infinities of a constant are not made; those of an overflow are."""

    @js.transform
    def masked(x):
        with js.variable_scope("mask"):
            x = jnp.where(x > 1, x, -jnp.inf)
        with js.variable_scope("soft"):
            x = jax.nn.softmax(x)
        with js.variable_scope("over"):
            return jnp.exp(x * 1000)

    _, found = js.inspect.capture(masked)({}, X)
    assert found.first_inf().scope == "over"


def test_under_jit():
    """Part of a jitted program; asked about outside of it."""
    step = jax.jit(js.inspect.capture(net), static_argnames="power")
    y, found = step(VARIABLES, X, power=4.0)
    np.testing.assert_allclose(y, net.apply(VARIABLES, X, power=4.0), rtol=1e-6)
    assert found.first_nan().scope == "body/second"
    np.testing.assert_allclose(found["body/first"].outputs[0], 2 * X)

    @jax.jit
    def inside(variables, x):
        found = js.inspect.capture(net)(variables, x)[1]
        assert "body/first" in str(found)  # without values
        return found.first_nan()

    with pytest.raises(TypeError, match="outside of"):
        inside(VARIABLES, X)


def test_inner_traces_and_loops():
    """Scopes in jitted functions and remat are like others; those in loops have an axis of steps."""

    @js.transform
    def deep(x):
        def block(x):
            with js.variable_scope("inner"):
                return x * js.get_variable("w", [3], initializer=js.initializers.ones)

        x = jax.jit(block)(x)
        x = js.remat(lambda x: js.layers.layer_norm(x, name="norm"))(x)

        def layer(x):
            with js.variable_scope("down"):
                x = x - 1
            with js.variable_scope("root"):
                return jnp.sqrt(x + js.get_variable("b", [], initializer=js.initializers.constant(3.0)))

        return js.scan_layers(layer, 5)(x)

    variables = deep.init(jax.random.key(0), X)
    y, found = js.inspect.capture(deep)(variables, X)
    np.testing.assert_allclose(y, deep.apply(variables, X), rtol=1e-6)
    assert list(found) == ["inner", "norm", "layer_{}", "layer_{}/down", "layer_{}/root"]
    np.testing.assert_array_equal(found["inner"].outputs[0], X)
    assert found["layer_{}/root"].outputs[0].shape == (5, 1, 3)
    bad = variables.replace({"layer_3/root/b": jnp.float32(-9)})
    batch = jax.vmap(js.inspect.capture(deep), (None, 0))(bad, jnp.stack([X, -X]))
    assert batch[1].first_nan().steps == (3,)
    origin = js.inspect.capture(deep)(bad, X)[1].first_nan()
    assert (origin.scope, origin.steps, origin.operation) == ("layer_3/root", (3,), "sqrt")
    assert f"test_capture.py:{line_of('jnp.sqrt(x + js')}" in origin.at
    assert "step 3 of the loop" in str(origin)


def test_gradients():
    """Any function of variables: what a derivative makes NaN is told as backward."""

    @js.transform
    def root(x):
        with js.variable_scope("s"):
            return jnp.sqrt(x * js.get_variable("w", [3])).sum()

    variables = {"s/w": jnp.zeros(3)}
    gradients, found = js.inspect.capture(jax.grad(root.apply))(variables, X * 0)
    assert jnp.isnan(gradients["s/w"]).all()
    origin = found.first_nan()
    assert origin.scope == "s (backward)"
    assert "s" in found
    assert origin.operation == "mul"
    assert found.first_inf().scope in ("s", "s (backward)")


def test_state_and_results():
    """apply_with_state, results that are no arrays, functions without scopes."""

    @js.transform
    def count(x):
        with js.variable_scope("c"):
            n = js.get_variable("n", [], "int32", trainable=False) + 1
            js.set_variable("n", n)
        return {"x": x, "kind": "text", "none": None}

    (result, state), found = js.inspect.capture(count.apply_with_state)({"c/n": jnp.int32(4)}, X)
    assert (result["kind"], result["none"], int(state["c/n"])) == ("text", None, 5)
    np.testing.assert_array_equal(result["x"], X)
    assert found["c"].variables == ("c/n",)
    plain, found = js.inspect.capture(lambda v, x: x + v["a"])({"a": 1.0}, X)
    assert (plain.shape, len(found), str(found)) == (
        (1, 3),
        0,
        "0 scopes\nall that was computed is finite, or was infinite before",
    )


def test_transforms():
    """Around it: vmap gives each example's, grad is that of apply, custom derivatives included."""

    @jax.custom_jvp
    def odd(x):
        return x

    odd.defjvp(lambda primals, tangents: (primals[0], 7.0 * tangents[0]))

    @js.transform
    def custom(x):
        with js.variable_scope("odd"):
            return odd(x * js.get_variable("w", [3])).sum()

    variables = {"odd/w": jnp.ones(3)}
    gradient = jax.grad(lambda v: js.inspect.capture(custom)(v, X)[0])(variables)
    np.testing.assert_array_equal(gradient["odd/w"], 7 * X[0])
    _, found = jax.vmap(js.inspect.capture(net), (None, 0))(VARIABLES, jnp.stack([X, X, -X]))
    assert found["body/first"].outputs[0].shape == (3, 1, 3)
    assert found.first_nan().scope == "body/second"


def test_where():
    """Of some scopes alone values are kept; what is not finite is noticed everywhere."""
    capture = js.inspect.capture(net, where="body/first")
    _, found = capture(VARIABLES, X, power=4.0)
    assert list(found) == ["body/first"]
    assert found.first_nan().scope == "body/second"
    assert list(js.inspect.capture(net, where=lambda scope: scope == "body")(VARIABLES, X)[1]) == ["body"]
    with pytest.raises(js.errors.VariableNotFoundError) as caught:
        js.inspect.capture(net, where="bdy")(VARIABLES, X)
    assert caught.value.code == "nothing_matches"
    assert "body/first" in str(caught.value)


def test_two_loops_in_one_scope():
    """Neither takes the place of the other."""

    @js.transform
    def twice(x):
        def step(x, _):
            with js.variable_scope("s"):
                return x * 2, None

        for _ in range(2):
            x, _ = jax.lax.scan(step, x, None, length=3)
        return x

    _, found = js.inspect.capture(twice)({}, X)
    assert list(found) == ["s", "s #2"]
    np.testing.assert_array_equal(found["s #2"].outputs[0][-1], 64 * X)


def test_shown():
    """As a table, as HTML, as JSON."""
    _, found = js.inspect.capture(net)(VARIABLES, X, power=4.0)
    assert "<table>" in found._repr_html_()
    told = json.loads(found.to_json())
    assert told["first_nan"]["scope"] == "body/second"
    assert told["scopes"]["body/first"]["outputs"] == ["float32[1,3]"]
    with pytest.raises(TypeError, match="takes a net"):
        js.inspect.capture(3)
