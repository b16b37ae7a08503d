"""Initial values on a mesh: the bits of one device, made where they live, in the memory of their parts."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from tests.sharding.meshes import KINDS, mesh_of, same, there

KEY = jax.random.key(7)
init = js.initializers


def compiles():
    found: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: found.append(event) if event.endswith("backend_compile_duration") else None
    )
    return found


# --- memory ----------------------------------------------------------------------------------------

OURS_AND_THEIRS = {
    "normal": (init.random_normal(0, 0.02), jax.nn.initializers.normal(0.02)),
    "truncated": (init.truncated_normal(0, 0.02), jax.nn.initializers.truncated_normal(0.02)),
    "uniform": (init.random_uniform(-1, 1), jax.nn.initializers.uniform()),
    "glorot": (init.glorot_uniform(), jax.nn.initializers.glorot_uniform()),
    "orthogonal": (init.orthogonal(), jax.nn.initializers.orthogonal()),
}


def names_in(spec: P) -> list[str]:
    return [name for entry in spec if entry for name in (entry if isinstance(entry, tuple) else (entry,))]


EVERY = [P(*entries) for entries in itertools.product([None, "a", "b", ("a", "b")], repeat=3)]
#: All ways to split three axes over two of a mesh.
SPLITS = [spec for spec in EVERY if 0 < len(names_in(spec)) == len(set(names_in(spec)))]


def temporaries(initializer, shape, spec: P, dtype="float32") -> float:
    """Return the bytes of temporaries on each device, over those of a shard."""
    mesh = mesh_of(a=4, b=2)
    specs = js.transform(lambda: js.get_variable("w", shape, dtype, initializer=initializer)).spec()
    shardings = specs.with_shardings({"w": spec}).shardings(mesh)
    used = jax.jit(specs.init, out_shardings=shardings).lower(KEY).compile().memory_analysis()
    parts = math.prod(mesh.shape[name] for name in names_in(spec))
    return used.temp_size_in_bytes / (math.prod(shape) * np.dtype(dtype).itemsize / parts)


@pytest.mark.parametrize("spec", SPLITS, ids=str)
def test_every_split_of_heads(spec: P):
    """`[1024, 64, 64]`, split in every way, is drawn without temporaries; `jax.nn` never takes less."""
    ours, theirs = OURS_AND_THEIRS["normal"]
    found = temporaries(ours, (1024, 64, 64), spec)
    assert found < 0.01
    assert found <= temporaries(theirs, (1024, 64, 64), spec)


@pytest.mark.parametrize("law", OURS_AND_THEIRS)
def test_every_law(law: str):
    """Each initializer takes no more than its like in `jax.nn.initializers`, whole or split."""
    ours, theirs = OURS_AND_THEIRS[law]
    for spec in (P(), P(None, ("a", "b"))):
        assert temporaries(ours, (512, 256), spec) <= temporaries(theirs, (512, 256), spec)


def test_stacks_take_no_more():
    """A stack of layers is drawn by one program without temporaries, however it is split."""
    mesh = mesh_of(a=4, b=2)

    def net():
        for number in range(8):
            with js.variable_scope(f"layer_{number}"):
                js.get_variable("w", [128, 64], initializer=init.random_normal(0, 0.1 * (number + 1)))

    specs = js.transform(net).spec().stack("layer_{}")
    for spec in (P("a"), P("b", None, "a"), P(None, None, ("a", "b"))):
        shardings = specs.with_shardings({...: spec}).shardings(mesh)
        program = jax.jit(specs.init, out_shardings=shardings).lower(KEY).compile()
        assert program.memory_analysis().temp_size_in_bytes < 0.01 * 4 * 8 * 128 * 64
        text = program.as_text()
        assert not any(
            word in text for word in ("all-gather", "all-to-all", "collective-permute", "all-reduce")
        )


# --- bits ------------------------------------------------------------------------------------------

MODES = {
    "placed": lambda specs, mesh: specs.init(KEY, mesh=mesh),
    "jit": lambda specs, mesh: jax.jit(specs.init, out_shardings=specs.shardings(mesh))(KEY),
    "in a trace": lambda specs, mesh: jax.jit(lambda key: specs.init(key, mesh=mesh))(KEY),
}
LAWS = [
    init.random_normal(0.1, 0.3),
    init.truncated_normal(0, 0.1),
    init.glorot_uniform(),
    init.random_uniform(-2, 5),
    init.zeros,
    init.constant(0.3),
    init.orthogonal(),
]


@st.composite
def models(data):
    """Layers that are stacked or not, and a mesh that splits them in any way that their shapes allow."""
    sizes = data(st.sampled_from([(8,), (2, 4), (2, 2, 2), (4,)]))
    mesh = mesh_of(data(st.sampled_from(KINDS)), **dict(zip("abc", sizes, strict=False)))
    made = []
    for _ in range(data(st.integers(1, 2))):
        free, spec, shape = data(st.permutations(mesh.axis_names)), [], []
        for _ in range(data(st.integers(2, 3))):
            count = data(st.sampled_from([0, 1, 1, 2]))
            names, free = tuple(free[:count]), free[count:]
            spec.append(names or None)
            shape.append(math.prod(mesh.shape[n] for n in names) * data(st.sampled_from([1, 2, 3, 5])))
        law = data(st.sampled_from(LAWS))
        made.append((shape, law, P(*spec)))
    return mesh, made, data(st.integers(1, 3)), data(st.booleans())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.sampled_from(list(MODES)))
def test_bits_are_those_of_one_device(drawn, mode: str):
    """Of whatever shapes, laws, splits and meshes, stacked or not, eagerly and in a trace."""
    mesh, made, layers, stacked = drawn

    def net():
        for number in range(layers):
            with js.variable_scope(f"layer_{number}"):
                for at, (shape, law, spec) in enumerate(made):
                    js.get_variable(f"v{at}", shape, initializer=law, partitioner=spec)

    specs = js.transform(net).spec()
    alone = specs.init(KEY)
    if stacked:
        specs, alone = specs.stack("layer_{}"), alone.stack("layer_{}")
    values = MODES[mode](specs, mesh)
    assert same(values, alone)
    assert there(values, specs.shardings(mesh))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_stack_that_is_split_by_layers(kind: AxisType):
    """Its own axis may be split, too; whatever draws the layers, each device has its own alone."""
    mesh = mesh_of(kind, a=4, b=2)
    kinds = {
        "law": init.random_normal(),
        "own": init.orthogonal(),
        "foreign": lambda key, shape, dtype: jax.random.normal(key, shape, dtype),
        "number": init.ones,
        "array": init.constant(np.arange(64.0).reshape(8, 8)),
        "numpy": lambda key, shape, dtype: np.full(shape, 2, dtype),
    }

    def net():
        for number in range(4):
            with js.variable_scope(f"layer_{number}"):
                for name, initializer in kinds.items():
                    js.get_variable(name, [8, 8], initializer=initializer)
                js.get_variable("mixed", [8, 8], initializer=init.random_normal() if number else init.zeros)

    specs = js.transform(net).spec()
    alone = specs.init(KEY).stack("layer_{}")
    ours = lambda name, _: "foreign" not in name
    for spec, modes in ((P("a"), ["placed", "in a trace"]), (P(None, "a", "b"), ["placed"])):
        stacked = specs.stack("layer_{}").with_shardings({...: spec})
        for mode in modes:
            values = MODES[mode](stacked, mesh)
            assert same(values.select(ours), alone.select(ours))
            # XLA rounds what is not ours in one way or another.
            assert jnp.allclose(values["layer_{}/foreign"], alone["layer_{}/foreign"], atol=1e-6)
            assert there(values, stacked.shardings(mesh))


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_other_keys(impl: str):
    """Keys whose bits depend on the shape draw layer by layer, and give the same."""
    mesh, key = mesh_of(a=8), jax.random.key(3, impl=impl)

    def net():
        for number in range(3):
            js.get_variable(f"layer_{number}/w", [16, 8], partitioner=P("a"))

    specs = js.transform(net).spec()
    alone = specs.init(key)
    assert same(specs.init(key, mesh=mesh), alone)
    assert same(specs.stack("layer_{}").init(key, mesh=mesh), alone.stack("layer_{}"))


def test_wide_and_short_dtypes():
    with jax.enable_x64(True):
        mesh = mesh_of(a=2, b=4)

        def net():
            for dtype in ("float64", "float32", "bfloat16", "float16", "int8", "int64"):
                start = init.random_uniform(-9, 9) if "int" in dtype else init.truncated_normal()
                js.get_variable(dtype, [8, 12], dtype, initializer=start, partitioner=P("a", "b"))

        specs = js.transform(net).spec()
        alone = specs.init(KEY)
        for mode in MODES.values():
            assert same(mode(specs, mesh), alone)


# --- programs --------------------------------------------------------------------------------------


def test_programs_do_not_grow_with_depth():
    """A program for each law, shape and sharding, however many variables; stacked, one for each stack."""
    found, mesh = compiles(), mesh_of(a=8)
    counts = []
    for depth in (2, 20):

        def net(depth=depth):
            for number in range(depth):
                with js.variable_scope(f"layer_{number}"):
                    js.get_variable("up", [256, 1032 + depth], partitioner=P("a"))
                    js.get_variable("down", [1040, 256 + depth], partitioner=P("a"))
                    js.get_variable("bias", [1040], initializer=init.zeros)

        specs = js.transform(net).spec()
        for each in (specs, specs.stack("layer_{}")):
            before = len(found)
            jax.block_until_ready(each.init(KEY, mesh=mesh))
            counts.append(len(found) - before)
    assert counts[0] == counts[2] <= 2
    assert counts[1] == counts[3] <= 3


def test_no_whole_array_anywhere(monkeypatch: pytest.MonkeyPatch):
    """What is large is neither sent through the host nor whole on a device, eagerly."""
    mesh = mesh_of(a=8)
    size = 8 * 2**19
    seen: list[int] = []
    put = jax.device_put
    monkeypatch.setattr(
        jax, "device_put", lambda x, *args, **kw: seen.append(np.size(x)) or put(x, *args, **kw)
    )

    def net():
        for name, start in {"z": init.zeros, "n": init.random_normal(), "c": init.constant(2.0)}.items():
            js.get_variable(name, [size], initializer=start, partitioner=P("a"))
            for number in range(2):
                js.get_variable(f"l_{number}/{name}", [size], initializer=start, partitioner=P("a"))

    specs = js.transform(net).spec().stack("l_{}")
    values = jax.block_until_ready(specs.init(KEY, mesh=mesh))
    assert there(values, specs.shardings(mesh))
    assert not any(one >= size for one in seen)
    live = [shard.data for array in jax.live_arrays() for shard in array.addressable_shards]
    assert max(data.size for data in live) <= 2 * size // 8
    assert jnp.isfinite(values["n"]).all()


def test_without_jit():
    """`jax.disable_jit` changes neither values nor places."""
    mesh = mesh_of(a=8)
    specs = js.transform(
        lambda: [js.get_variable(f"l_{n}/w", [8, 4], partitioner=P("a")) for n in range(2)]
    ).spec()
    for each in (specs, specs.stack("l_{}")):
        alone = each.init(KEY)
        with jax.disable_jit():
            values = each.init(KEY, mesh=mesh)
        assert same(values, alone)
        assert there(values, each.shardings(mesh))


def test_the_placed_way_is_a_namedsharding_of_the_mesh():
    """Each value has just the sharding that `shardings` gives, and its own buffers, which may be donated."""
    mesh = mesh_of(a=8)
    specs = js.transform(lambda: [js.get_variable(n, [8, 4], partitioner=P("a")) for n in "vw"]).spec()
    values = specs.init(KEY, mesh=mesh)
    assert all(value.sharding == NamedSharding(mesh, P("a")) for value in values.values())
    doubled = jax.jit(lambda v: jax.tree.map(lambda a: 2 * a, v), donate_argnums=0)(values)
    assert jax.tree.leaves(values)[0].is_deleted()
    assert doubled["v"].sharding == values["v"].sharding
