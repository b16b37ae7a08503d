"""Partitions by name: partitioners, patterns, logical axes; and all that can be wrong, in one error."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.errors import InvalidShapeError, MergeError
from tests.sharding.meshes import no_devices

MESH = no_devices(data=4, model=2)


def specs_of(**shapes):
    return js.transform(lambda: [js.get_variable(name, shape) for name, shape in shapes.items()]).spec()


def wrong(call) -> InvalidShapeError:
    with pytest.raises(InvalidShapeError) as caught:
        call()
    assert caught.value.code == "sharding"
    return caught.value


# --- partitioners ----------------------------------------------------------------------------------


class ByName:
    def __call__(self, request):
        return P("model") if request.name.endswith("/w") else None


@pytest.mark.parametrize(
    "partitioner",
    [
        P("model"),
        ("model",),
        lambda request: ("model",) if request.name == "a/w" else P(),
        lambda shape, dtype: P("model") if shape == (8, 4) and dtype == "float32" else P(),
        lambda **about: P("model") if set(about) == {"shape", "dtype"} else P(),
        lambda request: P("model") if request.trainable and request.shape == (8, 4) else P(),
        functools.partial(lambda axis, request: P(axis), "model"),
        ByName(),
    ],
)
@pytest.mark.parametrize("of_scope", [True, False])
def test_what_a_partitioner_may_be(partitioner, of_scope: bool):
    """A partition, the names of axes, a function of the request or of (shape, dtype); also of a scope."""

    @js.transform
    def net():
        with js.variable_scope("a", partitioner=partitioner if of_scope else None):
            js.get_variable("w", [8, 4], partitioner=None if of_scope else partitioner)

    spec = net.spec()["a/w"]
    assert spec.partition_spec() == P("model")
    assert net.spec().shardings(MESH)["a/w"] == NamedSharding(MESH, P("model"))


def test_a_function_is_told_what_is_not_trainable():
    by_use = lambda request: P("data") if request.trainable else P("model")
    net = js.transform(
        lambda: [
            js.get_variable(str(flag), [4], trainable=flag, partitioner=by_use) for flag in (True, False)
        ]
    )
    assert [s.spec for s in net.spec().shardings(MESH).values()] == [P("model"), P("data")]


@pytest.mark.parametrize("given", ["model", 3, ["model"], (1, 2), lambda request: 3, lambda a, b: P()])
def test_what_no_partitioner_is(given):
    """It is told where the variable is made, with its name; a rule's value is told with all others."""
    net = js.transform(lambda: js.get_variable("w", [8, 4], partitioner=given))
    with pytest.raises(InvalidShapeError, match="'w'") as caught:
        net.spec()
    assert caught.value.code == "partitioner"
    assert "value" in wrong(lambda: specs_of(w=[8, 4]).with_shardings({"w": given})).facts


def test_what_a_partitioner_raises():
    """It passes, with a note of the variable."""
    with pytest.raises(ZeroDivisionError) as caught:
        js.transform(lambda: js.get_variable("w", [8], partitioner=lambda request: 1 // 0)).spec()
    assert "in the partitioner of variable 'w'" in caught.value.__notes__


# --- patterns --------------------------------------------------------------------------------------


def test_first_pattern_counts_and_rules_win():
    """In the order of the rules; `...` is for the rest, and without it the rest stays as it is."""
    net = js.transform(lambda: [js.get_variable(n, [8, 8], partitioner=P("data")) for n in ("ab", "ac", "b")])
    rules = {"ab": P("model"), "a": P(None, "model"), lambda spec: spec.name == "b": None}
    assert [s.spec for s in net.spec().with_shardings(rules).shardings(MESH).values()] == [
        P("model"),
        P(None, "model"),
        P(),
    ]
    some = net.spec().with_shardings({"ab": P()})
    assert [spec.partition_spec() for spec in some.values()] == [P(), P("data"), P("data")]
    rest = net.spec().with_shardings({"ab": P(), ...: P("model")})
    assert [spec.partition_spec() for spec in rest.values()] == [P(), P("model"), P("model")]
    assert [spec.partition_spec() for spec in net.spec().values()] == [P("data")] * 3  # as they were


def test_nothing_to_lay_out():
    assert len(js.VariableSpecs().with_shardings({"a": P(), ...: P()}).with_axes({"x": None})) == 0
    assert dict(js.VariableSpecs().shardings(MESH)) == {}


# --- logical axes ----------------------------------------------------------------------------------


def test_logical_axes():
    """Each stands for an axis of the mesh, several, or none; names of the mesh's own stay."""
    axes = {"a": ("embed", "heads"), "b": P(("heads", "embed")), "c": ("mlp", None, "data"), "d": None}
    net = js.transform(lambda: [js.get_variable(n, [8, 8, 8], partitioner=p) for n, p in axes.items()])
    specs = net.spec().with_axes({"embed": "data", "heads": ("model",), "mlp": None})
    found = {name: spec.partition_spec() for name, spec in specs.items()}
    assert found == {"a": P("data", "model"), "b": P(("model", "data")), "c": P(None, None, "data"), "d": P()}
    assert specs["d"].sharding is None


# --- everything that is wrong ----------------------------------------------------------------------


def test_one_error_lists_all():
    """Patterns, values, ranks and doubles are found without a mesh, all at once, and nothing is half done."""
    specs = specs_of(w=[8, 4], v=[8], u=[4, 4], t=[2])
    rules = {
        "w": P("data", "data"),
        "v": P("data", None),
        "u": 7,
        "none": P(),
        "(": P(),
        5: P(),
        "t": P("data"),
    }
    facts = wrong(lambda: specs.with_shardings(rules)).facts
    assert facts["twice"] == "w [8,4]: 'data' splits it twice"
    assert facts["rank"] == "v [8]: has 1 axis, and P('data', None) is for 2"
    assert "u: the partitioner of 'u' gave 7" in facts["value"]
    assert len(facts["pattern"].splitlines()) == 3
    assert "'none': matches no name" in facts["pattern"]


def test_a_mesh_finds_the_rest():
    """What does not divide and what the mesh does not have, of all variables, wherever shardings are made."""
    specs = specs_of(w=[6, 4], v=[8], u=[3, 5]).with_shardings(
        {"w": P("data", "model"), "v": P("modle"), "u": P(("data", "model"))}
    )
    for call in (
        lambda: specs.shardings(MESH),
        lambda: specs.init(jax.random.key(0), mesh=MESH),
        lambda: jax.jit(lambda key: specs.init(key, mesh=MESH))(jax.random.key(0)),
    ):
        error = wrong(call)
        assert error.facts["mesh"] == "data 4, model 2"
        assert error.facts["unknown"] == "v [8]: the mesh has no axis 'modle' (near: model)"
        assert error.facts["undivided"].splitlines() == [
            "w [6,4]: axis 0, of 6, is not divided by 4 ('data')",
            "u [3,5]: axis 0, of 3, is not divided by 8 ('data', 'model')",
        ]
        assert error.summary.endswith("3 mistakes")


def test_what_is_wrong_with_logical_axes():
    net = js.transform(
        lambda: [
            js.get_variable("w", [8, 8], partitioner=("embed", "embod")),
            js.get_variable("v", [8, 8], partitioner=("embed", "mlp")),
        ]
    )
    facts = wrong(lambda: net.spec().with_axes({"embed": "data", "mlp": "data", 3: "x", "y": 4})).facts
    assert facts["unknown"] == "w: no rule for axis 'embod' (near: embed)"
    assert facts["twice"] == "v [8,8]: 'data' splits it twice"
    assert len(facts["value"].splitlines()) == 2


@pytest.mark.parametrize("call", [lambda s: s.with_shardings([P()]), lambda s: s.with_axes("data")])
def test_rules_are_mappings(call):
    assert "takes a mapping" in wrong(lambda: call(specs_of(w=[2]))).summary


@pytest.mark.parametrize("mesh", [None, "data", (4, 2), P("data")])
def test_what_no_mesh_is(mesh):
    for call in (lambda: specs_of(w=[2]).shardings(mesh), lambda: specs_of(w=[2]).plan(mesh)):
        with pytest.raises(InvalidShapeError, match="a mesh is needed") as caught:
            call()
        assert caught.value.code == "mesh"


def test_values_need_devices():
    with pytest.raises(InvalidShapeError, match="values live on devices") as caught:
        specs_of(w=[8]).init(jax.random.key(0), mesh=MESH)
    assert caught.value.code == "mesh"


def test_many_layers_are_told_once():
    """Of hundreds of layers with one mistake there is one line."""
    specs = specs_of(**{f"layer_{n}/w": [3] for n in range(300)}).with_shardings({...: P("data")})
    text = wrong(lambda: specs.shardings(MESH)).facts["undivided"]
    assert (
        text == "layer_0/w [3]: axis 0, of 3, is not divided by 4 ('data') (and 299 more with other numbers)"
    )


SIZES = {"a": 1, "b": 2, "c": 3}


@given(
    st.lists(st.integers(0, 12), max_size=3),
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from(["a", "b", "c", "d"]),
            st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=2).map(tuple),
        ),
        max_size=4,
    ),
)
def test_what_passes_is_what_jax_takes(shape, entries):
    """There is an error just where JAX has one for that array and mesh."""
    mesh = no_devices(**SIZES)
    specs = js.VariableSpecs(
        [js.VariableSpec("w", tuple(shape), jnp.dtype("float32"), sharding=tuple(entries))]
    )
    try:
        NamedSharding(mesh, P(*entries)).shard_shape(tuple(shape))
        fits = len(entries) <= len(shape)
    except Exception:  # noqa: BLE001 - of several classes
        fits = False
    if fits:
        found = specs.shardings(mesh)["w"]
        assert found.shard_shape(tuple(shape)) == tuple(
            size // math.prod(SIZES[name] for name in ((e,) if isinstance(e, str) else e or ()))
            for size, e in zip(shape, [*entries, *[None] * len(shape)], strict=False)
        )
    else:
        wrong(lambda: specs.shardings(mesh))


# --- stacks ----------------------------------------------------------------------------------------


@js.transform
def layers():
    for number in range(3):
        with js.variable_scope(f"layer_{number}"):
            js.get_variable("w", [4, 8], partitioner=lambda request: P(None, "model"))
            js.get_variable("b", [8], partitioner=("mlp",))


def test_stacking_after_rules_and_before():
    """Specs, shardings and shapes are stacked as the variables are; a stack's own axis may be split then."""
    specs = layers.spec().with_axes({"mlp": "data", "model": "model"})
    stacked = specs.stack("layer_{}")
    assert [s.spec for s in stacked.shardings(MESH).values()] == [P(None, "data"), P(None, None, "model")]
    for name, sharding in specs.shardings(MESH).stack("layer_{}").items():
        assert stacked.shardings(MESH)[name] == sharding
    assert stacked.shape_dtypes()["layer_{}/w"].shape == (3, 4, 8)
    split = stacked.with_shardings({r"layer_\{\}/w": P(None, "data")}).shardings(MESH)
    assert split["layer_{}/w"].spec == P(None, "data")


def test_layers_that_are_laid_out_differently_do_not_stack():
    specs = layers.spec().with_shardings({"layer_1/w": P("data")})
    with pytest.raises(MergeError, match="cannot be stacked") as caught:
        specs.stack("layer_{}")
    assert caught.value.facts["kinds"] == "P('data'), P(None, 'model')"


def test_no_partition_is_a_whole_one():
    specs = layers.spec().with_shardings({"layer_1/b": P(), ".*/b": None, ".*/w": P()})
    assert specs.stack("layer_{}").shardings(MESH)["layer_{}/b"].spec == P()
