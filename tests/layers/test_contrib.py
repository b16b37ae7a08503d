"""The layers of contrib, beyond what is recorded: collections, initializers, layouts, updates in place."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from tests.layers.configurations import KEY, example

slim = layers.contrib
X = example((2, 4, 4, 3))


def test_collections():
    """Variables go into further collections, all or by name, and results into those that are named."""

    @js.transform
    def net(x):
        slim.conv2d(x, 2, 1, variables_collections=["mine"], outputs_collections="outputs")
        slim.conv2d(x, 2, 1, variables_collections={"weights": ["w"]}, outputs_collections=["outputs", "b"])
        counts = [len(js.get_collection(key)) for key in ("outputs", "b", "mine", "w")]
        return counts, len(js.get_collection(js.GraphKeys.MODEL_VARIABLES))

    assert net.apply(net.init(KEY, X), X) == ([2, 1, 2, 1], 4)
    assert "w" not in net.spec(X)["Conv_1/biases"].collections


def test_renorm():
    """Batch renormalization is that of `js.layers`, by contrib's words."""
    clipping = {"rmax": 1.5, "dmax": 0.25}

    def here(x):
        return slim.batch_norm(
            x, 0.9, scale=True, renorm=True, renorm_clipping=clipping, renorm_decay=0.8, scope="bn"
        )

    def there(x):
        options = {"renorm_clipping": clipping, "renorm_momentum": 0.8}
        return layers.batch_normalization(x, -1, 0.9, training=True, name="bn", renorm=True, **options)

    variables = js.transform(there).init(KEY, X)
    y, state = js.transform(here).apply_with_state(variables, X)
    expected, expected_state = js.transform(there).apply_with_state(variables, X)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert state.keys() == expected_state.keys()
    for name, value in state.items():
        np.testing.assert_allclose(value, expected_state[name], rtol=1e-6)


def test_parameters_of_batch_norm():
    """Initializers and regularizers of batch_norm are given by name."""

    @js.transform
    def net(x):
        return slim.batch_norm(
            x,
            scale=True,
            is_training=False,
            param_initializers={"gamma": js.initializers.constant(2.0), "moving_mean": js.initializers.ones},
            param_regularizers={"beta": js.regularizers.l2(1.0)},
        )

    variables = net.init(KEY, X)
    assert {name.split("/")[1]: float(value[0]) for name, value in variables.items()} == {
        "gamma": 2,
        "beta": 0,
        "moving_mean": 1,
        "moving_variance": 1,
    }
    np.testing.assert_allclose(net.apply(variables, X), 2 * (X - 1) / np.sqrt(1.001), rtol=1e-5)
    assert net.spec(X)["BatchNorm/beta"].regularizer is not None


@pytest.mark.parametrize("collection", [None, "mine"])
def test_updates_collections(collection):
    """The steps are taken in any case, and are in the collection that was named, if any."""

    @js.transform
    def net(x):
        slim.batch_norm(x, decay=0.0, updates_collections=collection)
        return [len(js.get_collection(key)) for key in ("mine", js.GraphKeys.UPDATE_OPS)]

    counts, state = net.apply_with_state(net.init(KEY, X), X)
    assert counts == [2 if collection else 0, 0]
    np.testing.assert_allclose(state["BatchNorm/moving_mean"], X.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)


LAYOUTS = {
    "conv2d": lambda x, **options: slim.conv2d(x, 2, 3, **options),
    "conv2d_transpose": lambda x, **options: slim.conv2d_transpose(x, 2, 3, stride=2, **options),
    "separable_conv2d": lambda x, **options: slim.separable_conv2d(x, 2, 3, **options),
    "depthwise": lambda x, **options: slim.separable_conv2d(x, None, 3, **options),
    "batch_norm": lambda x, **options: slim.batch_norm(x, is_training=False, **options),
    "instance_norm": slim.instance_norm,
    "max_pool2d": lambda x, **options: slim.max_pool2d(x, 2, **options),
    "avg_pool2d": lambda x, **options: slim.avg_pool2d(x, 2, padding="SAME", **options),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name):
    """NCHW is the same layer, seen from the side; a third layout is an error."""

    def run(x, data_format):
        net = js.transform(lambda x: LAYOUTS[name](x, data_format=data_format))
        return net.apply(net.init(KEY, x), x)

    first = run(jnp.moveaxis(jnp.asarray(X), -1, 1), "NCHW")
    np.testing.assert_allclose(jnp.moveaxis(first, 1, -1), run(X, "NHWC"), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="'NHWC' or 'NCHW'"):
        run(X, "channels_last")


def test_scopes_around():
    """Initializers of norms are named as their variables are, and a default scope is that of contrib."""

    @js.transform
    def net(x):
        ones = {"beta": js.initializers.ones}
        x = slim.group_norm(x, 3, param_initializers=ones)
        x = slim.instance_norm(x, param_initializers=ones)
        x = slim.repeat(x, 2, slim.conv2d, 3, 1)
        return slim.stack(slim.flatten(x), slim.fully_connected, [(4, None), 2])

    variables = net.init(KEY, X)
    assert float(variables["GroupNorm/beta"][0]) == float(variables["InstanceNorm/beta"][0]) == 1
    assert [*net.spec(X)][4:] == [
        "Repeat/conv2d_1/weights",
        "Repeat/conv2d_1/biases",
        "Repeat/conv2d_2/weights",
        "Repeat/conv2d_2/biases",
        "Stack/fully_connected_1/weights",
        "Stack/fully_connected_1/biases",
        "Stack/fully_connected_2/weights",
        "Stack/fully_connected_2/biases",
    ]
