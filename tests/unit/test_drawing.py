"""Drawing: values depend on key, name, shape, dtype and initializer alone, however they are computed."""

import itertools

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxscope import initializers
from jaxscope._core.drawing import eager, in_trace
from jaxscope._core.drawing.draw import draw
from jaxscope._core.initializers import laws

KEY = jax.random.key(2024)
NORMAL = laws.Law("normal", 1.0).form

_compiles = itertools.count()
_compiled = [0]


def _listen(event: str, seconds: float, **facts: object) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compiled[0] = next(_compiles) + 1


jax.monitoring.register_event_duration_secs_listener(_listen)


def compiles(function) -> int:
    """Return how many programs a call compiles."""
    before = _compiled[0]
    jax.block_until_ready(function())
    return _compiled[0] - before


@pytest.fixture
def forgetful():
    """Begin and end without compiled programs, and without a memory of which there were."""

    def forget():
        laws._kernels._items.clear()
        eager._foreign_kernels._items.clear()
        in_trace._programs._items.clear()
        eager._own.clear()

    forget()
    yield
    forget()


def same(left, right) -> bool:
    return all(
        a.dtype == b.dtype and a.shape == b.shape and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(left, right, strict=True)
    )


# Bits.

# A few elements (the first, the middle and the last) as exact values.
GOLDEN = [
    (
        "w",
        initializers.glorot_uniform(),
        (3, 4),
        "float32",
        ["-0x1.01f4700000000p-1", "0x1.3932ae0000000p-3", "0x1.d113dc0000000p-1"],
    ),
    (
        "tower/hidden/kernel",
        initializers.random_normal(0.0, 0.02),
        (128,),
        "float32",
        ["-0x1.b9e6940000000p-6", "-0x1.073ce80000000p-6", "-0x1.69ef140000000p-5"],
    ),
    (
        "b",
        initializers.truncated_normal(0.0, 0.1),
        (5, 7),
        "float32",
        ["-0x1.8495ce0000000p-3", "-0x1.26d6ca0000000p-5", "0x1.e307a00000000p-5"],
    ),
    (
        "conv",
        initializers.he_normal(),
        (3, 3, 8, 16),
        "float32",
        ["0x1.1833f60000000p-3", "-0x1.74b0f80000000p-3", "0x1.67a3ea0000000p-5"],
    ),
    (
        "u",
        initializers.random_uniform(-1.0, 3.0),
        (300,),
        "float32",
        ["0x1.c474400000000p-2", "0x1.f5ba200000000p+0", "-0x1.9326100000000p-1"],
    ),
    (
        "shifted",
        initializers.random_normal(1.5, 0.3),
        (2, 129),
        "float32",
        ["0x1.8692e00000000p+0", "0x1.d815500000000p+0", "0x1.8adfec0000000p+0"],
    ),
    (
        "scalar",
        initializers.random_normal(),
        (),
        "float32",
        ["-0x1.9482500000000p+0", "-0x1.9482500000000p+0", "-0x1.9482500000000p+0"],
    ),
    (
        "half",
        initializers.glorot_uniform(),
        (4, 4),
        "bfloat16",
        ["0x1.2e00000000000p-1", "-0x1.1800000000000p-1", "-0x1.5c00000000000p-5"],
    ),
    (
        "half16",
        initializers.random_normal(),
        (6,),
        "float16",
        ["-0x1.23c0000000000p-1", "-0x1.61c0000000000p-2", "0x1.1180000000000p+1"],
    ),
    (
        "lecun",
        initializers.lecun_normal(),
        (1000, 3),
        "float32",
        ["0x1.2c5d520000000p-6", "0x1.709ee60000000p-5", "-0x1.b047ba0000000p-5"],
    ),
    (
        "unit",
        initializers.uniform_unit_scaling(1.43),
        (17, 5),
        "float32",
        ["-0x1.19f46e0000000p-2", "-0x1.1226bc0000000p-4", "-0x1.79541a0000000p-5"],
    ),
    ("ints", initializers.random_uniform(0, 100), (8,), "int32", [(49.0).hex(), (46.0).hex(), (75.0).hex()]),
]


@pytest.mark.parametrize("x64", [False, True])
def test_values_never_change(x64: bool):
    """No release of jaxscope or JAX and no backend changes a value silently."""
    with jax.enable_x64(x64):
        drawn = draw(jax.random.key(2024), [case[:4] for case in GOLDEN])
        for (name, *_, expected), value in zip(GOLDEN, drawn, strict=True):
            flat = np.asarray(value).astype(np.float64).ravel()
            assert [float(flat[at]).hex() for at in (0, flat.size // 2, -1)] == expected, name


MIXED = [
    ("a/kernel", initializers.glorot_uniform, (3, 4), "float32"),
    ("b/kernel", initializers.glorot_uniform, (3, 4), "float32"),
    ("c/kernel", initializers.he_uniform(), (131, 21), "float32"),
    ("a/bias", initializers.zeros, (4,), "float32"),
    ("n/0", initializers.random_normal(0.5, 0.02), (33,), "float32"),
    ("n/1", initializers.random_normal(0.1, 3.0), (7, 5), "float32"),
    ("t/0", initializers.truncated_normal(stddev=0.02), (131, 421), "float32"),
    ("t/1", initializers.he_normal(), (131, 421), "float32"),
    ("t/2", initializers.he_normal(), (128, 256), "float32"),
    ("large", initializers.random_normal(), (601, 701), "float32"),
    ("half", initializers.he_normal(), (5, 5, 3, 17), "bfloat16"),
    ("half/2", initializers.he_normal(), (5, 5, 3, 18), "bfloat16"),
    ("count", initializers.constant(3), (), "int32"),
    ("table", initializers.random_uniform(0, 9), (5,), "int32"),
    ("q/0", initializers.orthogonal(), (5, 5), "float32"),
    ("q/1", initializers.orthogonal(), (5, 5), "float32"),
    ("jax/0", jax.nn.initializers.normal(0.02), (9, 9), "float32"),
    ("jax/1", jax.nn.initializers.normal(0.02), (9, 9), "float32"),
    ("given", np.arange(3.0, dtype=np.float32), (3,), "float32"),
    ("none", initializers.glorot_uniform, (0, 3), "float32"),
]


@pytest.fixture(scope="module")
def mixed() -> list[jax.Array]:
    return draw(KEY, MIXED)


def test_one_by_one(mixed):
    """Alone and together, in any order: the same bits."""
    assert same(mixed, [draw(KEY, [request])[0] for request in MIXED])
    assert same(mixed[::-1], draw(KEY, MIXED[::-1]))
    assert len({value.unsafe_buffer_pointer() for value in mixed if value.size}) == len(mixed) - 1


def test_inside_a_users_jit(mixed):
    """In one program, with the key as argument, closed over, or made there."""
    assert same(mixed, jax.jit(lambda key: draw(key, MIXED))(KEY))
    assert same(mixed[:8], jax.jit(lambda: draw(KEY, MIXED[:8]))())
    assert same(mixed[:8], jax.jit(lambda: draw(jax.random.key(2024), MIXED[:8]))())


def test_beside_their_use(mixed):
    """A program that also computes with the values leaves their bits alone."""

    def use(key):
        values = draw(key, MIXED[4:9])
        return values, [jnp.exp(2 * value + 1).sum() for value in values]

    assert same(mixed[4:9], jax.jit(use)(KEY)[0])


def test_mapped_keys(mixed):
    """Under vmap, as for an ensemble, each member has the values of its key."""
    keys = jnp.stack([jax.random.key(1), KEY])
    few = MIXED[:3] + MIXED[4:6] + MIXED[16:17]
    expected = [mixed[at] for at in (0, 1, 2, 4, 5, 16)]
    stacked = jax.vmap(lambda key: draw(key, few))(keys)
    assert same(expected, [value[1] for value in stacked])


def test_padded_and_own_programs_agree(forgetful):
    """A value cut from a longer draw has the bits of its own program's."""
    kinds = [initializers.random_normal(0.3, 0.02), initializers.glorot_uniform(), initializers.he_normal()]
    shapes = [(1, 1), (3, 7), (11, 1), (11, 33), (50, 7)]
    requests = [(f"v{i}/{s}", kind, s, "float32") for i, kind in enumerate(kinds) for s in shapes]
    padded = draw(KEY, requests)
    own = [laws.has_kernel("threefry2x32", NORMAL, s, np.dtype("float32")) for s in shapes]
    assert not all(own)
    alone = []
    for request in requests:
        eager._own.clear()
        laws._kernels._items.clear()
        alone += draw(KEY, [request])
    assert same(padded, alone)


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 40), max_size=3), min_size=1, max_size=4),
    st.sampled_from(["float32", "bfloat16"]),
    st.sampled_from(
        [initializers.random_normal(0.1, 0.7), initializers.he_normal(), initializers.random_uniform(-1, 2)]
    ),
)
def test_any_shapes(shapes, dtype, initializer):
    """Whatever the shapes: eagerly together, alone in a jit, and together in one."""
    requests = [(f"v{i}", initializer, shape, dtype) for i, shape in enumerate(shapes)]
    together = draw(KEY, requests)
    assert same(together, jax.jit(lambda key: draw(key, requests))(KEY))
    assert same(together[:1], jax.jit(lambda key: draw(key, requests[:1]))(KEY))


def test_layer_by_layer(mixed):
    """In a scan over keys each step has the values of its key, as the layers of a scanned model have."""
    keys = jnp.stack([KEY, jax.random.key(1)])
    few = MIXED[:3] + MIXED[4:6] + MIXED[14:15]
    expected = [mixed[at] for at in (0, 1, 2, 4, 5, 14)]
    _, stacked = jax.jit(lambda keys: jax.lax.scan(lambda _, key: (None, draw(key, few)), None, keys))(keys)
    assert same(expected, [value[0] for value in stacked])


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_other_keys(impl: str):
    """With other keys than threefry's nothing is padded or mapped, and the bits agree as well."""
    key = jax.random.key(3, impl=impl)
    few = [MIXED[at] for at in (0, 1, 2, 3, 16)]
    values = draw(key, few)
    assert same(values, [draw(key, [request])[0] for request in few])
    assert same(values, jax.jit(lambda key: draw(key, few))(key))


def test_threefry_that_is_not_partitionable():
    """Then the bits depend on the length, so nothing is padded."""
    with jax.threefry_partitionable(False):
        few = [("a", initializers.random_normal(), (n, 3), "float32") for n in range(1, 7)]
        values = draw(KEY, few)
        assert same(values, [draw(KEY, [request])[0] for request in few])
        assert same(values, jax.jit(lambda key: draw(key, few))(KEY))


def test_x64():
    """In 64 bits doubles are drawn as doubles, and singles keep their bits."""
    before = draw(KEY, MIXED[:3])
    with jax.enable_x64(True):
        assert same(before, draw(KEY, MIXED[:3]))
        wide = [("w", initializers.random_normal(0.1, 0.3), (3, 5), "float64"), *MIXED[:2]]
        values = draw(KEY, wide)
        assert [value.dtype for value in values] == ["float64", "float32", "float32"]
        assert same(values, jax.jit(lambda key: draw(key, wide))(KEY))
        assert len(np.unique(np.asarray(values[0]).astype(np.float32))) == 15
    assert draw(KEY, wide[:1])[0].dtype == "float32"


def test_legacy_keys():
    """Legacy keys give the values of typed ones."""
    assert same(draw(jax.random.PRNGKey(2024), MIXED[:4]), draw(KEY, MIXED[:4]))


def test_names_and_keys_matter():
    """Another name or key gives other numbers, and no two variables are correlated."""
    requests = [(name, initializers.random_normal(), (1000,), "float32") for name in ("a", "b", "a/b", "a_b")]
    values = [*draw(KEY, requests), *draw(jax.random.key(1), requests)]
    off = np.corrcoef(np.stack(values)) - np.eye(8)
    assert np.abs(off).max() < 0.15


def test_committed_keys_decide_the_device():
    """A key that was put somewhere has its values there."""
    key = jax.device_put(KEY, jax.devices()[0])
    drawn = draw(key, [("w", initializers.glorot_uniform, (2 + n, 3), "float32") for n in range(6)])
    assert all(value.committed for value in drawn)
    assert not any(value.committed for value in draw(KEY, MIXED[:4]))


def test_values_may_be_donated(mixed):
    """Each value has a buffer of its own, which a step may take over."""
    values = draw(KEY, MIXED[:4] + MIXED[18:19])
    jax.block_until_ready(jax.jit(lambda vs: [v + 1 for v in vs], donate_argnums=0)(values))
    assert all(value.is_deleted() for value in values)


# Programs.


def layers(count: int):
    pairs = [
        (
            (f"l{i}/w", initializers.glorot_uniform, (24, 25), "float32"),
            (f"l{i}/b", initializers.zeros, (25,), "float32"),
        )
        for i in range(count)
    ]
    return [request for pair in pairs for request in pair]


@pytest.mark.parametrize("count", [1, 10, 100])
def test_programs_do_not_grow_with_depth(forgetful, count: int):
    """Any number of layers compiles one program; again, none."""
    draw(KEY, [("first", initializers.zeros, (1,), "float32")])
    assert compiles(lambda: draw(KEY, layers(count))) == 1
    assert compiles(lambda: draw(KEY, layers(count))) == 0


def test_programs_of_many_shapes(forgetful):
    """A hundred shapes share a few padded programs."""
    requests = [("v", initializers.random_normal(0.0, 1 + n), (1 + n, 30), "float32") for n in range(100)]
    assert compiles(lambda: draw(KEY, requests)) <= 3
    assert compiles(lambda: draw(KEY, [("v", initializers.random_normal(), (77, 31), "float32")])) == 0


def test_few_shapes_keep_programs_of_their_own(forgetful):
    """Three shapes of a size class have own programs, also one call after another; the fourth is padded."""
    for n in range(4):
        draw(KEY, [("v", initializers.random_normal(), (5, n + 1), "float32")])
    own = [laws.has_kernel("threefry2x32", NORMAL, (5, n + 1), np.dtype("float32")) for n in range(4)]
    assert own == [True, True, True, False]


def test_functions_made_anew_share_a_program(forgetful):
    """`jax.nn.initializers.normal(0.02)` made for each layer is one kind."""
    requests = [(f"v{n}", jax.nn.initializers.normal(0.02), (6, 6), "float32") for n in range(20)]
    assert compiles(lambda: draw(KEY, requests)) <= 1
    again = [(f"v{n}", jax.nn.initializers.normal(0.02), (6, 6), "float32") for n in range(20)]
    assert compiles(lambda: draw(KEY, again)) == 0


def test_a_jitted_start_has_one_loop_for_each_kind():
    """In a program, a kind's draw is there once, however many variables it has."""
    sizes = [
        jax.jit(lambda key, n=n: draw(key, layers(n)[::2])).lower(KEY).as_text().count("stablehlo.while")
        for n in (2, 20)
    ]
    assert sizes[0] == sizes[1]


def test_large_variables_are_never_stacked():
    """No value in the program is larger than the largest variable."""
    requests = [(f"v{n}", initializers.random_normal(), (512, 1024), "float32") for n in range(3)]
    jaxpr = jax.make_jaxpr(lambda key: draw(key, requests))(KEY)
    sizes = [v.aval.size for eqn in jaxpr.eqns[-1].params["jaxpr"].eqns for v in eqn.outvars]
    assert max(sizes) == 512 * 1024
