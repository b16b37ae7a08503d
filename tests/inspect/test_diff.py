"""diff: names, shapes, types and values of two sets, and the renames that would bring them together."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jaxscope as js
from jaxscope.inspect.diff import compared
from jaxscope.inspect.renames import renamed


def kinds(found: js.inspect.Diff) -> dict[str, tuple[str, ...]]:
    return {row.name: row.kinds for row in found.rows}


def test_kinds():
    """Each way to differ, told of the variable that does; equal ones are counted."""
    a = js.Variables(
        {
            "same": jnp.ones(2),
            "shape": jnp.ones(2),
            "dtype": jnp.ones(2),
            "value": jnp.ones(2),
            "fixed": jnp.ones(2),
            "a": jnp.ones(9),
        },
        non_trainable=["fixed"],
    )
    b = js.Variables(
        {
            "same": jnp.ones(2),
            "shape": jnp.ones((2, 1)),
            "dtype": jnp.ones(2, "bfloat16"),
            "value": jnp.array([1.0, 1.5]),
            "fixed": jnp.ones(2),
            "b": jnp.ones((9, 9)),
        }
    )
    found = js.inspect.diff(a, b)
    assert found.same == 1
    assert kinds(found) == {
        "shape": ("shape",),
        "dtype": ("dtype",),
        "value": ("values",),
        "fixed": ("trainable",),
        "a": ("only in a",),
        "b": ("only in b",),
    }
    (value,) = [row for row in found.rows if row.name == "value"]
    assert (value.elements, value.absolute) == (1, 0.5)
    assert value.relative == pytest.approx(1 / 3)
    assert (found.only_a, found.only_b) == (["a"], ["b"])
    assert bool(found)
    assert not js.inspect.diff(a, a)
    assert json.loads(found.to_json())["same"] == 1
    assert "only in a" in str(found)


def test_tolerances():
    """Up to rtol of the second and atol beside it nothing differs; below both it does."""
    a, b = {"w": np.array([1.0, 100.0])}, {"w": np.array([1.001, 100.1])}
    assert js.inspect.diff(a, b).rows[0].elements == 2
    assert js.inspect.diff(a, b, atol=0.01).rows[0].elements == 1
    assert not js.inspect.diff(a, b, rtol=0.01)
    assert not js.inspect.diff(a, b, values=False)
    with pytest.raises(ValueError, match="tolerances"):
        js.inspect.diff(a, b, rtol=-1)


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ([math.nan], [math.nan], (0, 0.0, 0.0)),
        ([math.nan], [1.0], (1, math.inf, math.inf)),
        ([math.inf], [math.inf], (0, 0.0, 0.0)),
        ([math.inf], [-math.inf], (1, math.inf, math.inf)),
        ([0.0], [-0.0], (0, 0.0, 0.0)),
        ([2**60], [2**60 + 1], (1, 0.0, 0.0)),
        ([True], [False], (1, 1.0, 1.0)),
        ([1j], [1 + 0j], (1, math.sqrt(2), math.sqrt(2))),
        ([b"a", b"b"], [b"a", b"c"], (1, math.inf, math.inf)),
    ],
)
def test_values(a: list, b: list, found: tuple):
    """NaN is NaN; integers beyond float64 are told apart; what is no number differs or does not."""
    assert compared(np.array(a), np.array(b)) == pytest.approx(found)


def test_inf_with_tolerances():
    """No tolerance makes infinity a number."""
    assert compared(np.array([np.inf, 1.0]), np.array([1.0, np.inf]), 0.5, 0.5)[0] == 2


@settings(max_examples=60)
@given(arrays.arrays("float32", 20, elements=st.floats(-10, 10, width=32)), st.integers(0, 19))
def test_one_element(value: np.ndarray, at: int):
    """A set equals itself; changed at one place it differs there, as much both ways."""
    other = value.copy()
    other[at] += 1
    assert compared(value, value.copy()) == (0, 0, 0)
    there, back = compared(value, other), compared(other, value)
    assert there == back
    assert there[0] == 1
    assert there[1] == pytest.approx(1, rel=1e-5)


def test_keys_and_many_pieces():
    """Typed keys are compared; arrays larger than a piece in all of their pieces."""
    a = {"k": jax.random.key(0), "w": np.zeros(400_000, "float32")}
    b = {"k": jax.random.key(1), "w": a["w"].copy()}
    b["w"][[0, 200_000, 399_999]] = 1, 2, 3
    rows = {row.name: row for row in js.inspect.diff(a, b).rows}
    assert rows["k"].kinds == ("values",)
    assert (rows["w"].elements, rows["w"].absolute) == (3, 3)


def test_specs():
    """Specs have no values, so none are compared."""
    net = js.transform(lambda x: js.layers.dense(x, 3))
    specs = net.spec(jnp.ones((1, 2)))
    assert not js.inspect.diff(net.init(jax.random.key(0), jnp.ones((1, 2))), specs)
    assert kinds(js.inspect.diff(specs, net.spec(jnp.ones((1, 5))))) == {"dense/kernel": ("shape",)}


def test_files(tmp_path: Path):
    """Two files, of different formats, by their paths."""
    values = js.Variables({"a/w": jnp.arange(3.0), "n": jnp.int32(2)}, non_trainable=["n"])
    one, other = str(tmp_path / "a.npz"), str(tmp_path / "b.safetensors")
    js.checkpoint.save(one, values, step=1)
    js.checkpoint.save(other, values.replace({"a/w": jnp.ones(3)}), step=2)
    assert kinds(js.inspect.diff(one, other)) == {"a/w": ("values",)}
    assert not js.inspect.diff(one, js.checkpoint.load(one))


# --- renames ---------------------------------------------------------------------------------------


def test_rename():
    """Patterns of whole names; the first that matches counts, None leaves out, functions are asked."""
    a = {"lm/w": jnp.ones(2), "lm/b": jnp.zeros(2), "step": jnp.int32(1)}
    b = {"gpt/w": jnp.ones(2), "gpt/b": jnp.zeros(2)}
    assert not js.inspect.diff(a, b, {r"lm/(.*)": r"gpt/\1", "step": None})
    assert not js.inspect.diff(a, b, lambda name: None if name == "step" else name.replace("lm", "gpt"))
    with pytest.raises(js.errors.VariablesMismatchError) as caught:
        renamed(["a", "b"], {"a|b": "c", "x": "y"})
    assert caught.value.code == "rename"
    assert "a and b would both be c" in str(caught.value)
    assert "'x' matches no whole name" in str(caught.value)


def proposals(a: dict, b: dict) -> list[tuple[str, str, int, str]]:
    found = js.inspect.diff(a, b)
    return [(one.pattern, one.new, len(one.pairs), one.why) for one in found.renames]


def test_proposed_by_scopes():
    """What many names have in common is one rule, though other values are in them."""
    key = jax.random.key(0)
    a = {f"lm/h{i}/{n}": jax.random.normal(jax.random.fold_in(key, i), (3,)) for i in range(4) for n in "wb"}
    b = {name.replace("lm/", "gpt/body/"): value + 1 for name, value in a.items()}
    assert proposals(a, b) == [("lm/(.*)", r"gpt/body/\1", 8, "names")]
    (rule,) = js.inspect.diff(a, b).renames
    assert {row.kinds for row in js.inspect.diff(a, b, {rule.pattern: rule.new}).rows} == {("values",)}


def test_proposed_by_content():
    """Where names are not alike at all, equal contents bring them together; constants do not."""
    a = {"x": np.arange(3.0), "y": np.zeros(4), "z": np.zeros(4)}
    b = {"kernel": np.arange(3.0), "bias": np.zeros(4), "offset": np.zeros(4)}
    assert proposals(a, b) == [("x", "kernel", 1, "equal content")]


def test_proposed_by_likeness():
    """One name that is written a little otherwise, of the same shape alone."""
    a, b = {"net/output": np.ones(3)}, {"net/outputs": np.zeros(3), "net/outpost": np.ones(4)}
    assert proposals(a, b) == [("net/output", "net/outputs", 1, "names")]
    assert proposals(a, {"net/outputs": np.zeros(5)}) == []


@settings(max_examples=40)
@given(
    st.sets(st.from_regex(r"[ab](/[ab]){0,2}", fullmatch=True), min_size=1), st.sampled_from(["x/", "p/q/"])
)
def test_proposals_can_be_used(names: set[str], before: str):
    """Whatever is proposed is taken as it is, and brings its pairs together."""
    a = {name: np.full(2, at) for at, name in enumerate(sorted(names))}
    b = {before + name: value for name, value in a.items()}
    found = js.inspect.diff(a, b)
    rules = {one.pattern: one.new for one in found.renames}
    after = js.inspect.diff(a, b, rules)
    assert after.same == sum(len(one.pairs) for one in found.renames)
    assert after.same == len(names)
