"""Merging, replacing and giving values: what is checked, and what a plain mapping means."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope._core.base import compat
from jaxscope.errors import CollectionError, DtypeMismatchError, MergeError

KEY = jax.random.key(0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool", "bfloat16", "complex128"])
@pytest.mark.parametrize("other", [np.zeros((7, 7), "float64"), np.zeros((7, 7), "float32")])
def test_clashes_are_found_for_every_dtype(dtype: str, other: np.ndarray):
    """NumPy's float64, which NumPy finds equal to None, among them."""
    mine = js.Variables({"w": np.zeros(3, jnp.dtype(dtype))})
    for merge in (
        lambda: mine | {"w": other},
        lambda: {"w": other} | mine,
        lambda: mine.replace({"w": other}),
    ):
        with pytest.raises(MergeError):
            merge()


def test_a_plain_mapping_takes_trainability_from_the_other_side():
    """So `variables | state` works where `variables` came from a file."""
    state = js.Variables({"n": jnp.int32(1)}, non_trainable=["n"])
    loaded: dict[str, Any] = {"n": jnp.int32(4), "w": jnp.ones(2)}
    for merged, n in ((state | loaded, 4), (loaded | state, 1)):
        assert merged["n"] == n
        assert list(merged.non_trainable) == ["n"]
        assert list(merged.trainable) == ["w"]
    with pytest.raises(MergeError) as caught:
        js.Variables(loaded) | state
    assert caught.value.facts["trainable"] == "on the left"
    assert "bind" in caught.value.fix


def test_counting_from_a_dict():
    """The state of a call goes back into the dict that the call was given."""

    @js.transform
    def count() -> None:
        js.set_variable("n", js.get_variable("n", [], "int32", trainable=False) + 1)

    variables: Any = {"n": jnp.int32(4)}
    for _ in range(3):
        _, state = count.apply_with_state(variables)
        variables = variables | state
    assert variables["n"] == 7


@pytest.mark.parametrize("wrong", ["spec", "struct", "object"])
def test_what_is_no_value(wrong: str):
    """A spec is no value, nor is a type of arrays, though both have shape and dtype."""
    net = js.transform(lambda: js.get_variable("w", [3]))
    spec = net.spec()
    given = {"spec": spec, "struct": spec.shape_dtypes(), "object": {"w": object()}}[wrong]
    with pytest.raises(DtypeMismatchError) as caught:
        net.apply(given)
    assert caught.value.code == "not_an_array"


def test_functions_that_compute_from_the_inputs():
    """A function without arguments may read the inputs, in js.Variable and as an initializer."""

    @js.transform
    def net(x: jax.Array) -> jax.Array:
        mean = js.Variable(lambda: x.mean(), name="mean")
        return x - mean + js.get_variable("twice", initializer=lambda: 2 * x)

    x = jnp.arange(4.0)
    for init in (net.init, jax.jit(net.init)):
        variables = init(KEY, x)
        assert variables["mean"] == 1.5
        assert np.array_equal(variables["twice"], 2 * x)
    assert np.array_equal(net.apply(variables, 0 * x), 2 * x - 1.5)


@pytest.mark.parametrize(
    ("given", "flag"), [(None, True), (np.True_, True), (np.False_, False), (False, False)]
)
def test_trainable(given: Any, flag: bool):
    """None is TF1's default, which trains; NumPy's booleans are booleans."""
    for ask in (
        lambda: js.get_variable("w", [], trainable=given),
        lambda: js.Variable(0.0, given, name="w"),
    ):
        assert js.transform(ask).spec()["w"].trainable is flag


@pytest.mark.parametrize("given", ["no", 1, jnp.array(True)])
def test_trainable_that_means_nothing(given: Any):
    with pytest.raises(CollectionError) as caught:
        js.transform(lambda: js.get_variable("w", [], trainable=given)).spec()
    assert caught.value.code == "bad_trainable"


def test_added_values_are_filtered_by_name_scope():
    """A tower's losses are those that were added in its name scope, as in TF1."""

    @js.transform
    def net() -> list[Any]:
        found = []
        for i in range(2):
            with js.name_scope(f"tower_{i}") as scope:
                js.add_to_collection("losses", i)
                found.append(js.get_collection("losses", scope))
        return [*found, js.get_collection("losses")]

    assert net.apply({}) == [[0], [1], [0, 1]]


def test_notes_name_the_variable():
    """What a user's own function raises passes unchanged, with a note about the variable."""

    def fails(*args: Any) -> Any:
        raise ZeroDivisionError

    for ask in (
        lambda: js.get_variable("w", [], initializer=lambda key, shape, dtype: fails()),
        lambda: js.get_variable("w", [], regularizer=fails),
    ):
        with pytest.raises(ZeroDivisionError) as caught:
            js.transform(ask).spec()
        assert any("of variable 'w', asked for at test_merging.py" in note for note in caught.value.__notes__)


def test_a_file_of_jax_is_no_site():
    """The warning about slow calls points at the user's line."""
    net = js.transform(lambda x: jax.jit(lambda x: x * js.get_variable("w", []))(x) * float(x))
    with pytest.warns(UserWarning, match="operation by operation") as caught:
        net.apply({"w": jnp.float32(2)}, jnp.float32(3))
    assert {warning.filename for warning in caught} == {__file__}


def test_traces_are_public():
    """The chain of traces, on which all about inner traces rests, is the same in every JAX."""
    seen: list[list[str]] = []

    def look(x: jax.Array) -> jax.Array:
        seen.append([type(trace).__name__ for trace in compat.traces()])
        return x

    jax.jit(jax.vmap(jax.jit(look)))(jnp.ones(2))
    assert seen == [["DynamicJaxprTrace", "BatchTrace", "DynamicJaxprTrace", "EvalTrace"]]
