"""Words for values: short, on one line, and never an error in an error."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope._core.base.describe import describe, shown
from jaxscope.errors import JaxscopeError


class Silent:
    """What cannot be shown in any way."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    @property
    def shape(self) -> Any:
        raise RuntimeError("no shape")


class Strange:
    """What has a shape that is none."""

    shape = 3
    dtype = Silent()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (jnp.zeros((3, 2)), "float32[3,2]"),
        (np.zeros(3, "int8"), "int8[3]"),
        (np.float32(2.5), "np.float32(2.5)"),
        (jax.ShapeDtypeStruct((3,), jnp.bfloat16), "bfloat16[3]"),
        (jax.random.key(0), "key<fry>[]"),
        ("w", "'w'"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        (np.ndarray, "<class 'numpy.ndarray'>"),
        (Silent(), "<Silent, which cannot be shown>"),
        ([Silent()], "<list, which cannot be shown>"),
        (Strange(), "Strange"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_shown(value: Any, text: str):
    """Arrays by their type, so that none is computed or copied for a message."""
    assert shown(value) == text


def test_described():
    """By the type alone, whatever the value is."""
    assert [describe(value) for value in ([1], Silent(), Strange(), jnp.int32(1))] == [
        "list",
        "Silent",
        "Strange",
        "int32[]",
    ]


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.text(), st.binary(), st.lists(st.text()), st.dictionaries(st.text(), st.floats())))
def test_shown_is_one_short_line(value: Any):
    text = shown(value)
    assert "\n" not in text
    assert len(text) <= 110
    assert text == repr(value) or text.endswith(f"({len(repr(value))} characters)")


def test_a_fact_that_cannot_be_shown_does_not_hide_the_error():
    error = JaxscopeError("it fell", seen=Silent(), at="x.py:1")
    assert str(error) == "it fell\n  seen     <Silent, which cannot be shown>\n  at       x.py:1"
    error.add(heard=Silent())
    assert "heard" in error.facts


def test_a_name_that_cannot_be_shown_is_refused_all_the_same():
    with pytest.raises(
        js.errors.InvalidNameError, match="must be a string, not <Silent, which cannot be shown>"
    ):
        js.Variables({Silent(): 1})  # type: ignore[dict-item]
