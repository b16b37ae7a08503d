"""Every layer works in every float dtype, on numpy input, and under every transform."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope import layers
from tests.layers.at_once import at_once
from tests.layers.configurations import CONFIGURATIONS, IMAGES, LINES, ROWS, example

LAYERS = pytest.mark.parametrize("name", CONFIGURATIONS)


def some_variables(specs):
    """Return numbers that serve as variances, too; to draw initial values takes longer."""
    return js.Variables({name: example(spec.shape, spec.dtype) ** 2 for name, spec in specs.items()})


def in_scan(block):
    return lambda x: jax.lax.scan(lambda x, _: (block(x), None), x, None, length=2)[0]


def twice(block):
    """Return the loop that `scan_layers` stands for."""

    def run(x):
        for index in range(2):
            with js.variable_scope(f"layer_{index}"):
                x = block(x)
        return x

    return run


def reused(block):
    def run(x):
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            with js.variable_scope("both"):
                x = block(x)
            with js.variable_scope("both"):
                return block(x)

    return run


def in_both(wrapped):
    def run(x):
        with js.variable_scope("both"):
            return wrapped(x)

    return run


def plain(block):
    return block


def wide(y):
    return y if y.dtype == "float64" else y.astype("float32")


def with_slope(transform):
    """Return what adds to the value of a block its slope by the input, computed by a transform inside."""

    def wrap(block):
        def run(x):
            y, slope = transform(block, x)
            return y + slope.astype(y.dtype)

        return run

    return wrap


def by_grad(block, x):
    def total(x):
        y = block(x)
        return jnp.sum(jnp.sin(wide(y))), y

    (_, y), slope = jax.value_and_grad(total, has_aux=True)(x)
    return y, slope


def by_vjp(block, x):
    y, pull = jax.vjp(block, x)
    return y, pull(jnp.cos(wide(y)).astype(y.dtype))[0]


def members(block):
    """Return the loop that `ensemble` stands for."""

    def run(x):
        found = []
        for index in range(2):
            with js.variable_scope(f"member_{index}"):
                found.append(block(x))
        return jnp.stack(found)

    return run


def in_shard_map(block):
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.shard_map(block, mesh=mesh, in_specs=P("data"), out_specs=P("data"))


# What a transform makes of a block, and what does the same by hand. Gradients are compared where it
# has a say in them, since to compile them takes most of the time.
TRANSFORMS = {
    "jax.jit": (jax.jit, plain, False),
    "jax.checkpoint": (jax.checkpoint, plain, True),
    "jax.vmap": (lambda block: lambda x: jax.vmap(block)(x[None])[0], plain, False),
    "jax.grad": (with_slope(by_grad), with_slope(by_vjp), False),
    "jax.shard_map": (in_shard_map, plain, False),
    "lax.cond": (lambda block: lambda x: jax.lax.cond(x.size > 0, block, lambda x: x, x), plain, False),
    "lax.scan": (lambda block: in_both(in_scan(block)), reused, False),
    "js.jit": (lambda block: twice(js.jit(block)), twice, False),
    "js.remat": (js.remat, plain, True),
    "js.scan_layers": (lambda block: js.scan_layers(block, 2), twice, True),
    "js.ensemble": (lambda block: js.ensemble(block, 2, in_axes=None), members, False),
}
DTYPES = ("float32", "bfloat16", "float16", "float64")
#: Two programs round at different places.
CLOSE = {"float64": 1e-12, "float32": 1e-4, "float16": 1e-2, "bfloat16": 8e-2}


def value_and_gradients(net):
    def total(variables, x):
        y = net.apply(variables, x)
        return jnp.sum(jnp.sin(wide(y))), y

    return jax.grad(total, (0, 1), has_aux=True)


def variables(name, by_hand, dtype="float32"):
    block, shape = CONFIGURATIONS[name]
    return some_variables(js.transform(by_hand(block)).spec(example(shape, dtype)))


def dtype_of(name, turn):
    """Return float32, or another dtype: with the turns, each layer meets all of them."""
    return "float32" if turn is None else DTYPES[1 + ([*CONFIGURATIONS].index(name) + turn) % 3]


@functools.cache
def all_layers(wrap, by_hand, turn, is_wide, gradients):
    """Return the values of all layers of 64 bits, or of all others, perhaps with gradients."""
    works = {}
    for name, (block, shape) in CONFIGURATIONS.items():
        dtype = dtype_of(name, turn)
        if (dtype == "float64") == is_wide:
            net = js.transform(wrap(block))
            function = value_and_gradients(net) if gradients else net.apply
            works[name] = function, (variables(name, by_hand, dtype), example(shape, dtype))
    return at_once(works)


@LAYERS
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("other", [False, True], ids=["float32", "other"])
def test_transforms(name, transform, other):
    """Inside a transform a layer has the variables and the value that it has without, and the gradients."""
    block, shape = CONFIGURATIONS[name]
    wrap, by_hand, gradients = TRANSFORMS[transform]
    turn = [*TRANSFORMS].index(transform) % 3 if other else None
    gradients = gradients and not other
    dtype = dtype_of(name, turn)
    is_wide = dtype == "float64"
    with jax.enable_x64(is_wide):
        x = example(shape, dtype)
        assert dict(js.transform(wrap(block)).spec(x)) == dict(js.transform(by_hand(block)).spec(x))
        found = all_layers(wrap, by_hand, turn, is_wide, gradients)[name]
        expected = all_layers(by_hand, by_hand, turn, is_wide, gradients)[name]
    if isinstance(found, Exception):
        raise found

    def check(a, b):
        assert a.dtype == b.dtype
        a, b = (np.asarray(value, np.float64) for value in (a, b))
        size = max(1.0, np.abs(b).max())
        np.testing.assert_allclose(a / size, b / size, rtol=CLOSE[dtype], atol=CLOSE[dtype])

    jax.tree.map(check, found, expected)


@functools.cache
def all_values(dtype):
    """Return the values of all layers in a dtype, and in float64 of the same numbers."""

    def both(net, variables, x):
        wide = js.Variables({n: v.astype("float64") for n, v in variables.items()})
        return net.apply(variables, x), net.apply(wide, x.astype("float64"))

    works = {}
    for name, (block, shape) in CONFIGURATIONS.items():
        net, x = js.transform(block), example(shape, dtype)
        works[name] = functools.partial(both, net), (some_variables(net.spec(x)), x)
    return at_once(works)


@LAYERS
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_dtypes(name, dtype):
    """A layer's variables and result have its input's dtype, and the value is near that in float64."""
    block, shape = CONFIGURATIONS[name]
    with jax.enable_x64(True):
        wide = "float32" if name == "batch_normalization" and dtype != "float64" else dtype
        specs = js.transform(block).spec(example(shape, dtype))
        assert {str(spec.dtype) for spec in specs.values()} <= {wide}
        found = all_values(dtype)[name]
        if isinstance(found, Exception):
            raise found
        y, exact = found
        assert str(y.dtype) == dtype
        close = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2, "bfloat16": 6e-2}[dtype]
        np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=close, atol=close)


@functools.cache
def all_batches():
    """Return what `jax.vmap` around `apply` gives, and what the second example gives alone."""

    def both(net, variables, x):
        return jax.vmap(net.apply, in_axes=(None, 0))(variables, x)[1], net.apply(variables, x[1])

    return at_once(
        {
            name: (
                functools.partial(both, js.transform(block)),
                (variables(name, plain), example((2, *shape))),
            )
            for name, (block, shape) in CONFIGURATIONS.items()
        }
    )


@LAYERS
def test_vmap_around(name):
    """`jax.vmap` around `apply` gives each example what it gets alone."""
    found = all_batches()[name]
    if isinstance(found, Exception):
        raise found
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


@LAYERS
def test_explicit_axes(name):
    """Where a mesh has explicit axes, a layer keeps the layout of the batch, which is part of the type."""
    block, shape = CONFIGURATIONS[name]
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    net = js.transform(block)
    specs = net.spec(example(shape))
    given = {n: jax.ShapeDtypeStruct(spec.shape, spec.dtype) for n, spec in specs.items()}
    with jax.set_mesh(mesh):
        x = jax.ShapeDtypeStruct(shape, "float32", sharding=jax.NamedSharding(mesh, P("data")))
        y = jax.eval_shape(net.apply, given, x)
    assert y.sharding.spec[0] == "data"


@LAYERS
def test_numpy_input(name):
    """A layer that is called with an array of numpy comes to the same program as with one of JAX."""
    block, shape = CONFIGURATIONS[name]
    x = example(shape)

    def program(x):
        net = js.transform(lambda: block(x))
        return jax.make_jaxpr(net.apply)(variables(name, plain))

    assert str(program(x)) == str(program(jnp.asarray(x)))


MORE = {
    "cache": (
        lambda x: layers.multi_head_attention(x, 2, cache_size=8, rotary=1e4, mask=np.ones((2, 5), bool)),
        LINES,
    ),
    "training": (lambda x: layers.batch_normalization(x, axis=[1, 2], training=True), IMAGES),
    "contrib": (lambda x: layers.contrib.bias_add(layers.contrib.unit_norm(x, 1)), ROWS),
    "peepholes": (
        lambda x: layers.rnn(
            layers.LSTMCell(4, use_peepholes=True), x, np.ones(2, int), reverse=True, dtype="float32"
        ),
        LINES,
    ),
}


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *MORE])
def test_rank_promotion(name):
    """No layer leaves it to JAX to add axes, which users may have turned into an error."""
    block, shape = (CONFIGURATIONS | MORE)[name]
    with jax.numpy_rank_promotion("raise"):
        js.transform(block).spec(example(shape))
