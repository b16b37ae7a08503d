"""Drawing with initializers of the user's: what they may do, and what is said of those that don't fit."""

import inspect
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxscope import initializers
from jaxscope._core.drawing.check_initializer import check
from jaxscope._core.drawing.draw import draw
from jaxscope.errors import InitializerError, KeyStreamError

KEY = jax.random.key(2024)


def test_numpy_initializers_run_for_each_variable():
    """A function that draws with NumPy, whatever the key, is called again for each variable."""
    rng = np.random.default_rng(0)
    requests = [
        (f"v{n}", lambda key, shape, dtype: rng.normal(size=shape).astype(dtype), (3,), "float32")
        for n in (1, 2)
    ]
    first, second = draw(KEY, requests)
    assert not np.array_equal(first, second)


def test_classes_lists_and_numbers():
    """A class is instantiated; lists and numbers are constants; Python numbers that are returned, too."""
    first, second, third = draw(
        KEY,
        [
            ("a", initializers.ones, (2,), "float32"),
            ("b", [1, 2], (2,), "int32"),
            ("c", lambda key, shape, dtype: 0.5, (), "float32"),
        ],
    )
    assert (first.tolist(), second.tolist(), float(third)) == ([1, 1], [1, 2], 0.5)


def test_an_initializer_may_close_over_a_traced_value():
    """Inside grad an initializer may depend on what is differentiated."""

    def loss(scale):
        (value,) = draw(
            KEY, [("v", lambda key, shape, dtype: scale * jnp.ones(shape, dtype), (3,), "float32")]
        )
        return value.sum()

    assert float(jax.grad(loss)(2.0)) == 3.0


def test_its_own_exception_passes():
    """What an initializer raises is not wrapped."""

    def broken(key, shape, dtype):
        raise LookupError("no such file")

    for call in (
        lambda: check("w", broken, (2,), "float32"),
        lambda: draw(KEY, [("w", broken, (2,), "float32")]),
    ):
        with pytest.raises(LookupError, match="no such file"):
            call()


def two(key, shape):
    return jnp.ones(shape)


def longer(key, shape, dtype):
    return jnp.ones((*shape, 2), dtype)


def wider(key, shape, dtype):
    return jnp.ones(shape, jnp.int32)


def text(key, shape, dtype):
    return "zeros"


def makes_one(key, *_):
    return text


@pytest.mark.parametrize(
    ("initializer", "dtype", "code", "message"),
    [
        (
            two,
            "float32",
            "init_call_failed",
            (
                "the initializer of variable 'a/w' cannot be called: too many positional arguments\n"
                "  initializer {module}.two\n"
                "  at          model.py:3\n"
                "  fix         let it take (key, shape, dtype)"
            ),
        ),
        (
            longer,
            "float32",
            "init_wrong_shape",
            (
                "the initializer of variable 'a/w' gives float32[2,3,2], not float32[2,3]\n"
                "  initializer {module}.longer\n"
                "  at          model.py:3\n"
                "  fix         return an array of the shape that it is called with"
            ),
        ),
        (
            wider,
            "bfloat16",
            "init_wrong_dtype",
            (
                "the initializer of variable 'a/w' gives int32[2,3], not bfloat16[2,3]\n"
                "  initializer {module}.wider\n"
                "  at          model.py:3\n"
                "  fix         return an array of the dtype that it is called with, or ask for another dtype"
            ),
        ),
        (
            text,
            "float32",
            "init_wrong_dtype",
            (
                "the initializer of variable 'a/w' gives a str, which is no array\n"
                "  initializer {module}.text\n"
                "  at          model.py:3\n"
                "  fix         return an array of the dtype that it is called with, or ask for another dtype"
            ),
        ),
        (
            makes_one,
            "float32",
            "init_wrong_dtype",
            (
                "the initializer of variable 'a/w' gives a function, which is no array\n"
                "  initializer {module}.makes_one\n"
                "  at          model.py:3\n"
                "  fix         pass what it returns: it makes initializers, so call it first, as in "
                "glorot_uniform()"
            ),
        ),
        (
            initializers.glorot_uniform,
            "int32",
            "init_wrong_dtype",
            (
                "the initializer of variable 'a/w' draws floating-point numbers, not int32\n"
                "  initializer glorot_uniform()\n"
                "  at          model.py:3\n"
                "  fix         ask for a dtype that it can give, or use another initializer"
            ),
        ),
        (
            np.zeros((2, 4), np.float32),
            "float32",
            "init_wrong_shape",
            (
                "the initializer of variable 'a/w' is a constant of shape (2, 4), not (2, 3)\n"
                "  at       model.py:3\n"
                "  fix      ask for a shape that it can fill, or use another initializer"
            ),
        ),
    ],
)
def test_messages(initializer, dtype, code, message):
    """What an initializer did wrong, who it is, where it was asked for, and what to do."""
    for _ in range(2):  # the second time from memory
        with pytest.raises(InitializerError) as caught:
            check("a/w", initializer, (2, 3), dtype, "model.py:3")
        assert str(caught.value) == message.format(module=two.__module__)
        assert caught.value.code == code


def test_a_check_is_made_once_for_each_kind(caplog):
    """A foreign initializer is traced once, one of ours never."""
    calls = logging.getLogger("test_a_check_is_made_once")  # a list would be something that changes

    def counted(key, shape, dtype):
        calls.warning("%s", shape)
        return jnp.zeros(shape, dtype)

    for name in ("a", "b"):
        check(name, counted, (2,), "float32")
    assert caplog.messages == ["(2,)"]
    check("c", counted, (3,), "float32")
    assert caplog.messages == ["(2,)", "(3,)"]


def test_checks_inside_traces():
    """A check may be made while something else is traced, and leaves no tracer behind."""
    with jax.checking_leaks():
        jax.jit(lambda x: check("w", jax.nn.initializers.normal(0.5), (4, 4), "float32") or x)(1.0)


def test_builtins_without_signature():
    """Where Python knows no signature the call itself decides."""
    with pytest.raises((ValueError, TypeError)):
        inspect.signature(max)
    with pytest.raises(TypeError):
        check("w", max, (2,), "float32")


def test_no_key():
    """A key is needed, also where no value depends on it."""
    with pytest.raises(KeyStreamError):
        draw(0, [("b", initializers.zeros, (3,), "float32")])


def test_nothing_to_draw():
    """No requests, no values."""
    assert draw(KEY, []) == []
