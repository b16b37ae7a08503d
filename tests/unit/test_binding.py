"""Binding: what is given becomes the variables of specs, and one error tells all that is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope.errors import VariablesMismatchError

KEY = jax.random.key(7)


def dense(x: jax.Array, units: int, name: str) -> jax.Array:
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [x.shape[-1], units])
        bias = js.get_variable("bias", [units], initializer=js.initializers.zeros)
    return x @ kernel + bias


@js.transform
def mlp(x: jax.Array) -> jax.Array:
    js.get_variable("calls", [], "int32", trainable=False)
    return dense(jnp.tanh(dense(x, 4, "hidden")), 2, "out")


@js.transform
def deep(x: jax.Array) -> jax.Array:
    for number in range(3):
        with js.variable_scope(f"layer_{number}"):
            x = x * js.get_variable("w", [2]) + js.get_variable("n", [], trainable=False)
    return x * js.get_variable("head", [2])


X = jnp.ones((5, 3))
SPECS = mlp.spec(X)
DEEP = deep.spec(jnp.ones(2))


def mismatch(specs: js.VariableSpecs, values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the facts of the error, by kind, as lists of rows."""
    with pytest.raises(VariablesMismatchError) as caught:
        specs.bind(values)
    assert caught.value.code == "mismatch"
    return {kind: rows.splitlines() for kind, rows in caught.value.facts.items()}


# --- what fits ---------------------------------------------------------------------------------


def test_numpy_becomes_jax():
    values = {name: np.zeros(spec.shape, spec.dtype) for name, spec in reversed(list(SPECS.items()))}
    bound = SPECS.bind(values)
    assert jax.tree.structure(bound) == jax.tree.structure(SPECS.init(KEY))
    for name, value in bound.items():
        assert isinstance(value, jax.Array)
        np.testing.assert_array_equal(value, values[name], strict=True)


def test_jax_arrays_stay_what_they_are():
    values = SPECS.init(KEY)
    for form in (values, values.as_dict()):
        bound = SPECS.bind(form)
        assert jax.tree.structure(bound) == jax.tree.structure(values)
        assert all(bound[name] is values[name] for name in values)


def test_bind_takes_tracers():
    values = SPECS.init(KEY)
    tree = jax.jit(lambda given: SPECS.bind(given))(values.as_dict())
    assert jax.tree.structure(tree) == jax.tree.structure(values)


def test_a_checkpoint_of_64_bits():
    """What NumPy and TF1 save without being asked: a step of int64, and weights of float64."""
    values = {name: np.ones(spec.shape, np.float64) for name, spec in SPECS.items()}
    bound = SPECS.bind({**values, "calls": np.array(3)})
    assert {str(value.dtype) for value in bound.values()} == {"int32", "float32"}
    rows = mismatch(SPECS, {**values, "calls": np.array(2**40)})
    assert rows == {"value": ["'calls' is int64[], and not all of its values fit int32"]}


class Lazy(Mapping[str, Any]):
    """A file that is read value by value, and knows what was read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_of = values
        self.read: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.read.append(name)
        value = self.values_of[name]
        if isinstance(value, Exception):
            raise value
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_of)

    def __len__(self) -> int:
        return len(self.values_of)

    def __contains__(self, name: object) -> bool:
        return name in self.values_of


def test_each_value_is_read_once():
    lazy = Lazy(SPECS.init(KEY))
    SPECS.bind(lazy)
    assert sorted(lazy.read) == sorted(SPECS)


# --- what does not -----------------------------------------------------------------------------


def test_one_error_lists_all_that_is_wrong():
    rows = mismatch(
        SPECS,
        {
            "hidden/bias": np.zeros(5, np.float32),
            "hidden/kernel": np.zeros((3, 4), np.int32),
            "out/kernel": [1, 2],
            "calls": "three",
            "out/weight": jnp.zeros(2),
        },
    )
    assert rows == {
        "missing": ["out/bias float32[2]"],
        "extra": ["out/weight float32[2]"],
        "shape": ["hidden/bias float32[5], not float32[4]"],
        "dtype": ["hidden/kernel int32[3,4], not float32[3,4]"],
        "value": ["'calls' is not an array but str", "'out/kernel' is not an array but list"],
    }


def test_extra_values_are_not_looked_at():
    """A name alone where a value cannot even be read; and no error of its own."""

    class Odd:
        @property
        def shape(self) -> Any:
            raise RuntimeError

    values = SPECS.init(KEY).as_dict()
    extra = {"unreadable": OSError("gone"), "odd": Odd(), "text": "v1", "struct": np.array([None])}
    rows = mismatch(SPECS, Lazy({**values, **extra}))
    assert rows == {"extra": ["unreadable", "odd Odd", "text str", "struct object[1]"]}


@pytest.mark.parametrize("given", [None, 3, [("w", 1)], "w", {"w"}], ids=lambda value: type(value).__name__)
def test_what_is_no_mapping(given: Any):
    with pytest.raises(VariablesMismatchError, match="must be a mapping of full names to arrays, not"):
        SPECS.bind(given)


def test_a_nested_mapping_is_told_what_to_do():
    """As other libraries have their parameters; `from_nested` gives them names."""
    tree = SPECS.init(KEY).nested()
    with pytest.raises(VariablesMismatchError) as caught:
        SPECS.bind(tree)
    assert caught.value.fix.startswith("the mapping is nested: js.Variables.from_nested(tree)")
    bound = SPECS.bind(js.Variables.from_nested(tree))
    assert jax.tree.structure(bound) == jax.tree.structure(SPECS.init(KEY))
    with pytest.raises(VariablesMismatchError) as caught:
        SPECS.bind({"hidden": {"weight": jnp.ones(2)}})
    assert "nested" not in caught.value.fix


@pytest.mark.parametrize("nests", [False, True])
def test_a_wrapped_mapping_is_told_what_to_do(nests: bool):
    """As other libraries have their collections."""
    inside = SPECS.init(KEY)
    with pytest.raises(VariablesMismatchError) as caught:
        SPECS.bind({"params": inside.nested() if nests else inside})
    assert caught.value.fix.startswith("give what is inside of 'params'")
    assert ("from_nested" in caught.value.fix) is nests


# --- stacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("specs", [DEEP, DEEP.stack("layer_{}")], ids=["single", "stacked"])
@pytest.mark.parametrize("pattern", [None, "w", "n", ""])
def test_layers_are_given_one_by_one_or_stacked(specs: js.VariableSpecs, pattern: str | None):
    """Whichever the specs are; and what is bound is as it was given."""
    values = DEEP.init(KEY)
    if pattern is not None:
        chosen, rest = values.partition(rf"layer_\d/{pattern}")
        values = chosen.stack("layer_{}") | rest
    bound = specs.bind(values.as_dict())
    assert jax.tree.structure(bound) == jax.tree.structure(values)
    assert all(bound[name] is values[name] for name in values)
    np.testing.assert_array_equal(deep.apply(bound, jnp.ones(2)), deep.apply(DEEP.init(KEY), jnp.ones(2)))


def test_a_variable_that_is_given_twice():
    values = DEEP.init(KEY)
    both = {**values, **values.stack("layer_{}")}
    rows = mismatch(DEEP, both)
    assert rows == {
        "twice": [f"layer_{at}/{name} alone and in 'layer_{{}}/{name}'" for at in range(3) for name in "wn"]
    }
    assert "layer_0/w" in str(mismatch(DEEP.stack("layer_{}"), both))


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_stack_of_another_number_of_layers(layers: int):
    values = DEEP.stack("layer_{}").init(KEY).as_dict()
    values["layer_{}/w"] = jnp.ones((layers, 2))
    for specs in (DEEP, DEEP.stack("layer_{}")):
        assert mismatch(specs, values) == {"shape": [f"layer_{{}}/w float32[{layers},2], not float32[3,2]"]}


def test_a_stack_of_layers_that_differ():
    specs = js.VariableSpecs(
        js.VariableSpec(f"layer_{at}/w", (2,), np.dtype("float32"), trainable=at == 0) for at in range(2)
    )
    rows = mismatch(specs, {"layer_{}/w": jnp.ones((2, 2))})
    assert rows == {"value": ["'layer_{}/w' is a stack of layers that differ in shape, dtype or trainable"]}


@settings(deadline=None, max_examples=60)
@given(st.permutations(["a_{}", "b_{}", "c_{}"]), st.integers(0, 3), st.booleans())
def test_stacks_of_stacks(order: list[str], depth: int, numpy: bool):
    """Whatever is stacked in whatever order."""
    names = [f"a_{a}/b_{b}/c_{c}/w" for a in range(2) for b in range(3) for c in range(2)]
    specs = js.VariableSpecs(js.VariableSpec(name, (2,), np.dtype("float32")) for name in names)
    values = js.Variables({name: np.full(2, number, np.float32) for number, name in enumerate(names)})
    for pattern in order[:depth]:
        values = values.stack(pattern)
    given = values if numpy else jax.tree.map(jnp.asarray, values)
    bound = specs.bind(given)
    assert jax.tree.structure(bound) == jax.tree.structure(values)
    jax.tree.map(np.testing.assert_array_equal, bound, values)
