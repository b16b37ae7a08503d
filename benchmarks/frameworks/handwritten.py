"""Hand-written JAX over a nested dict: what everything else is compared with."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.models import initial, mlp, resnet, shapes, transformer
from benchmarks.net import Net, by_eval_shape

PACKAGES = ("jax",)
Tree = dict[str, Any]


def mlp_net(model: mlp.Mlp) -> Net:
    def init(key: jax.Array, x: jax.Array) -> Tree:
        keys = jax.random.split(key, model.depth)
        shape = (model.width, model.width)
        return {
            f"layer_{i}": {"kernel": initial.glorot(keys[i], shape), "bias": jnp.zeros(model.width)}
            for i in range(model.depth)
        }

    def apply(variables: Tree, x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            p = variables[f"layer_{i}"]
            x = mlp.layer(x, p["kernel"], p["bias"])
        return x

    return Net(init, apply, by_eval_shape(init))


def norm_init(width: int) -> Tree:
    return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}


def dense_init(key: jax.Array, fan_in: int, fan_out: int) -> Tree:
    return {"kernel": initial.normal(key, (fan_in, fan_out)), "bias": jnp.zeros(fan_out)}


def block_init(key: jax.Array, width: int) -> Tree:
    keys = jax.random.split(key, 4)
    return {
        "norm_1": norm_init(width),
        "qkv": dense_init(keys[0], width, 3 * width),
        "proj": dense_init(keys[1], width, width),
        "norm_2": norm_init(width),
        "up": dense_init(keys[2], width, 4 * width),
        "down": dense_init(keys[3], 4 * width, width),
    }


def norm(p: Tree, x: jax.Array) -> jax.Array:
    return transformer.norm(x, p["scale"], p["bias"])


def dense(p: Tree, x: jax.Array) -> jax.Array:
    return transformer.dense(x, p["kernel"], p["bias"])


def block(p: Tree, x: jax.Array, heads: int) -> jax.Array:
    h = dense(p["qkv"], norm(p["norm_1"], x))
    x = x + dense(p["proj"], transformer.attend(h, heads))
    h = jax.nn.gelu(dense(p["up"], norm(p["norm_2"], x)))
    return x + dense(p["down"], h)


def decoder_net(model: transformer.Decoder) -> Net:
    def init(key: jax.Array, tokens: jax.Array) -> Tree:
        keys = jax.random.split(key, model.depth + 2)
        return {
            "tokens": initial.normal(keys[0], (model.vocabulary, model.width)),
            "positions": initial.normal(keys[1], (model.context, model.width)),
            "norm": norm_init(model.width),
            **{f"block_{i}": block_init(keys[i + 2], model.width) for i in range(model.depth)},
        }

    def apply(variables: Tree, tokens: jax.Array) -> jax.Array:
        x = transformer.embed(tokens, variables["tokens"], variables["positions"])
        for i in range(model.depth):
            x = block(variables[f"block_{i}"], x, model.heads)
        return norm(variables["norm"], x) @ variables["tokens"].T

    return Net(init, apply, by_eval_shape(init))


def stack_net(model: transformer.Stack) -> Net:
    def init(key: jax.Array, x: jax.Array) -> Tree:
        keys = jax.random.split(key, model.depth)
        if model.scanned:
            return jax.vmap(lambda key: block_init(key, model.width))(keys)
        return {f"block_{i}": block_init(keys[i], model.width) for i in range(model.depth)}

    def apply(variables: Tree, x: jax.Array) -> jax.Array:
        if model.scanned:
            return jax.lax.scan(lambda x, p: (block(p, x, model.heads), None), x, variables)[0]
        for i in range(model.depth):
            x = block(variables[f"block_{i}"], x, model.heads)
        return x

    return Net(init, apply, by_eval_shape(init))


WRAPPERS: dict[str, Callable[..., Any]] = {"jit": jax.jit, "checkpoint": jax.checkpoint}


def wrapped_net(model: transformer.Wrapped) -> Net:
    """Each block closes over its variables, as a block that asks for them by name must."""
    wrap = WRAPPERS[model.wrap]
    init = stack_net(model).init

    def apply(variables: Tree, x: jax.Array) -> jax.Array:
        for i in range(model.depth):
            p = variables[f"block_{i}"]
            x = wrap(lambda x, p=p: block(p, x, model.heads))(x)
        return x

    return Net(init, apply, by_eval_shape(init))


def wrapped_by_arguments_net(model: transformer.Wrapped) -> Net:
    """Each block takes its variables as arguments, so that JAX traces one block and uses it for all."""
    init = stack_net(model).init

    def apply(variables: Tree, x: jax.Array) -> jax.Array:
        shared = WRAPPERS[model.wrap](lambda p, x: block(p, x, model.heads))
        for i in range(model.depth):
            x = shared(variables[f"block_{i}"], x)
        return x

    return Net(init, apply, by_eval_shape(init))


def partly_cached(model: transformer.Stack, plain: int) -> Callable[[], Callable[[], object]]:
    """Return what makes a call that traces `plain` blocks, and the others as cached calls of one."""
    inputs = model.inputs()
    variables = jax.eval_shape(stack_net(model).init, jax.random.key(0), *inputs)

    def prepare() -> Callable[[], object]:
        shared = jax.jit(lambda p, x: block(p, x, model.heads))
        shared.trace(variables["block_0"], *inputs)

        def apply(variables: Tree, x: jax.Array) -> jax.Array:
            for i in range(model.depth):
                p = variables[f"block_{i}"]
                x = block(p, x, model.heads) if i < plain else shared(p, x)
            return x

        jitted = jax.jit(apply)
        return lambda: jitted.trace(variables, *inputs)

    return prepare


def shapes_net(model: shapes.Shapes) -> Net:
    def init(key: jax.Array) -> Tree:
        keys = jax.random.split(key, model.variables)
        lengths = model.lengths()
        return {f"w_{n}": initial.normal(keys[i], (n, 8)) for i, n in enumerate(lengths)}

    def apply(variables: Tree) -> list[jax.Array]:
        return list(variables.values())

    return Net(init, apply, by_eval_shape(init))


def resnet_net(model: resnet.ResNet) -> Net:
    def conv_init(keys: Iterator[jax.Array], size: int, fan_in: int, fan_out: int) -> tuple[Tree, Tree]:
        kernel = initial.he(next(keys), (size, size, fan_in, fan_out))
        norm = {"scale": jnp.ones(fan_out), "bias": jnp.zeros(fan_out)}
        return {"kernel": kernel, **norm}, {"mean": jnp.zeros(fan_out), "variance": jnp.ones(fan_out)}

    def init(key: jax.Array, x: jax.Array) -> tuple[Tree, Tree]:
        blocks = model.blocks()
        keys = iter(jax.random.split(key, 2 + 4 * len(blocks)))
        params: Tree = {}
        state: Tree = {}
        params["stem"], state["stem"] = conv_init(keys, 7, 3, model.width)
        for b in blocks:
            made = {name: conv_init(keys, size, i, o) for name, size, i, o, _ in b.convolutions()}
            params[b.name] = {name: pair[0] for name, pair in made.items()}
            state[b.name] = {name: pair[1] for name, pair in made.items()}
        params["head"] = dense_init(next(keys), 4 * blocks[-1].inner, model.classes)
        return params, state

    def conv(p: Tree, s: Tree, x: jax.Array, stride: int) -> tuple[jax.Array, Tree]:
        x = resnet.convolve(x, p["kernel"], stride)
        x, mean, variance = resnet.batch_norm(x, p["scale"], p["bias"], s["mean"], s["variance"])
        return x, {"mean": mean, "variance": variance}

    def bottleneck(b: resnet.Bottleneck, p: Tree, s: Tree, x: jax.Array) -> tuple[jax.Array, Tree]:
        new: Tree = {}
        y, new["first"] = conv(p["first"], s["first"], x, 1)
        y, new["second"] = conv(p["second"], s["second"], jax.nn.relu(y), b.stride)
        y, new["third"] = conv(p["third"], s["third"], jax.nn.relu(y), 1)
        if b.project:
            x, new["project"] = conv(p["project"], s["project"], x, b.stride)
        return jax.nn.relu(x + y), new

    def apply(variables: tuple[Tree, Tree], x: jax.Array) -> tuple[jax.Array, Tree]:
        params, state = variables
        new: Tree = {}
        x, new["stem"] = conv(params["stem"], state["stem"], x, 2)
        x = resnet.pool(jax.nn.relu(x))
        for b in model.blocks():
            x, new[b.name] = bottleneck(b, params[b.name], state[b.name], x)
        return dense(params["head"], jnp.mean(x, axis=(1, 2))), new

    return Net(init, apply, by_eval_shape(init))


BUILDERS: dict[type, Callable[[Any], Net]] = {
    mlp.Mlp: mlp_net,
    transformer.Decoder: decoder_net,
    transformer.Stack: stack_net,
    transformer.Wrapped: wrapped_net,
    resnet.ResNet: resnet_net,
    shapes.Shapes: shapes_net,
}
