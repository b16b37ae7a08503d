"""Stacks: whatever names variables can be stacked, and each operation means the same before and after."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AbstractMesh, AxisType, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope._core.variables.stacks import check_given_once, layer_of, place_in_stack
from jaxscope.errors import MergeError, VariablesMismatchError

KEY = jax.random.key(3)
MESH = AbstractMesh((2, 4), ("data", "model"))


def clipped(value: jax.Array) -> jax.Array:
    return jnp.clip(value, -0.1, 0.1)


@js.transform
def deep(x: jax.Array) -> None:
    js.get_variable("embed", [8, 4], partitioner=P("model"))
    for outer, inner in itertools.product(range(2), range(3)):
        with js.variable_scope(f"layer_{outer}"), js.variable_scope(f"sub_{inner}"):
            js.get_variable(
                "w",
                [4, 8],
                partitioner=P(None, "model"),
                regularizer=js.regularizers.l2(0.1),
                constraint=clipped,
            )
            js.get_variable("b", [8], initializer=js.initializers.zeros, partitioner=P("model"))
            js.get_variable("n", [], "int32", trainable=False)
    js.get_variable("head", [4])


SPECS = deep.spec(jnp.ones(3))
ORDERS = [["layer_{}"], ["sub_{}"], ["layer_{}", "sub_{}"], ["sub_{}", "layer_{}"]]


def stacked(values: Any, order: list[str]) -> Any:
    for pattern in order:
        values = values.stack(pattern)
    return values


def assert_same(one: js.Variables, other: js.Variables) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for name, value in one.items():
        if isinstance(value, jax.Array):
            np.testing.assert_array_equal(value, other[name], strict=True)
        else:
            assert value == other[name]


# --- specs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_stacking_specs_is_stacking_what_they_give(order: list[str]):
    """Initial values to the last bit, shardings, shapes, and what is bound."""
    specs = stacked(SPECS, order)
    values = SPECS.init(KEY)
    assert_same(specs.init(KEY), stacked(values, order))
    assert_same(jax.jit(specs.init)(KEY), stacked(values, order))
    assert_same(specs.shardings(MESH), stacked(SPECS.shardings(MESH), order))
    assert_same(specs.shape_dtypes(), stacked(SPECS.shape_dtypes(), order))
    assert_same(specs.bind(stacked(values, order)), stacked(values, order))
    assert specs.num_params == SPECS.num_params


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_specs_come_back_from_stacks(order: list[str]):
    """With the initializers, regularizers and constraints that they had, in the order of making."""
    for back in (stacked(SPECS, order).unstack(), unstacked(stacked(SPECS, order), order)):
        assert list(back) == list(SPECS)
        for name, spec in back.items():
            old = SPECS[name]
            assert spec == old
            assert spec.partition_spec() == old.partition_spec()
            assert (spec.initializer, spec.regularizer) == (old.initializer, old.regularizer)
            assert spec.constraint is old.constraint


def unstacked(specs: js.VariableSpecs, order: list[str]) -> js.VariableSpecs:
    for pattern in reversed(order):
        specs = specs.unstack(pattern)
    return js.VariableSpecs(specs[name] for name in SPECS)


def test_stacked_specs_keep_the_order_of_making():
    assert list(stacked(SPECS, ["sub_{}", "layer_{}"])) == [
        "embed",
        "layer_{}/sub_{}/w",
        "layer_{}/sub_{}/b",
        "layer_{}/sub_{}/n",
        "head",
    ]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_a_stack_is_penalised_and_projected_layer_by_layer(order: list[str]):
    """As its layers are: the sum of their losses, and each projected by its own constraint."""
    specs, values = stacked(SPECS, order), SPECS.init(KEY)
    loss = sum(spec.regularizer(values[name]) for name, spec in SPECS.items() if spec.regularizer)
    of_stacks = stacked(values, order)
    found = [spec.regularizer(of_stacks[name]) for name, spec in specs.items() if spec.regularizer]
    np.testing.assert_allclose(sum(found), loss, rtol=1e-5)
    projected = {n: v if (f := SPECS[n].constraint) is None else f(v) for n, v in values.items()}
    again = {n: v if (f := specs[n].constraint) is None else f(v) for n, v in of_stacks.items()}
    frozen = list(values.non_trainable)
    assert_same(
        js.Variables(again, non_trainable=list(of_stacks.non_trainable)),
        stacked(js.Variables(projected, non_trainable=frozen), order),
    )


def test_each_layer_of_a_stack_has_its_own_functions():
    """Also where they differ, or where some layers have none."""

    @js.transform
    def net() -> None:
        regularizers = [js.regularizers.l1(1.0), None, js.regularizers.l2(1.0), js.no_regularizer]
        constraints = [clipped, None, None, jnp.negative]
        for number in range(4):
            with js.variable_scope(f"layer_{number}"):
                js.get_variable("w", [2], regularizer=regularizers[number], constraint=constraints[number])

    (spec,) = net.spec().stack("layer_{}").values()
    value = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    assert spec.regularizer(value) == 3 + (25 + 36) / 2
    np.testing.assert_array_equal(
        spec.constraint(value), jnp.array([[0.1, 0.1], [3, 4], [5, 6], [-7, -8]], jnp.float32)
    )


def test_a_stack_of_values_from_the_inputs():
    @js.transform
    def net(x: jax.Array) -> None:
        for number in range(2):
            js.get_variable(f"layer_{number}/mean", initializer=x.mean())

    specs = net.spec(jnp.arange(4.0)).stack("layer_{}")
    with pytest.raises(js.errors.InitializerError) as caught:
        specs.init(KEY)
    assert caught.value.code == "init_from_inputs"


@pytest.mark.parametrize(
    "change", [{"shape": (3,)}, {"dtype": np.dtype("int8")}, {"trainable": False}, {"collections": ("mine",)}]
)
def test_specs_that_differ_do_not_stack(change: dict[str, Any]):
    one = js.VariableSpec("layer_0/w", (2,), np.dtype("float32"))
    other = one.replace(name="layer_1/w", **change)
    with pytest.raises(MergeError, match=r"the layers of 'layer_\{\}/w' cannot be stacked"):
        js.VariableSpecs([one, other]).stack("layer_{}")


# --- what transforms put in --------------------------------------------------------------------


def explicit() -> AbstractMesh:
    return AbstractMesh((1, 1), ("a", "d"), axis_types=(AxisType.Explicit,) * 2)


def layers(*leaves: Any) -> js.Variables:
    return js.Variables({f"layer_{number}/w": leaf for number, leaf in enumerate(leaves)})


@pytest.mark.parametrize("leaf", [True, "decay", 0.1, None, ("a", 1), SingleDeviceSharding(jax.devices()[0])])
def test_what_is_no_array_stands_for_all_layers(leaf: Any):
    """Masks for optax, labels, Python numbers: one where all layers agree."""
    whole = layers(leaf, leaf, leaf).stack("layer_{}")
    assert dict(whole) == {"layer_{}/w": leaf}
    back = whole.unstack("layer_{}", layers=3)
    assert back.as_dict() == layers(leaf, leaf, leaf).as_dict()


@pytest.mark.parametrize(
    "leaves",
    [(True, False), ("a", "b"), (1, True), (1, 1.0), (P("a"), P()), (jnp.ones(2), True), (None, 0)],
    ids=str,
)
def test_what_differs_does_not_stack(leaves: Any):
    with pytest.raises(MergeError, match="cannot be stacked"):
        layers(*leaves).stack("layer_{}")


@pytest.mark.parametrize(
    ("single", "number", "spec"),
    [
        (P(None, "d"), 0, P(None, None, "d")),
        (P("d", None), 0, P(None, "d", None)),
        (P(("a", "d")), 0, P(None, ("a", "d"))),
        (P(), 0, P()),
        (P("d", unreduced={"a"}), 0, P(None, "d", unreduced={"a"})),
        (P("d", "a"), 1, P("d", None, "a")),
        (P("d"), 1, P("d")),
    ],
    ids=str,
)
def test_a_sharding_gets_an_axis_that_is_not_split(single: P, number: int, spec: P):
    """At the place of the layers' axis: behind those of stacks around it."""
    prefix = "block_{}/" * number
    for leaf, expected in (
        (single, spec),
        (NamedSharding(mesh := explicit(), single), NamedSharding(mesh, spec)),
    ):
        whole = js.Variables({f"{prefix}layer_{at}/w": leaf for at in range(3)}).stack("layer_{}")
        assert dict(whole) == {f"{prefix}layer_{{}}/w": expected}
        back = whole.unstack("layer_{}", layers=3)
        assert list(back.values()) == [leaf] * 3


def test_shapes_with_shardings():
    """A `ShapeDtypeStruct` keeps the sharding of its layers."""
    one = jax.ShapeDtypeStruct((4, 8), jnp.float32, sharding=NamedSharding(MESH, P("data", "model")))
    whole = layers(one, one).stack("layer_{}")["layer_{}/w"]
    assert (whole.shape, whole.dtype, whole.sharding.spec) == (
        (2, 4, 8),
        jnp.float32,
        P(None, "data", "model"),
    )
    assert list(layers(one, one).stack("layer_{}").unstack().values()) == [one, one]
    with pytest.raises(MergeError, match="cannot be stacked"):
        layers(one, jax.ShapeDtypeStruct((4, 8), jnp.float32)).stack("layer_{}")


def test_numpy_stays_numpy():
    """A checkpoint is stacked where it lies, with its own dtype, without a device."""
    whole = layers(np.ones(2), np.zeros(2)).stack("layer_{}")
    assert type(whole["layer_{}/w"]) is np.ndarray
    assert whole["layer_{}/w"].dtype == np.float64
    np.testing.assert_array_equal(whole.unstack()["layer_1/w"], np.zeros(2), strict=True)


def test_keys_stack():
    keys = jax.random.split(KEY, 2)
    whole = layers(*keys).stack("layer_{}")
    assert whole["layer_{}/w"].shape == (2,)
    assert all(whole.unstack()[f"layer_{at}/w"] == keys[at] for at in range(2))


def test_arrays_beside_tell_how_many_layers_there_are():
    """As in the state of an optimizer that leaves some variables out."""
    mixed = js.Variables({"layer_{}/w": jnp.ones((3, 2)), "layer_{}/b": None, "other_{}/b": None})
    assert list(mixed.unstack("layer_{}")) == [
        *(f"layer_{n}/{v}" for n in range(3) for v in "bw"),
        "other_{}/b",
    ]
    with pytest.raises(MergeError, match="which does not tell the number of layers") as caught:
        mixed.unstack()
    assert "layers=" in caught.value.fix


def test_another_number_of_layers_than_said():
    with pytest.raises(MergeError, match="which is not of 4 layers"):
        js.Variables({"layer_{}/w": jnp.ones((3, 2))}).unstack(layers=4)


def test_very_long_numbers_are_no_layers():
    """Python does not even make an int of some."""
    long = "9" * 5000
    variables = js.Variables({f"layer_{long}/w": jnp.ones(2), "layer_0/w": jnp.ones(2)})
    assert set(variables.stack("layer_{}")) == {f"layer_{long}/w", "layer_{}/w"}


@pytest.mark.parametrize("first", [True, False])
def test_a_stack_whose_name_is_taken(first: bool):
    """Whichever comes first, and of one layer as of many."""
    pairs = [("layer_{}/w", (), np.dtype("float32")), ("layer_0/w", (), np.dtype("float32"))]
    specs = js.VariableSpecs(js.VariableSpec(*pair) for pair in (pairs if first else pairs[::-1]))
    with pytest.raises(MergeError, match=r"two variables would be called 'layer_\{\}/w'"):
        specs.stack("layer_{}")


# --- where a variable is given -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "place"),
    [
        ("w", ["w"], None),
        ("layer_2/w", ["layer_2/w"], None),
        ("layer_2/w", ["layer_{}/w"], ("layer_{}/w", (2,))),
        ("layer_12/w2", ["layer_{}/w2"], ("layer_{}/w2", (12,))),
        ("a_1/b_2/w", ["a_{}/b_{}/w"], ("a_{}/b_{}/w", (1, 2))),
        ("a_1/b_2/w", ["a_1/b_{}/w"], ("a_1/b_{}/w", (2,))),
        ("a_1/b_{}/w", ["a_{}/b_{}/w"], ("a_{}/b_{}/w", (1, slice(None)))),
        ("layer_02/w", ["layer_{}/w"], None),
        (f"layer_{'9' * 5000}/w", ["layer_{}/w"], None),
    ],
)
def test_the_place_in_a_stack(name: str, given: list[str], place: Any):
    assert place_in_stack(name, given) == place
    check_given_once(given)


@pytest.mark.parametrize(
    ("name", "given", "where"),
    [
        ("layer_2/w", ["layer_2/w", "layer_{}/w"], "alone and in 'layer_{}/w'"),
        ("a_1/b_{}/w", ["a_1/b_{}/w", "a_{}/b_{}/w"], "alone and in 'a_{}/b_{}/w'"),
    ],
)
def test_a_variable_that_is_given_twice(name: str, given: list[str], where: str):
    """Alone and in a stack: nobody can say which is meant."""
    for check in (lambda: place_in_stack(name, given), lambda: check_given_once(given)):
        with pytest.raises(VariablesMismatchError) as caught:
            check()
        assert caught.value.code == "given_twice"
        assert caught.value.summary == f"variable {name!r} is given twice: {where}"


def test_a_variable_in_two_stacks():
    with pytest.raises(VariablesMismatchError, match=r"in 'a_\{\}/b_2/w' and in 'a_1/b_\{\}/w'"):
        place_in_stack("a_1/b_2/w", ["a_{}/b_2/w", "a_1/b_{}/w"])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.data())
def test_a_place_is_where_stack_put_it(sizes: list[int], data: st.DataObject):
    """Whatever is stacked, in whatever order, each layer is found where it went."""
    names = [
        "/".join(f"l{depth}_{at}" for depth, at in enumerate(index)) + "/w"
        for index in itertools.product(*map(range, sizes))
    ]
    single = js.Variables({name: np.float32(number) for number, name in enumerate(names)})
    order = data.draw(st.permutations([f"l{depth}_{{}}" for depth in range(len(sizes))]))
    whole = stacked(single, order[: data.draw(st.integers(1, len(order)))])
    for name in names:
        place = place_in_stack(name, whole)
        assert place is not None
        stack, index = place
        assert layer_of(whole[stack], index) == single[name]
        assert layer_of(whole[stack], (*index[:-1], 9)) is None


@pytest.mark.parametrize("above", ["", "deep/"])
def test_levels_of_one_name(above: str):
    """Layers in layers of the same name, stacked twice: each number keeps its axis, and all come back."""
    values = js.Variables(
        {f"{above}layer_{i}/layer_{j}/w": jnp.full(4, 10 * i + j) for i in range(2) for j in range(3)}
    )
    both = values.stack("layer_{}").stack("layer_{}")
    assert {name: value.shape for name, value in both.items()} == {
        f"{above}layer_{{}}/layer_{{}}/w": (2, 3, 4)
    }
    assert_same(both.unstack(), values)
