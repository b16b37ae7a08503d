"""Placing: on any mesh, however it is split, each device makes its own part, of the values of one device."""

import contextlib
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from jaxscope import initializers
from jaxscope._core.drawing.draw import draw
from jaxscope.errors import InvalidShapeError

KEY = jax.random.key(2024)
EIGHT = jax.device_count() >= 8
eight = pytest.mark.skipif(not EIGHT, reason="run by test_on_eight_devices")


@pytest.mark.slow
@pytest.mark.skipif(EIGHT, reason="there are eight")
def test_on_eight_devices():
    """All other tests of this file pass in a process that has eight devices, made of the one processor."""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-5000:]
    assert "1 skipped" in run.stdout.splitlines()[-1], run.stdout[-500:]


def mesh_of(sizes: tuple[int, ...], kinds: AxisType | tuple[AxisType, ...] = AxisType.Auto):
    kinds = kinds if isinstance(kinds, tuple) else (kinds,) * len(sizes)
    devices = jax.devices()[: math.prod(sizes)]
    return jax.make_mesh(sizes, tuple("abc"[: len(sizes)]), axis_types=kinds, devices=devices)


def same(left, right) -> bool:
    return all(
        a.dtype == b.dtype and a.shape == b.shape and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(left, right, strict=True)
    )


def there(values, places) -> bool:
    # Where there are no elements, XLA knows no place either.
    return all(
        v.sharding.is_equivalent_to(p, v.ndim) or not v.size for v, p in zip(values, places, strict=True)
    )


# Bits.

INITIALIZERS = [
    initializers.random_normal(0.3, 0.7),
    initializers.he_normal(),
    initializers.glorot_uniform(),
    initializers.random_uniform(-1, 3),
    initializers.constant(0.1),
    initializers.truncated_normal(1.0, 0.1),
]


@st.composite
def requests_on_a_mesh(data):
    """Variables of any shapes, and a mesh over which each is split in any way that its shape allows."""
    sizes = data(st.sampled_from([(8,), (2, 4), (4, 2), (2, 2, 2), (1, 8), (4,)]))
    kinds = data(st.sampled_from([AxisType.Auto, AxisType.Explicit]))
    mesh = mesh_of(sizes, kinds)
    requests, places = [], []
    for number in range(data(st.integers(1, 3))):
        free = data(st.permutations(mesh.axis_names))
        spec, shape = [], []
        for _ in range(data(st.integers(1, 3))):
            count = data(st.sampled_from([0, 1, 1, 2]))
            names, free = free[:count], free[count:]
            spec.append(tuple(names) if len(names) > 1 else names[0] if names else None)
            parts = math.prod(mesh.shape[name] for name in names)
            shape.append(parts * data(st.sampled_from([1, 2, 3, 5, 11])))
        initializer = data(st.sampled_from(INITIALIZERS))
        dtype = data(st.sampled_from(["float32", "float32", "bfloat16", "float16"]))
        requests.append((f"v{number}", initializer, tuple(shape), dtype))
        places.append(NamedSharding(mesh, P(*spec)))
    return mesh, requests, places


@eight
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests_on_a_mesh(), st.booleans(), st.booleans())
def test_any_shapes_splits_and_meshes(drawn, key_on_mesh: bool, in_mesh: bool):
    """Placed eagerly, in a trace, and by `out_shardings`: bitwise the values of one device, in place."""
    mesh, requests, places = drawn
    expected = draw(KEY, requests)
    key = jax.device_put(KEY, NamedSharding(mesh, P())) if key_on_mesh else KEY
    with jax.set_mesh(mesh) if in_mesh and mesh.size == 8 else contextlib.nullcontext():
        for values in (
            draw(key, requests, places),
            jax.jit(lambda key: draw(key, requests), out_shardings=places)(key),
            jax.jit(lambda key: draw(key, requests, places))(key),
        ):
            assert same(values, expected)
            assert there(values, places)


@eight
@pytest.mark.parametrize("kinds", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
def test_what_laws_cannot_say(kinds: AxisType):
    """Constants, arrays, orthogonal matrices, NumPy's numbers and foreign functions are placed as well."""
    mesh = mesh_of((2, 4), kinds)
    requests = [
        ("zeros", initializers.zeros, (8, 4), "float32"),
        ("large", initializers.ones, (1024, 512), "float32"),
        ("list", initializers.constant([1, 2, 3]), (8, 4), "int32"),
        ("array", np.arange(32, dtype=np.float32).reshape(8, 4), (8, 4), "float32"),
        ("jax", jnp.arange(32.0).reshape(8, 4), (8, 4), "float32"),
        ("identity", initializers.identity(0.5), (8, 4), "float32"),
        ("orthogonal", initializers.orthogonal(), (8, 4), "float32"),
        ("whole", initializers.random_uniform(-5, 6), (8, 4), "int8"),
        ("numpy", lambda key, shape, dtype: np.full(shape, 3, dtype), (8, 4), "float32"),
        ("foreign", lambda key, shape, dtype: 2 * jnp.ones(shape, dtype), (8, 4), "float32"),
        ("empty", initializers.glorot_uniform, (8, 0), "float32"),
    ]
    places = [NamedSharding(mesh, P("b", "a") if name != "empty" else P("b")) for name, *_ in requests]
    expected = draw(KEY, requests)
    for around in (contextlib.nullcontext, lambda: jax.set_mesh(mesh)):
        with around():
            for values in (
                draw(KEY, requests, places),
                jax.jit(lambda key: draw(key, requests, places))(KEY),
            ):
                assert same(values, expected)
                assert there(values, places)


@eight
def test_mapped_and_mixed_meshes():
    """Under vmap each member is placed; an axis of each kind in one mesh serves as well."""
    mesh = mesh_of((2, 4), (AxisType.Auto, AxisType.Explicit))
    requests = [("w", initializers.he_normal(), (8, 12), "float32")]
    expected = draw(KEY, requests)
    for spec in (P("a", "b"), P("b"), P(("a", "b"), None)):
        place = [NamedSharding(mesh, spec)]
        for values in (draw(KEY, requests, place), jax.jit(lambda key: draw(key, requests, place))(KEY)):
            assert same(values, expected)
            assert there(values, place)
    place = [NamedSharding(mesh_of((8,)), P("a"))]
    keys = jnp.stack([jax.random.key(1), KEY])
    mapped = jax.jit(jax.vmap(lambda key: draw(key, requests, place)))(keys)
    assert same([value[1] for value in mapped], expected)
    assert mapped[0].addressable_shards[0].data.shape == (2, 1, 12)


# The types in a program with explicit axes.


@eight
def test_types_in_explicit_programs():
    """What is placed has its split in its type; what is not is whole, and can be used beside other arrays."""
    mesh = mesh_of((8,), AxisType.Explicit)
    requests = [
        ("v", initializers.he_normal(), (4, 8), "float32"),
        ("w", initializers.zeros, (8,), "float32"),
    ]
    places = [NamedSharding(mesh, P(None, "a")), None]
    x = jax.device_put(np.ones((2, 4), np.float32), NamedSharding(mesh, P()))
    key = jax.device_put(KEY, NamedSharding(mesh, P()))

    def use(key):
        v, w = draw(key, requests, places)
        assert jax.typeof(v).sharding.spec == P(None, "a")
        return x @ v + w

    for given_key in (KEY, key):
        with jax.set_mesh(mesh):
            assert jax.jit(use)(given_key).sharding.spec == P(None, "a")
            whole = jax.jit(lambda key: (x @ draw(key, requests)[0]).sum())(given_key)
            assert math.isfinite(float(whole))


# Memory.

SHAPES = [
    ((1024, 64, 64), P(None, "a", None)),
    ((256, 96, 64), P(None, "a", None)),
    ((256, 1000), P(None, "a")),
    ((256, 2080), P(None, "a")),
    ((72, 8096), P(None, "a")),
    ((8 * 11, 37), P("a")),
    ((8 * 12345,), P("a")),
]


def temporaries(initializer, shape, place, kinds: AxisType, how: str) -> float:
    """Return the bytes of temporaries on each device, over those of a shard."""
    sharding = NamedSharding(mesh_of((8,), kinds), place)
    request = [("w", initializer, shape, "float32")]
    if how == "out_shardings":
        program = jax.jit(lambda key: draw(key, request), out_shardings=[sharding])
    else:
        program = jax.jit(lambda key: draw(key, request, [sharding]))
    used = program.lower(KEY).compile().memory_analysis().temp_size_in_bytes
    return used / (4 * math.prod(shape) / 8)


@eight
@pytest.mark.parametrize("kinds", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
@pytest.mark.parametrize(("shape", "place"), SHAPES, ids=str)
def test_temporaries(shape, place, kinds: AxisType):
    """Our laws draw a split variable without temporaries, where those of `jax.nn` take three of its parts."""
    for how in ("out_shardings", "place"):
        assert temporaries(initializers.random_normal(), shape, place, kinds, how) < 0.1
        assert temporaries(initializers.he_uniform(), shape, place, kinds, how) < 0.1
    theirs = temporaries(jax.nn.initializers.normal(), shape, place, kinds, "out_shardings")
    assert theirs > 0.1  # else this measures nothing


@eight
def test_temporaries_of_many():
    """Ten variables together take no more than one does, and no device sends a part to another."""
    mesh = mesh_of((8,))
    requests = [(f"v{n}", initializers.he_normal(), (512, 264), "float32") for n in range(10)]
    places = [NamedSharding(mesh, P("a") if n % 2 else P(None, "a")) for n in range(10)]
    program = jax.jit(lambda key: draw(key, requests), out_shardings=places).lower(KEY).compile()
    assert program.memory_analysis().temp_size_in_bytes < 0.1 * 4 * 512 * 264 / 8
    assert not any(word in program.as_text() for word in ("all-to-all", "all-gather", "collective-permute"))


@eight
def test_small_ones_that_a_loop_draws():
    """The small variables of a loop are split in it: its temporaries are their parts, once."""
    mesh = mesh_of((8,))
    requests = [(f"v{n}", initializers.he_normal(), (64, 72), "float32") for n in range(12)]
    places = [NamedSharding(mesh, P(None, "a"))] * 12
    program = jax.jit(lambda key: draw(key, requests), out_shardings=places).lower(KEY).compile()
    assert program.memory_analysis().temp_size_in_bytes < 1.1 * 12 * 4 * 64 * 72 / 8


# Programs.


@eight
def test_programs_do_not_grow_with_depth():
    """However many variables are placed alike, one program draws them."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    place = NamedSharding(mesh_of((8,)), P("a"))
    for count in (3, 30):
        requests = [(f"v{n}", initializers.he_normal(), (1024, 300 + count), "float32") for n in range(count)]
        before = len(compiled)
        assert there(draw(KEY, requests, lambda _: place), [place] * count)
        assert len(compiled) - before == 1


@eight
def test_many_shapes_share_programs():
    """Small variables of many shapes are cut from a longer draw, each device's part by itself."""
    place = NamedSharding(mesh_of((8,)), P("a"))
    requests = [(f"v{n}", initializers.random_normal(), (8, 2 + n), "float32") for n in range(20)]
    values = draw(KEY, requests, lambda _: place)
    assert there(values, [place] * 20)
    assert same(values, draw(KEY, requests))
    jax.block_until_ready(jax.jit(lambda vs: [v + 1 for v in vs], donate_argnums=0)(values))
    assert all(value.is_deleted() for value in values)


# Places.


def test_a_function_of_the_request():
    """A place may be computed from the request, and None leaves it to JAX."""
    one = SingleDeviceSharding(jax.devices()[-1])
    requests = [
        ("w", initializers.he_normal(), (3, 2), "float32"),
        ("b", initializers.zeros, (2,), "float32"),
    ]
    seen = []

    def place(request):
        seen.append(request)
        return one if request[0] == "w" else None

    w, b = draw(KEY, requests, place)
    assert seen == requests
    assert (w.sharding, w.committed) == (one, True)
    assert not b.committed
    assert same([w, b], draw(KEY, requests))
    assert same([w, b], jax.jit(lambda key: draw(key, requests, [None, None]))(KEY))


def test_as_many_places_as_requests():
    """A sequence of another length is refused."""
    with pytest.raises(ValueError, match="zip"):
        draw(KEY, [("b", initializers.zeros, (2,), "float32")], [])


@eight
@pytest.mark.parametrize(
    ("shape", "spec", "shown"), [((8, 12), P(None, "a"), "(8, 12)"), ((8,), P(None, "a"), "(8,)")]
)
def test_what_cannot_be_split(shape, spec, shown: str):
    """A split that the shape does not allow is told with the variable's name, before anything is drawn."""
    place = NamedSharding(mesh_of((8,)), spec)
    for call in (draw, jax.jit(draw, static_argnums=(1, 2))):
        with pytest.raises(InvalidShapeError) as caught:
            call(KEY, (("mlp/w", initializers.he_normal(), shape, "float32"),), (place,))
        assert (
            caught.value.summary == f"variable 'mlp/w' of shape {shown} cannot be split as its sharding says"
        )
        assert caught.value.code == "sharding"
        assert caught.value.facts["sharding"] == place
