"""What makes no sense is refused in words, before it is silently something else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from tests.layers.configurations import example

ROWS, LINES, IMAGE = example((2, 6)), example((2, 5, 4)), example((1, 5, 5, 2))
ZEROS = np.zeros((2, 3), "float32")


def attend(**options):
    return lambda: layers.multi_head_attention(LINES, 2, **options)


def run(cell=None, **options):
    return lambda: layers.rnn(cell or layers.GRUCell(3), LINES, **{"dtype": "float32", **options})


TYPE_ERRORS = {
    "an activation by name": (lambda: layers.dense(ROWS, 3, "relu"), "must be a function, not 'relu'"),
    "a flag in words": (lambda: layers.batch_normalization(ROWS, training="no"), "True or False, not 'no'"),
    "several flags": (lambda: layers.dropout(ROWS, training=np.array([True, False])), "True or False"),
    "no input": (lambda: layers.dense(None, 3), "the input of dense must be an array, not NoneType"),
    "a word": (lambda: layers.dense("word", 3), "must be an array, not str"),
    "rows of two lengths": (lambda: layers.dense([[1.0], [1.0, 2.0]], 3), "must be an array, not list"),
    "no state": (lambda: layers.gru(ROWS, None, 3), "the state of gru_cell must be an array"),
    "an axis in words": (lambda: layers.batch_normalization(ROWS, axis="channels"), "axis must be a whole"),
    "an axis with a point": (lambda: layers.batch_normalization(ROWS, axis=1.0), "not 1.0"),
    "a list of axes": (lambda: layers.layer_norm(ROWS, begin_norm_axis=[1]), r"not \[1\]"),
    "an axis that is none": (lambda: layers.rms_norm(ROWS, axis=None), "not None"),
    "groups with a point": (lambda: layers.group_norm(IMAGE, 2.0), "groups must be a whole number"),
    "the largest of booleans": (lambda: layers.max_pooling2d(IMAGE > 0, 2, 2), "cannot be bool"),
    "an array of times": (lambda: layers.static_rnn(layers.GRUCell(3), LINES), "takes a list"),
    "lengths with a point": (run(sequence_length=np.array([1.5, 2])), "whole numbers, not float32"),
    "booleans as lengths": (run(sequence_length=np.array([True, False])), "for each time are mask="),
    "a state of whole numbers": (run(initial_state=ZEROS.astype(int)), "begins with a state of int32"),
}
VALUE_ERRORS = {
    "a rate in words": (lambda: layers.dropout(ROWS, "half"), "not 'half'"),
    "no example of an axis": (lambda: layers.batch_normalization(np.float32(1)), "one axis or more"),
    "a vector without batch": (lambda: layers.layer_norm(ROWS[0]), "such as begin_norm_axis=-1"),
    "no rows": (lambda: layers.embedding(np.array([0]), 0, 3), "table of 0 rows"),
    "numbers as a mask": (attend(mask=np.zeros((2, 5), "float32")), "numbers to add are bias="),
    "a mask as numbers": (attend(bias=np.ones((5, 5), bool)), "where there is something are mask="),
    "no base": (attend(rotary=True), "such as 10000.0, not True"),
    "a base of 0": (attend(rotary=0), "not 0"),
    "a state of one": (lambda: layers.basic_lstm(ROWS, np.zeros((2, 6), "float32"), 3), "no pair"),
    "a state of three": (lambda: layers.lstm(ROWS, (ZEROS,) * 3, 3), "no pair"),
    "a flat state": (lambda: layers.lstm(ROWS, ZEROS, 3, state_is_tuple=False), r"state of shape \[2, 3\]"),
    "shards": (lambda: layers.lstm(ROWS, (ZEROS, ZEROS), 3, num_unit_shards=2), "not cut into shards"),
    "no cells": (lambda: layers.multi_rnn(ROWS, (), []), "at least one cell"),
    "no cell objects": (lambda: layers.MultiRNNCell([]), "at least one cell"),
    "functions in one array": (
        lambda: layers.multi_rnn(ROWS, ZEROS, [lambda x, s: (x, s)], state_is_tuple=False),
        "needs cells",
    ),
    "functions without a state": (run(lambda x, s: (x, s)), "does not know its zeros"),
    "a state that grows": (
        run(lambda x, s: (x, jnp.concatenate([s, s], -1)), initial_state=ZEROS),
        r"\[2, 3\] one of \[2, 6\]",
    ),
    "a state that is split": (run(lambda x, s: (x, (s, s)), initial_state=ZEROS), "return the next state in"),
    "residuals of two sizes": (run(layers.ResidualWrapper(layers.GRUCell(3))), "as many units as the input"),
    "all is dropped": (lambda: layers.DropoutWrapper(layers.GRUCell(3), 0.0), "share above 0"),
    "more than all is kept": (lambda: layers.DropoutWrapper(layers.GRUCell(3), 1.5), "not 1.5"),
    "a step that is a number": (
        lambda: layers.static_rnn(layers.GRUCell(3), [1.0], dtype="float32"),
        "batch",
    ),
}


@pytest.mark.parametrize("what", TYPE_ERRORS)
def test_type_errors(what):
    """What is of another kind is a TypeError."""
    call, says = TYPE_ERRORS[what]
    with pytest.raises(TypeError, match=says):
        js.transform(call).spec()


@pytest.mark.parametrize("what", VALUE_ERRORS)
def test_value_errors(what):
    """What has no meaning is a ValueError."""
    call, says = VALUE_ERRORS[what]
    with pytest.raises(ValueError, match=says):
        js.transform(call).spec()


def test_given_variables_that_do_not_fit():
    """Where given variables do not fit, the error has the layer's input, and what to do about its dtype."""
    net = js.transform(lambda x: layers.dense(x, 3))
    variables = net.init(jax.random.key(0), ROWS)
    with pytest.raises(js.errors.DtypeMismatchError, match="pass dtype= to dense") as caught:
        net.apply(variables, ROWS.astype("bfloat16"))
    assert caught.value.facts["inputs"] == "bfloat16[2,6]"
    with pytest.raises(js.errors.ShapeMismatchError) as caught:
        net.apply(variables, ROWS[:, :5])
    assert caught.value.facts["inputs"] == "float32[2,5]"


def test_unbound_axis():
    """A named axis that is not there is told with what to do, also for the making of variables."""
    net = js.transform(lambda x, t: layers.batch_normalization(x, training=t, axis_name="parts"))
    with pytest.raises(
        js.errors.TraceError,
        match="no transform around it names",
    ) as caught:
        net.spec(ROWS, True)
    assert "training=False" in caught.value.fix
    assert len(net.spec(ROWS, False)) == 4


def test_what_is_asked_for_is_done():
    """A result without features, a traced momentum and a name by position are what they say."""
    net = js.transform(lambda: layers.multi_head_attention(LINES, 2, output_size=0))
    assert net.apply(net.init(jax.random.key(0))).shape == (2, 5, 0)
    net = js.transform(lambda m: layers.batch_normalization(ROWS, training=True, momentum=m))
    variables = net.init(jax.random.key(0), 0.75)
    steps = [step(variables, 0.75)[1] for step in (net.apply_with_state, jax.jit(net.apply_with_state))]
    for name, value in steps[0].items():
        np.testing.assert_allclose(value, steps[1][name], rtol=1e-6)
    args = (3, None, True, None, js.initializers.zeros, *[None] * 5, True, "head")
    assert list(js.transform(lambda: layers.Dense(*args)(ROWS)).spec()) == ["head/kernel", "head/bias"]
