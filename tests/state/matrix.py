"""What becomes of a write inside each JAX transform; as a module, it writes the table in state.md."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

import jaxscope as js

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "state.md"
X = np.asarray([0.5, -1.0, 2.0], np.float32)
MODES = ("eager", "jit", "grad")


def step(x: jax.Array) -> jax.Array:
    """Count a call, and add what comes in to a sum; the body that the transforms are put around."""
    n = js.get_variable("n")
    js.set_variable("n", n + 1)
    js.set_variable("sum", js.get_variable("sum") + lax.stop_gradient(x))
    return x * js.get_variable("w") + js.get_variable("sum")


def _custom_vjp(x: jax.Array) -> jax.Array:
    f = jax.custom_vjp(step)
    f.defvjp(lambda x: (step(x), None), lambda _, ct: (ct,))
    return f(x)


def _custom_jvp(x: jax.Array) -> jax.Array:
    f = jax.custom_jvp(step)
    f.defjvp(lambda primals, tangents: (step(*primals), tangents[0]))
    return f(x)


def _shard_map(x: jax.Array) -> jax.Array:
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.shard_map(step, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec())(x)


def _grad(x: jax.Array) -> jax.Array:
    return jax.grad(lambda s: step(s * x).sum())(jnp.float32(1)) * x


def _twice(x: jax.Array) -> jax.Array:
    f = jax.jit(step)
    return f(f(x))


def _scan(x: jax.Array) -> jax.Array:
    return lax.scan(lambda c, _: (step(c), None), x, length=3)[0]


def _while(x: jax.Array) -> jax.Array:
    return lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, step(c[1])), (0, x))[1]


# How a user writes it; the transform around `step`; and how often it runs the body (0: it refuses).
TRANSFORMS: dict[str, tuple[Callable[[jax.Array], jax.Array], int]] = {
    "plain": (step, 1),
    "jax.jit": (jax.jit(step), 1),
    "jax.jit, called twice": (_twice, 2),
    "jax.jit in jax.jit": (jax.jit(jax.jit(step)), 1),
    "lax.scan": (_scan, 3),
    "lax.fori_loop": (lambda x: lax.fori_loop(0, 3, lambda _, c: step(c), x), 3),
    "lax.while_loop": (_while, 2),
    "lax.map": (lambda x: lax.map(step, jnp.stack([x, x]))[0], 2),
    "lax.cond": (lambda x: lax.cond(x[0] > 0, step, lambda x: x, x), 1),
    "lax.switch": (lambda x: lax.switch(jnp.int32(1), [lambda x: x, step], x), 1),
    "jax.grad": (_grad, 1),
    "jax.value_and_grad in jax.jit": (jax.jit(_grad), 1),
    "jax.vjp": (lambda x: jax.vjp(step, x)[1](x)[0], 1),
    "jax.jvp": (lambda x: jax.jvp(step, (x,), (x,))[1], 1),
    "jax.linearize": (lambda x: jax.linearize(step, x)[1](x), 1),
    "lax.scan in jax.jit": (jax.jit(_scan), 3),
    "lax.cond in lax.scan": (
        lambda x: lax.scan(lambda c, i: (lax.cond(i > 0, step, lambda x: x, c), None), x, jnp.arange(3))[0],
        2,
    ),
    "jax.checkpoint": (jax.checkpoint(step), 0),
    "jax.vmap": (lambda x: jax.vmap(step)(jnp.stack([x, x]))[0], 0),
    "jax.jacfwd": (lambda x: jax.jacfwd(step)(x)[0], 0),
    "jax.hessian": (lambda x: jax.hessian(lambda x: step(x).sum())(x)[0], 0),
    "jax.custom_vjp": (_custom_vjp, 1),
    "jax.custom_jvp": (_custom_jvp, 1),
    "jax.shard_map": (_shard_map, 0),
}


def model(around: Callable[[jax.Array], jax.Array]) -> js.Transformed[..., jax.Array]:
    """Return a model that runs the body inside a transform."""

    def net(x: jax.Array) -> jax.Array:
        js.get_variable("w", [3], initializer=js.initializers.ones)
        js.get_variable("n", [], "int32", trainable=False)
        js.get_variable("sum", [3], initializer=js.initializers.zeros, trainable=False)
        with js.variable_scope("", reuse=True):
            return around(x)

    return js.transform(net)


def by_hand(name: str, mode: str) -> Any:
    """Return what a hand-written function comes to, which takes and returns the state."""

    def once(w: Any, total: Any, x: Any) -> tuple[Any, Any]:
        total = total + lax.stop_gradient(x)
        return x * w + total, total

    def function(w: Any, x: Any) -> tuple[Any, Any]:
        total = jnp.zeros(3)
        times = TRANSFORMS[name][1]
        if name in {"jax.grad", "jax.value_and_grad in jax.jit"}:
            return (x * w).sum() * x, x
        if name in {"jax.vjp", "jax.jvp", "jax.linearize"}:
            return x * w, x
        if name == "lax.map":
            first, total = once(w, total, x)
            return first, once(w, total, x)[1]
        for _ in range(times):
            x, total = once(w, total, x)
        return x, total

    x, w = jnp.asarray(X), jnp.ones(3) * 0.5
    out, total = function(w, x)
    state = {"n": jnp.int32(TRANSFORMS[name][1]), "sum": total}
    if mode == "grad":
        return jax.grad(lambda w: jnp.sum(jnp.sin(function(w, x)[0])))(w), state
    return out, state


def run(name: str, mode: str) -> Any:
    """Return what a model comes to: its result (or gradient) and its state."""
    net = model(TRANSFORMS[name][0])
    x, w = jnp.asarray(X), jnp.ones(3) * 0.5
    state = {"n": jnp.int32(0), "sum": jnp.zeros(3)}
    apply = net.apply_with_state
    if mode == "jit":
        apply = jax.jit(apply)
    if mode != "grad":
        out, after = apply({"w": w, **state}, x)
        return out, dict(after)

    @functools.partial(jax.grad, has_aux=True)
    def gradient(w: Any) -> Any:
        out, after = apply({"w": w, **state}, x)
        return jnp.sum(jnp.sin(out)), dict(after)

    return gradient(w)


def outcome(name: str, mode: str) -> str:
    """Return what becomes of a write: right, wrong, or the error."""
    try:
        found = run(name, mode)
    except js.errors.StateError:
        return "StateError"
    except Exception as problem:  # noqa: BLE001 - the table names it
        return "JAX refuses" if type(problem) in REFUSALS else type(problem).__name__
    expected = by_hand(name, mode)
    same = jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, rtol=1e-5)), found, expected)
    return "right" if all(jax.tree.leaves(same)) else "wrong"


#: JAX has no reverse derivative of a while loop (ValueError), nor of some branches that write.
REFUSALS = (ValueError, NotImplementedError)


def table() -> str:
    """Return the table of the page."""
    rows = ["| `set_variable` inside | " + " | ".join(MODES) + " |", "| --- " * 4 + "|"]
    for name in TRANSFORMS:
        cells = [outcome(name, mode) for mode in MODES]
        rows.append(f"| {name if name == 'plain' else f'`{name}`'} | {' | '.join(cells)} |")
    return "\n".join(rows).replace("`jax.jit, called twice`", "`jax.jit`, called twice")


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition("<!-- table -->\n")
    _, _, after = rest.partition("<!-- end of table -->")
    PAGE.write_text(f"{before}<!-- table -->\n\n{table()}\n\n<!-- end of table -->{after}")
