"""jaxscope: plain functions that ask for each array with `js.get_variable` inside `js.variable_scope`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jaxscope as js

from benchmarks.models import mlp, resnet, shapes, transformer
from benchmarks.net import Net

PACKAGES = ("jaxscope",)
HAS_SCAN_LAYERS = hasattr(js, "scan_layers")

he = js.initializers.variance_scaling(scale=2.0, mode="fan_in", distribution="truncated_normal")
normal = js.initializers.random_normal(stddev=0.02)
ones = js.initializers.ones()
zeros = js.initializers.zeros()


def net_of(fun: Callable[[jax.Array], jax.Array]) -> Net:
    transformed = js.transform(fun)
    return Net(transformed.init, transformed.apply, transformed.spec)


def layer(x: jax.Array, name: str) -> jax.Array:
    width = x.shape[-1]
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [width, width])
        bias = js.get_variable("bias", [width], initializer=zeros)
    return mlp.layer(x, kernel, bias)


def dense(x: jax.Array, units: int, name: str) -> jax.Array:
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [x.shape[-1], units], initializer=normal)
        bias = js.get_variable("bias", [units], initializer=zeros)
    return transformer.dense(x, kernel, bias)


def norm(x: jax.Array, name: str) -> jax.Array:
    with js.variable_scope(name):
        scale = js.get_variable("scale", [x.shape[-1]], initializer=ones)
        bias = js.get_variable("bias", [x.shape[-1]], initializer=zeros)
    return transformer.norm(x, scale, bias)


def block(x: jax.Array, heads: int) -> jax.Array:
    width = x.shape[-1]
    h = dense(norm(x, "norm_1"), 3 * width, "qkv")
    x = x + dense(transformer.attend(h, heads), width, "proj")
    h = jax.nn.gelu(dense(norm(x, "norm_2"), 4 * width, "up"))
    return x + dense(h, width, "down")


def mlp_net(model: mlp.Mlp) -> Net:
    def fun(x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            x = layer(x, f"layer_{i}")
        return x

    return net_of(fun)


def decoder_net(model: transformer.Decoder) -> Net:
    def fun(tokens: jax.Array) -> jax.Array:
        table = js.get_variable("tokens", [model.vocabulary, model.width], initializer=normal)
        positions = js.get_variable("positions", [model.context, model.width], initializer=normal)
        x = transformer.embed(tokens, table, positions)
        for i in range(model.depth):
            with js.variable_scope(f"block_{i}"):
                x = block(x, model.heads)
        return norm(x, "norm") @ table.T

    return net_of(fun)


def stack_net(model: transformer.Stack) -> Net:
    def fun(x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            with js.variable_scope(f"block_{i}"):
                x = block(x, model.heads)
        return x

    return net_of(scanned_over_stacks(model) if model.scanned else fun)


def scanned_over_stacks(model: transformer.Stack) -> Callable[[jax.Array], jax.Array]:
    """Stacked variables, asked for before a plain `lax.scan` over them."""
    width = model.width
    kernels = {
        "qkv": (width, 3 * width),
        "proj": (width, width),
        "up": (width, 4 * width),
        "down": (4 * width, width),
    }

    def fun(x: jax.Array) -> jax.Array:
        stacks: dict[str, dict[str, jax.Array]] = {}
        for name, shape in kernels.items():
            with js.variable_scope(name):
                kernel = js.get_variable("kernel", [model.depth, *shape], initializer=normal)
                bias = js.get_variable("bias", [model.depth, shape[-1]], initializer=zeros)
            stacks[name] = {"kernel": kernel, "bias": bias}
        for name in ("norm_1", "norm_2"):
            with js.variable_scope(name):
                scale = js.get_variable("scale", [model.depth, width], initializer=ones)
                bias = js.get_variable("bias", [model.depth, width], initializer=zeros)
            stacks[name] = {"scale": scale, "bias": bias}

        def step(x: jax.Array, p: dict[str, dict[str, jax.Array]]) -> tuple[jax.Array, None]:
            h = transformer.dense(transformer.norm(x, **p["norm_1"]), **p["qkv"])
            x = x + transformer.dense(transformer.attend(h, model.heads), **p["proj"])
            h = jax.nn.gelu(transformer.dense(transformer.norm(x, **p["norm_2"]), **p["up"]))
            return x + transformer.dense(h, **p["down"]), None

        return jax.lax.scan(step, x, stacks)[0]

    return fun


def scan_layers_net(model: transformer.Stack) -> Net:
    """The block of the unrolled loop under `js.scan_layers`, with its variables given stacked."""
    transformed = js.transform(js.scan_layers(lambda x: block(x, model.heads), model.depth, name="block_{}"))

    def init(key: jax.Array, x: jax.Array) -> js.Variables:
        return transformed.init(key, x).stack("block_{}")

    return Net(init, transformed.apply, transformed.spec)


def traced_once_net(model: transformer.Stack) -> Net:
    """The blocks of the unrolled loop in one `js.jit`."""
    shared = js.jit(lambda x: block(x, model.heads))

    def fun(x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            with js.variable_scope(f"block_{i}"):
                x = shared(x)
        return x

    return net_of(fun)


def shapes_net(model: shapes.Shapes) -> Net:
    def fun() -> list[jax.Array]:
        return [js.get_variable(f"w_{n}", [n, 8], initializer=normal) for n in model.lengths()]

    return net_of(fun)


WRAPPERS: dict[str, Callable[..., Any]] = {"jit": jax.jit, "checkpoint": jax.checkpoint}


def wrapped_net(model: transformer.Wrapped) -> Net:
    wrap = WRAPPERS[model.wrap]

    def fun(x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            with js.variable_scope(f"block_{i}"):
                x = wrap(lambda x: block(x, model.heads))(x)
        return x

    return net_of(fun)


def conv(x: jax.Array, size: int, channels: int, stride: int, name: str) -> jax.Array:
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [size, size, x.shape[-1], channels], initializer=he)
        scale = js.get_variable("scale", [channels], initializer=ones)
        bias = js.get_variable("bias", [channels], initializer=zeros)
        mean = js.get_variable("mean", [channels], initializer=zeros, trainable=False)
        variance = js.get_variable("variance", [channels], initializer=ones, trainable=False)
        x = resnet.convolve(x, kernel, stride)
        x, mean, variance = resnet.batch_norm(x, scale, bias, mean, variance)
        js.set_variable("mean", mean)
        js.set_variable("variance", variance)
    return x


def bottleneck(x: jax.Array, b: resnet.Bottleneck) -> jax.Array:
    with js.variable_scope(b.name):
        y = jax.nn.relu(conv(x, 1, b.inner, 1, "first"))
        y = jax.nn.relu(conv(y, 3, b.inner, b.stride, "second"))
        y = conv(y, 1, 4 * b.inner, 1, "third")
        if b.project:
            x = conv(x, 1, 4 * b.inner, b.stride, "project")
    return jax.nn.relu(x + y)


def resnet_net(model: resnet.ResNet) -> Net:
    def fun(x: jax.Array) -> jax.Array:
        x = resnet.pool(jax.nn.relu(conv(x, 7, model.width, 2, "stem")))
        for b in model.blocks():
            x = bottleneck(x, b)
        return dense(jnp.mean(x, axis=(1, 2)), model.classes, "head")

    transformed = js.transform(fun)
    return Net(transformed.init, transformed.apply_with_state, transformed.spec)


BUILDERS: dict[type, Callable[[Any], Net]] = {
    mlp.Mlp: mlp_net,
    transformer.Decoder: decoder_net,
    transformer.Stack: stack_net,
    transformer.Wrapped: wrapped_net,
    resnet.ResNet: resnet_net,
    shapes.Shapes: shapes_net,
}
