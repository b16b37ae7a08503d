"""Losses of regularizers outside of a pass are those inside of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js

REGULARIZERS = [
    None,
    js.no_regularizer,
    js.regularizers.l1(0.3),
    js.regularizers.l2(0.2),
    js.regularizers.l2(0.0),
    js.regularizers.l1_l2(0.1, 0.2),
    lambda value: jnp.max(jnp.abs(value)),
]


def summed(losses):
    """Add losses of several dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        return sum(losses)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "a/b", "c"]),
            st.sampled_from(range(len(REGULARIZERS))),
            st.sampled_from(["float32", "bfloat16", "float16"]),
            st.booleans(),
        ),
        max_size=5,
    ),
    st.sampled_from(range(len(REGULARIZERS))),
    st.integers(0, 9),
)
def test_are_those_of_the_pass(requests, inherited, seed):
    """For any variables, trainable or not, with regularizers of their own or of a scope."""

    @js.transform
    def net():
        with js.variable_scope("", regularizer=REGULARIZERS[inherited]):
            for number, (scope, which, dtype, trainable) in enumerate(requests):
                with js.variable_scope(scope, regularizer=REGULARIZERS[which]):
                    js.get_variable(f"v{number}", [2, 3], dtype, js.initializers.ones, trainable=trainable)
        return summed(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))

    specs = net.spec()
    random = np.random.default_rng(seed)
    variables = specs.bind(
        {name: random.normal(size=spec.shape).astype(spec.dtype) for name, spec in specs.items()}
    )
    found = js.optim.regularization_loss(specs, variables)
    np.testing.assert_allclose(found, net.apply(variables), rtol=1e-2)
    assert found.dtype == (jnp.result_type(net.apply(variables)) if requests else jnp.float32) or found == 0


def block(x):
    return js.layers.dense(x, 4, jnp.tanh, kernel_regularizer=js.regularizers.l2(0.1))


@js.transform
def scanned(x):
    js.scan_layers(block, 3)(js.layers.dense(x, 4, kernel_regularizer=js.regularizers.l1(0.1)))
    return sum(jnp.sum(loss) for loss in js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))


def test_of_layers_alone_and_stacked():
    """Specs and variables may each have layers alone or in a stack, also under jit and grad."""
    x = jnp.ones([2, 4])
    specs = scanned.spec(x)
    variables = specs.init(jax.random.key(0))
    expected = scanned.apply(variables, x)
    gradients = jax.grad(scanned.apply)(variables, x)
    stacked = variables.stack("layer_{}")
    for of in (specs, specs.stack("layer_{}")):
        for given_ in (variables, stacked, dict(variables), stacked.nested()):
            np.testing.assert_allclose(js.optim.regularization_loss(of, given_), expected, rtol=1e-5)
    found = jax.jit(jax.grad(lambda given_: js.optim.regularization_loss(specs, given_)))(stacked)
    for name, gradient in found.unstack().items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-5)


def test_layers_with_regularizers_of_their_own():
    """A stack of layers that are not regularized alike, with gaps."""

    @js.transform
    def net():
        for i, regularizer in enumerate(
            [None, js.regularizers.l2(0.5), js.no_regularizer, js.regularizers.l1(1.0)]
        ):
            with js.variable_scope(f"layer_{i}"):
                js.get_variable("w", [2], regularizer=regularizer)

    stacked = {"layer_{}/w": jnp.arange(8.0).reshape(4, 2)}
    assert js.optim.regularization_loss(net.spec(), stacked) == 0.25 * (4 + 9) + 13


def test_what_has_none():
    net = js.transform(lambda x: js.layers.dense(x, 2))
    specs = net.spec(jnp.ones([1, 2]))
    loss = js.optim.regularization_loss(specs, {})
    assert (loss.dtype, loss.shape, float(loss)) == (jnp.float32, (), 0.0)


def test_all_that_is_missing_or_misshapen():
    specs = scanned.spec(jnp.ones([2, 4]))
    variables = specs.init(jax.random.key(0)).as_dict()
    variables["layer_0/dense/kernel"] = jnp.ones([4, 5])
    del variables["layer_2/dense/kernel"], variables["dense/bias"], variables["dense/kernel"]
    with pytest.raises(js.errors.VariablesMismatchError) as caught:
        js.optim.regularization_loss(specs, variables)
    assert caught.value.facts["missing"].splitlines() == ["dense/kernel", "layer_2/dense/kernel"]
    assert caught.value.facts["shape"] == "layer_0/dense/kernel (4, 5), not (4, 4)"
    with pytest.raises(js.errors.VariablesMismatchError, match="VariableSpecs"):
        js.optim.regularization_loss(scanned, variables)


def test_an_error_names_the_variable():
    def broken(value):
        raise RuntimeError("no loss today")

    net = js.transform(lambda: js.get_variable("w", [2], regularizer=js.regularizers.l2(0.1)))
    specs = js.VariableSpecs([net.spec()["w"].replace(regularizer=broken)])
    with pytest.raises(RuntimeError, match="today") as caught:
        js.optim.regularization_loss(specs, {"w": jnp.ones(2)})
    assert "in the regularizer of variable 'w', made at" in caught.value.__notes__[0]


def test_of_nested_stacks():
    """Layers in layers, stacked at one level, at the other, at both."""

    @js.transform
    def net():
        for i in range(2):
            with js.variable_scope(f"layer_{i}"):
                for j in range(3):
                    with js.variable_scope(f"layer_{j}"):
                        js.get_variable("w", [2], regularizer=js.regularizers.l2(1.0 + (i == j)))
        return sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))

    specs = net.spec()
    variables = specs.init(jax.random.key(0))
    inner = variables.stack("layer_{}")
    both = inner.stack("layer_{}")
    assert both["layer_{}/layer_{}/w"].shape == (2, 3, 2)
    for of in (specs, specs.stack("layer_{}"), specs.stack("layer_{}").stack("layer_{}")):
        for given_ in (variables, inner, both):
            np.testing.assert_allclose(
                js.optim.regularization_loss(of, given_), net.apply(variables), rtol=1e-5
            )
