"""Specs: what variables are, made without computing, and the values that can be made of them."""

import copy
import pickle
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

import jaxscope as js
from jaxscope.errors import InitializerError, InvalidShapeError, MergeError, VariableNotFoundError

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


@pytest.fixture
def specs() -> js.VariableSpecs:
    return mlp.spec(jax.ShapeDtypeStruct((5, 3), jnp.float32))


# --- what is recorded --------------------------------------------------------------------------


def test_a_spec_tells_all_about_a_request():
    def half(value: jax.Array) -> jax.Array:
        return value / 2

    @js.transform
    def net() -> None:
        with js.variable_scope("a", regularizer=js.regularizers.l2(0.1)):
            js.get_variable(
                "w",
                (2, 3),
                "int32",
                js.initializers.ones,
                trainable=False,
                collections=["mine"],
                partitioner=PartitionSpec("x"),
                constraint=half,
                regularizer=js.no_regularizer,
            )

    spec = net.spec()["a/w"]
    line = net.__wrapped__.__code__.co_firstlineno + 3
    assert (spec.name, spec.shape, spec.dtype) == ("a/w", (2, 3), np.dtype("int32"))
    assert (spec.trainable, spec.collections) == (False, ("mine",))
    assert (spec.initializer, spec.regularizer) == (js.initializers.ones(), js.no_regularizer)
    assert (spec.constraint, spec.sharding) == (half, PartitionSpec("x"))
    assert str(spec.site) == f"test_specs.py:{line} in net"
    assert spec.site is not None
    assert (spec.site.file, spec.site.line, spec.site.function) == (__file__, line, "net")
    assert (spec.size, spec.nbytes) == (6, 24)


def test_nothing_is_computed_for_a_spec():
    """A parameter of 4 TiB has a spec, from arguments that have no values."""
    net = js.transform(lambda x: x @ js.get_variable("w", [2**20, 2**20]))
    specs = net.spec(jax.ShapeDtypeStruct((8, 2**20), jnp.float32))
    assert specs["w"].shape == (2**20, 2**20)
    assert specs.num_params == 2**40
    assert specs.nbytes == 2**42
    assert "4.0 TiB" in specs.tabulate()


def test_what_is_no_array_stays_a_python_value():
    seen: list[Any] = []

    @js.transform
    def net(*args: Any, **kwargs: Any) -> None:
        seen.append((args, kwargs))
        js.get_variable("w", [args[0]])

    fixed = (3, 2.5, True, None, "tanh", len, {"a": [1, False]}, slice(2))
    assert net.spec(*fixed, x=jnp.ones(2), flag=False, scalar=np.float32(1))["w"].shape == (3,)
    args, kwargs = seen[-1]
    assert args == fixed
    assert all(type(got) is type(given) for got, given in zip(args, fixed, strict=True))
    assert kwargs["flag"] is False
    assert isinstance(kwargs["x"], jax.core.Tracer)
    assert isinstance(kwargs["scalar"], jax.core.Tracer)


def test_specs_are_in_order_of_making(specs: js.VariableSpecs):
    """As `tf.trainable_variables()` is, and as one reads a model; values are in canonical order."""
    assert list(specs) == ["calls", "hidden/kernel", "hidden/bias", "out/kernel", "out/bias"]
    canonical = ["calls", "hidden/bias", "hidden/kernel", "out/bias", "out/kernel"]
    for values in (specs.init(KEY), specs.shape_dtypes(), specs.bind(specs.init(KEY).as_dict())):
        assert list(values) == canonical
    assert specs.num_params == 1 + 4 + 12 + 2 + 8
    assert specs.nbytes == 4 * specs.num_params


# --- values ------------------------------------------------------------------------------------


def test_any_selection_has_the_same_bits(specs: js.VariableSpecs):
    whole = specs.init(KEY)
    selections = ["hidden/", "out/kernel", "", lambda spec: False, lambda spec: len(spec.shape) == 2]
    for pattern in selections:
        part = specs.select(pattern).init(KEY)
        assert set(part) == set(specs.select(pattern))
        for name, value in part.items():
            np.testing.assert_array_equal(value, whole[name], strict=True)


def test_init_of_specs_is_init_of_the_function(specs: js.VariableSpecs):
    one, two = specs.init(KEY), mlp.init(KEY, jnp.ones((1, 3)))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)
    assert list(one.non_trainable) == ["calls"]


def test_init_under_jit_has_the_same_bits(specs: js.VariableSpecs):
    jax.tree.map(np.testing.assert_array_equal, jax.jit(specs.init)(KEY), specs.init(KEY))


def test_specs_of_values_from_the_inputs_say_so():
    net = js.transform(lambda x: js.get_variable("mean", initializer=x.mean()))
    specs = net.spec(jnp.arange(4.0))
    assert repr(specs["mean"].initializer) == "<computed from the inputs>"
    with pytest.raises(InitializerError) as caught:
        specs.init(KEY)
    assert caught.value.code == "init_from_inputs"
    assert net.init(KEY, jnp.arange(4.0))["mean"] == 1.5


def test_initializers_know_nothing_of_the_inputs():
    """One that uses what the model has computed is told which way that can be done."""

    def scaled(x: jax.Array) -> jax.Array:
        mean = x.mean(0)
        return x * js.get_variable("w", [2], initializer=lambda key, shape, dtype: 2 * mean)

    with pytest.raises(InitializerError, match="'w' uses what the model has computed before it") as caught:
        js.transform(scaled).init(KEY, jnp.ones([3, 2]))
    assert caught.value.code == "init_from_inputs"
    assert "initializer=x.mean(0)" in caught.value.fix


def test_partition_is_a_selection_and_the_rest(specs: js.VariableSpecs):
    for pattern in (".*kernel", lambda spec: spec.name.endswith("kernel")):
        chosen, others = specs.partition(pattern)
        assert chosen == specs.select(pattern)
        assert list(chosen) + list(others) == sorted(specs, key=lambda name: not name.endswith("kernel"))
        assert chosen | others == specs


def test_shape_dtypes_stand_for_the_variables(specs: js.VariableSpecs):
    shapes = specs.shape_dtypes()
    variables = specs.init(KEY)
    assert jax.tree.structure(shapes) == jax.tree.structure(variables)
    assert all(shapes[name].shape == variables[name].shape for name in specs)
    lowered = jax.jit(mlp.apply).lower(shapes, jax.ShapeDtypeStruct((5, 3), jnp.float32))
    assert lowered.out_info.shape == (5, 2)


# --- a mapping ---------------------------------------------------------------------------------


def test_specs_are_a_mapping(specs: js.VariableSpecs):
    assert len(specs) == 5
    assert specs["out/bias"].shape == (2,)
    assert "out" not in specs
    with pytest.raises(KeyError, match="no spec 'out/bais'; near names: out/bias"):
        specs["out/bais"]
    with pytest.raises(TypeError):
        specs["out/bias"] = specs["calls"]
    for attribute in ("shape", "color"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(specs["out/bias"], attribute, (3,))


def test_equality_has_no_order(specs: js.VariableSpecs):
    """As that of dicts: the same functions merged the other way round have the same variables."""
    turned = js.VariableSpecs(reversed(list(specs.values())))
    assert list(turned) == list(specs)[::-1]
    assert turned == specs == dict(specs)
    assert hash(turned) == hash(specs)
    assert specs != specs.select("out/")


def test_an_expression_that_matches_no_spec_is_an_error(specs: js.VariableSpecs):
    with pytest.raises(
        VariableNotFoundError, match="no variable's name matches 'hiden/'\n  near     hidden/"
    ):
        specs.select("hiden/")
    assert not specs.select(lambda spec: False)
    assert not js.VariableSpecs().select("hidden/")
    with pytest.raises(KeyError, match=r"which is a scope: select\('hidden/'\)"):
        specs["hidden"]


def test_a_spec_is_a_value(specs: js.VariableSpecs):
    """It is compared by what its values are, and gives others like it."""
    spec = specs["out/bias"]
    same = spec.replace(initializer=None, site=None)
    assert same == spec == mock.ANY
    assert hash(same) == hash(spec)
    assert spec.replace(trainable=False) != spec
    assert spec != "out/bias"
    assert copy.deepcopy(spec) == spec == pickle.loads(pickle.dumps(spec))
    with pytest.raises(TypeError, match="colour"):
        spec.replace(colour="red")


def test_merging_specs(specs: js.VariableSpecs):
    head = js.transform(lambda x: dense(x, 1, "head"))
    both = specs | head.spec(jnp.ones((1, 2)))
    assert list(both) == [*specs, "head/kernel", "head/bias"]
    assert list(head.spec(jnp.ones((1, 2))) | specs) == ["head/kernel", "head/bias", *specs]
    assert list(specs | specs) == list(specs)
    other = js.transform(lambda: js.get_variable("out/bias", [3])).spec()
    with pytest.raises(MergeError, match="variable 'out/bias' has two specs that differ") as caught:
        specs | other
    assert "left     float32[2] test_specs.py:" in str(caught.value)
    with pytest.raises(MergeError, match="two specs are called 'calls'"):
        js.VariableSpecs([specs["calls"], specs["calls"]])


def test_repr_shows_names_types_and_sizes(specs: js.VariableSpecs):
    assert repr(specs.select("out")) == (
        "VariableSpecs({\n  out/kernel: float32[4,2] (32 B)\n  out/bias: float32[2] (8 B)\n})"
    )
    assert repr(js.VariableSpecs()) == "VariableSpecs({})"


@pytest.mark.parametrize(
    "duplicate",
    [lambda s: pickle.loads(pickle.dumps(s)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deep"],
)
def test_copies(specs: js.VariableSpecs, duplicate: Any):
    """Copies make the same values, and still tell where each variable was made."""
    made = duplicate(specs)
    assert list(made) == list(specs)
    assert repr(made) == repr(specs)
    jax.tree.map(np.testing.assert_array_equal, made.init(KEY), specs.init(KEY))
    assert [str(spec.site) for spec in made.values()] == [str(spec.site) for spec in specs.values()]


# --- sharding ----------------------------------------------------------------------------------


def test_partitioners_become_shardings():
    def by_rank(shape: tuple[int, ...], dtype: Any) -> PartitionSpec:
        return PartitionSpec(*[None] * (len(shape) - 1), "model")

    @js.transform
    def net() -> None:
        with js.variable_scope("a", partitioner=by_rank):
            js.get_variable("w", [2, 4])
            js.get_variable("b", [4], partitioner=PartitionSpec())
        js.get_variable("c", [4])

    mesh = AbstractMesh((2,), ("model",))
    shardings = net.spec().shardings(mesh)
    assert dict(shardings) == {
        "a/b": NamedSharding(mesh, PartitionSpec()),
        "a/w": NamedSharding(mesh, PartitionSpec(None, "model")),
        "c": NamedSharding(mesh, PartitionSpec()),
    }


def test_a_partitioner_must_give_a_partition_spec():
    net = js.transform(lambda: js.get_variable("w", [2], partitioner=lambda shape, dtype: "model"))
    with pytest.raises(InvalidShapeError, match="the partitioner of 'w' gave 'model'") as caught:
        net.spec()["w"].partition_spec()
    assert caught.value.code == "partitioner"
