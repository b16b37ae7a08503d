"""Recurrent layers: lengths, masks, directions, keys, and cells around cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope import layers
from tests.layers.configurations import KEY, example

X = example((3, 5, 2))
CELLS = {
    "basic_rnn": lambda: layers.BasicRNNCell(3),
    "basic_lstm": lambda: layers.BasicLSTMCell(3),
    "lstm": lambda: layers.LSTMCell(3, use_peepholes=True, num_proj=2),
    "gru": lambda: layers.GRUCell(3),
    "multi_rnn": lambda: layers.MultiRNNCell([layers.GRUCell(3), layers.BasicLSTMCell(2)]),
    "flat_lstm": lambda: layers.BasicLSTMCell(3, state_is_tuple=False),
    "flat_multi_rnn": lambda: layers.MultiRNNCell(
        [layers.BasicLSTMCell(3, state_is_tuple=False), layers.GRUCell(2)], state_is_tuple=False
    ),
}


def run(cell, x, *args, **options):
    return js.transform(lambda x: layers.rnn(CELLS[cell](), x, *args, dtype="float32", **options))


@js.transform
def any_gru(x, lengths=None, mask=None, reverse=False):
    return layers.rnn(layers.GRUCell(3), x, lengths, dtype="float32", mask=mask, reverse=reverse)


FORWARD = jax.jit(any_gru.apply)
BACKWARD = jax.jit(lambda *args: any_gru.apply(*args, reverse=True))


def same(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_lengths(cell):
    """Each sequence gets what it gets alone, cut to its length: then zeros, and the state of its end."""
    lengths = np.array([5, 2, 3])
    net = run(cell, X, lengths)
    variables = net.init(KEY, X)
    outputs, state = jax.jit(net.apply)(variables, X)
    alone = run(cell, X)
    for row, length in enumerate(lengths):
        expected, last = alone.apply(variables, X[row : row + 1, :length])
        same(outputs[row : row + 1, :length], expected)
        assert not outputs[row, length:].any()
        same(jax.tree.map(lambda part, row=row: part[row : row + 1], state), last)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_backward(lengths):
    """A backward run is a forward run over each sequence turned around within its own length."""
    lengths = np.array(lengths)
    turned = X.copy()
    for row, length in enumerate(lengths):
        turned[row, :length] = X[row, :length][::-1]
    variables = any_gru.init(KEY, X)
    outputs, state = BACKWARD(variables, X, lengths)
    expected, last = FORWARD(variables, turned, lengths)
    same(state, last)
    for row, length in enumerate(lengths):
        same(outputs[row, :length], expected[row, :length][::-1])
        assert not outputs[row, length:].any()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_mask(mask):
    """What a mask leaves out might as well not be there."""
    mask = np.array(mask)
    variables = any_gru.init(KEY, X)
    outputs, state = FORWARD(variables, X, None, np.broadcast_to(mask, (3, 5)))
    assert not outputs[:, ~mask].any()
    if mask.any():
        expected, last = FORWARD(variables, X[:, mask])
        same((outputs[:, mask], state), (expected, last))


@pytest.mark.parametrize("cell", CELLS)
def test_static(cell):
    """`static_rnn` is `rnn` written out: the same variables and values."""
    lengths = np.array([5, 2, 3])
    net = run(cell, X, lengths)
    static = js.transform(
        lambda xs: layers.static_rnn(CELLS[cell](), xs, dtype="float32", sequence_length=lengths)
    )
    xs = list(X.swapaxes(0, 1))
    assert net.spec(X) == static.spec(xs)
    variables = net.init(KEY, X)
    outputs, state = static.apply(variables, xs)
    same((jnp.stack(outputs, 1), state), net.apply(variables, X))


def test_time_major():
    """Time may be the first axis, of inputs, outputs and mask."""
    mask = np.arange(5) < np.array([5, 2, 3])[:, None]
    net, turned = run("gru", X, mask=mask), run("gru", X, mask=mask.T, time_major=True)
    variables = net.init(KEY, X)
    outputs, state = net.apply(variables, X)
    same(turned.apply(variables, X.swapaxes(0, 1)), (outputs.swapaxes(0, 1), state))


def test_object_outside():
    """A cell made outside the model belongs to each pass anew, and two runs of it share."""
    cell = layers.GRUCell(2)

    @js.transform
    def net(x):
        y, _ = layers.rnn(cell, x, dtype="float32")
        return layers.rnn(cell, y, dtype="float32")[0]

    variables = net.init(KEY, X)
    assert len(variables) == 4
    same(jax.jit(net.apply)(variables, X), net.apply(variables, X))


def test_keys():
    """With `key`, each time has a key of its own; without it, a random cell is an error."""
    cell = layers.DropoutWrapper(layers.Cell(lambda x, s: (x, s), 1, 2), output_keep_prob=0.5)
    net = js.transform(lambda x, key: layers.rnn(cell, x, dtype="float32", key=key)[0])
    ones = np.ones((1, 64, 2), "float32")
    kept = np.asarray(net.apply({}, ones, KEY)) != 0
    assert 0.3 < kept.mean() < 0.7
    assert not (kept[:, 1:] == kept[:, :-1]).all()
    with pytest.raises(js.errors.KeyStreamError):
        net.apply({}, ones, None)


def test_dropout_of_states():
    """Dropout of a state leaves what an LSTM remembers, and reaches each state of several cells."""
    cell = layers.MultiRNNCell([layers.BasicLSTMCell(32), layers.GRUCell(32)])
    wrapped = layers.DropoutWrapper(cell, state_keep_prob=0.5)

    @js.transform
    def net(x, key):
        with js.random_keys(key):
            return wrapped(x, wrapped.zero_state(4))[1]

    x = np.ones((4, 2), "float32")
    lstm, gru = net.apply(net.init(KEY, x, KEY), x, KEY)
    assert (lstm.c != 0).all()
    assert 0.3 < (lstm.h == 0).mean() < 0.7
    assert 0.3 < (gru == 0).mean() < 0.7


def test_residual():
    """A residual cell adds its input, or joins it as it is told."""
    x = example((3, 3))

    def net(x, **options):
        cell = layers.ResidualWrapper(layers.GRUCell(3), **options)
        return cell(x, cell.zero_state(3))[0]

    plain = js.transform(lambda x: layers.GRUCell(3)(x, jnp.zeros((3, 3)))[0])
    variables = plain.init(KEY, x)
    y = plain.apply(variables, x)
    same(js.transform(net).apply(variables, x), x + y)
    same(js.transform(net).apply(variables, x, residual_fn=jnp.multiply), x * y)


def test_states_keep_their_dtype():
    """A state has the dtype that it began with, whatever a step computes in."""
    net = js.transform(lambda x: layers.rnn(layers.GRUCell(3, dtype="float32"), x, dtype="bfloat16"))
    x = X.astype("bfloat16")
    _, state = net.apply(net.init(KEY, x), x)
    assert state.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: layers.gru(X[:, 0], jnp.zeros((3, 4)), 3), r"pass one of \[3, 3\]"),
        (
            lambda: layers.basic_lstm(X[:, 0], (jnp.zeros((3, 4)), jnp.zeros((3, 3))), 3),
            r"state of shape \[3, 4\]",
        ),
        (lambda: layers.basic_rnn(X[0, 0], jnp.zeros(3), 3), "one step of a batch"),
        (lambda: layers.multi_rnn(X[:, 0], (1, 2), [layers.GRUCell(3)]), "1 steps and 2 states"),
        (lambda: layers.rnn(layers.GRUCell(3), X[:, 0], dtype="float32"), "takes sequences"),
        (lambda: layers.rnn(layers.GRUCell(3), X, np.ones(2, int), dtype="float32"), "pass 3 lengths"),
        (lambda: layers.rnn(layers.GRUCell(3), X, mask=np.ones((5, 3)), dtype="float32"), "mask of shape"),
    ],
)
def test_shapes_that_cannot_work(call, says):
    """A shape that cannot work is our error, with what to write."""
    with pytest.raises(js.errors.InvalidShapeError, match=says):
        js.transform(call).spec()


def test_nothing_to_begin_with():
    """Without an initial state, the dtype of zeros has to be said; without inputs there is nothing to run."""
    with pytest.raises(ValueError, match="pass initial_state"):
        js.transform(lambda: layers.rnn(layers.GRUCell(3), X)).spec()
    with pytest.raises(ValueError, match="at least one input"):
        js.transform(lambda: layers.static_rnn(layers.GRUCell(3), [], dtype="float32")).spec()
