"""Layers as objects: named at their first call, shared by later ones, fresh in each pass."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from jaxscope.layers import layer_objects
from tests.layers.configurations import CONFIGURATIONS, KEY, example

OBJECTS = {name: made for name, made in vars(layer_objects).items() if isinstance(made, functools.partial)}
#: What each takes after its inputs.
ARGUMENTS = {
    "Dense": [4],
    "Conv1D": [4, 3],
    "Conv2D": [4, 3],
    "Conv3D": [2, 2],
    "Conv2DTranspose": [4, 3],
    "Conv3DTranspose": [2, 2],
    "DepthwiseConv2D": [3],
    "SeparableConv1D": [4, 3],
    "SeparableConv2D": [4, 3],
    "Embedding": [5, 4],
    "GroupNorm": [2],
    "MultiHeadAttention": [2],
    **{f"{kind}Pooling{rank}D": [2, 1] for kind in ("Max", "Average") for rank in (1, 2, 3)},
}
SAME = {"padding": "same"}


@pytest.mark.filterwarnings("ignore:layer_norm of an input of rank:UserWarning")  # of both alike
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_their_functions(name):
    """An object makes the variables of its function, by the same names, and calls it with the same result."""
    function, default_name = OBJECTS[name].args
    shape = CONFIGURATIONS[function.__name__].shape
    args = ARGUMENTS.get(name, [])
    options = SAME if "Conv" in name or "Pooling" in name else {}
    x = example(shape) if name != "Embedding" else np.array([1, 2])
    plain = js.transform(lambda x: function(x, *args, **options))
    object_ = js.transform(lambda x: getattr(layers, name)(*args, **options)(x))
    assert object_.spec(x) == plain.spec(x)
    variables = plain.init(KEY, x)
    np.testing.assert_allclose(object_.apply(variables, x), plain.apply(variables, x), rtol=1e-6)
    assert all(variable.startswith(default_name + "/") for variable in variables)


def test_every_function_has_an_object():
    """There is an object for each layer that is a function of an input; cells have theirs."""
    functions = {made.args[0] for made in OBJECTS.values()}
    cells = {layers.basic_rnn, layers.basic_lstm, layers.lstm, layers.gru, layers.multi_rnn}
    loops = {layers.rnn, layers.static_rnn, layers.bidirectional_rnn}
    wrappers = {layers.ResidualWrapper, layers.DropoutWrapper}
    public = {
        getattr(layers, name) for name in layers.__all__ if type(getattr(layers, name)).__name__ == "function"
    }
    assert public - functions == cells | loops | wrappers


def test_made_once_called_in_many_passes():
    """An object made outside the model serves each pass anew."""
    encode = layers.Dense(3)

    @js.transform
    def net(a, b):
        return encode(a) - encode(b)

    x = example((2, 3))
    variables = net.init(KEY, x, x)
    assert [*net.spec(x, x)] == ["dense/kernel", "dense/bias"]
    np.testing.assert_array_equal(net.apply(variables, x, x), 0)
    other = js.transform(lambda x: encode(layers.dense(x, 3)))
    assert [*other.spec(x)][2:] == ["dense_1/kernel", "dense_1/bias"]


def test_scope_of_an_object():
    """An object tells its scope, once it has been called."""

    @js.transform
    def net(x):
        layer = layers.Dense(3, name="head")
        before = layer.scope
        layer(x)
        return before, layer.scope.name

    x = example((2, 3))
    assert net.apply(net.init(KEY, x), x) == (None, "head")


def test_names_of_objects():
    """A given name is numbered too; under reuse it is the layer of that very name."""

    @js.transform
    def net(x):
        x = layers.Dense(3, name="same")(x)
        x = layers.Dense(3, name="same")(x)
        return layers.Dense(3, name="same", reuse=True)(x)

    assert [*net.spec(example((2, 3)))] == ["same/kernel", "same/bias", "same_1/kernel", "same_1/bias"]


def test_objects_show_their_arguments():
    """The repr of an object says what it was made of."""
    assert repr(layers.Dense(3, use_bias=False)) == "<dense 'dense': 3, use_bias=False>"
    assert repr(layers.GRUCell(3)) == "<cell of <gru 'gru_cell': 3>>"


def test_later_calls_make_nothing():
    """A later call that would need another variable is an error."""

    @js.transform
    def net(x):
        layer = layers.MultiHeadAttention(2)
        layer(x)
        layer(x, cache_size=4)

    with pytest.raises(js.errors.VariableNotFoundError, match="cache_index"):
        net.spec(jnp.ones((1, 2, 4)))
