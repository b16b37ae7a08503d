"""JAX's transforms, each as something to put around a function that leaves what it computes as it was.

A wrapper takes `f`, a function from float32[3] to float32[3], and returns a function that calls it inside a
JAX transform and gives back what `f` gives: `f(x)` is the derivative of `s * f(x)` by s, the root of
`y - f(x)`, the first element of `vmap(f)`. So the bare function is always the same program with the wrapper
removed, and so are its names, values, gradients and errors.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core as extend_core
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from tests.transforms.outcomes import BACKWARD, BY_INPUT, MODES

Body = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """That JAX, or jaxscope on its behalf, refuses something: with which errors, and why."""

    errors: tuple[str, ...]
    why: str


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """One JAX transform, or two.

    Attributes:
        name: As a user writes it: `jax.jit`.
        wrap: Puts it around a function.
        bare: What takes its place in the bare function; nothing, nearly always.
        repeats: Whether JAX really calls the function more than once. Then a scope has to share names, as
            it has to where a user calls it as often; default names get more numbers.
        refused: What is refused, by mode.
        steps: How often the function's body runs in one call.
        write_refused: The errors by which `set_variable` inside may be refused (docs/reference/state.md).
        note: What else there is to know, for the table.
    """

    name: str
    wrap: Callable[[Body], Body]
    bare: Callable[[Body], Body] = lambda body: body
    repeats: bool = False
    refused: Mapping[str, Refusal] = dataclasses.field(default_factory=dict[str, Refusal])
    steps: int = 1
    write_refused: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        return self.name


def _jit(**options: Any) -> Callable[[Body], Body]:
    return lambda f: jax.jit(f, **options)


def _static(f: Body) -> Body:
    g = jax.jit(lambda x, power: f(x) ** power, static_argnums=1)
    return lambda x: g(x, 1)


def _donated(f: Body) -> Body:
    g = jax.jit(f, donate_argnums=0)
    return lambda x: g(jnp.copy(x))


def _scan(f: Body, **options: Any) -> Body:
    def g(x: jax.Array) -> jax.Array:
        def step(carry: jax.Array, each: jax.Array) -> tuple[jax.Array, jax.Array]:
            return carry + 1, f(each)

        return lax.scan(step, 0, x[None], **options)[1][0]

    return g


def _scan_steps(f: Body) -> Body:
    # Three steps with one set of variables: the body is traced once.
    def g(x: jax.Array) -> jax.Array:
        return lax.scan(lambda carry, each: (carry, f(each)), 0, jnp.stack([x, 2 * x, x]))[1][2]

    return g


def _scan_carry(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        return lax.scan(lambda carry, _: (f(carry), None), x, None, length=1)[0]

    return g


def _associative_scan(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        return lax.associative_scan(lambda a, b: b + 0 * f(a + b), jnp.stack([x, f(x)]))[1]

    return g


def _cond(f: Body) -> Body:
    return lambda x: lax.cond(jnp.sum(x) > -1e9, f, lambda x: 0 * x, x)


def _cond_closure(f: Body) -> Body:
    return lambda x: lax.cond(jnp.sum(x) < -1e9, lambda: 0 * x, lambda: f(x))


def _switch(f: Body) -> Body:
    return lambda x: lax.switch(jnp.int32(jnp.sum(x) > -1e9), [lambda x: 0 * x, f, lambda x: -x], x)


def _while(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        start = (0, jnp.zeros_like(x))
        return lax.while_loop(lambda carry: carry[0] < 1, lambda carry: (carry[0] + 1, f(x)), start)[1]

    return g


def _while_condition(f: Body) -> Body:
    # The function decides, too: it is called where the loop asks whether to go on.
    def g(x: jax.Array) -> jax.Array:
        def on(carry: Any) -> jax.Array:
            return (carry[0] < 1) & (jnp.sum(carry[1]) < 1e9)

        return lax.while_loop(on, lambda carry: (carry[0] + 1, f(carry[1])), (0, x))[1]

    return g


def _fori(f: Body) -> Body:
    return lambda x: lax.fori_loop(0, 1, lambda _, carry: f(carry), x)


def _fori_traced(f: Body) -> Body:
    return lambda x: lax.fori_loop(0, jnp.int32(jnp.sum(x) > -1e9), lambda _, carry: f(carry), x)


def _map(f: Body, **options: Any) -> Body:
    return lambda x: lax.map(f, x[None], **options)[0]


def _custom_root(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        def solve(residual: Body, start: jax.Array) -> jax.Array:
            return start - residual(start)

        def solve_tangent(linear: Body, y: jax.Array) -> jax.Array:
            return y / linear(jnp.ones_like(y))

        return lax.custom_root(lambda y: y - f(x), jnp.zeros_like(x), solve, solve_tangent)

    return g


def _custom_linear_solve(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        right = f(x)
        return lax.custom_linear_solve(
            lambda v: 2 * v, 2 * right, lambda matvec, b: b / 2, lambda vecmat, b: b / 2
        )

    return g


def _vmap(f: Body) -> Body:
    return lambda x: jax.vmap(f)(jnp.stack([x, 2 * x]))[0]


def _vmap_named(f: Body) -> Body:
    g = jax.vmap(lambda x: lax.pmean(f(x), "batch"), axis_name="batch")
    return lambda x: g(jnp.stack([x, x]))[1]


def _vmap_out(f: Body) -> Body:
    return lambda x: jax.vmap(lambda scale, x: f(x) * scale, in_axes=(0, None), out_axes=1)(jnp.ones(2), x)[
        :, 0
    ]


def _scaled(f: Body) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return lambda scale, x: scale * f(x)


def _grad(f: Body) -> Body:
    total = lambda scale, x: jnp.sum(scale * f(x))
    return lambda x: jax.grad(total, argnums=(0, 1))(jnp.ones_like(x), x)[0]


def _value_and_grad(f: Body) -> Body:
    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = f(x)
        return jnp.sum(y), y

    g = jax.value_and_grad(total, has_aux=True)
    return lambda x: g(x)[0][1]


def _vjp(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        y, pull = jax.vjp(f, x)
        return y + 0 * pull(y)[0]

    return g


def _jvp(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        y, tangent = jax.jvp(f, (x,), (x,))
        return y + 0 * tangent

    return g


def _linearize(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        y, push = jax.linearize(f, x)
        return y + 0 * push(x)

    return g


def _jacobian(kind: Callable[..., Any]) -> Callable[[Body], Body]:
    def wrap(f: Body) -> Body:
        jacobian = kind(_scaled(f), argnums=(0, 1))
        return lambda x: jnp.diagonal(jacobian(jnp.ones_like(x), x)[0])

    return wrap


def _hessian(f: Body) -> Body:
    h = jax.hessian(lambda scale, x: jnp.sum(0.5 * scale**2 * f(x)), argnums=(0, 1))
    return lambda x: jnp.diagonal(h(jnp.ones_like(x), x)[0][0])


def _linear_transpose(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda scale: scale * f(x), jnp.ones_like(x))(jnp.ones_like(x))[0]

    return g


def _make_jaxpr(f: Body) -> Body:
    return lambda x: extend_core.jaxpr_as_fun(jax.make_jaxpr(f)(x))(x)[0]


def _eval_shape(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        shape = jax.eval_shape(f, x)
        return x * jnp.ones(shape.shape, shape.dtype)

    return g


def _shape_only(f: Body) -> Body:
    return lambda x: x * jnp.ones_like(lax.stop_gradient(f(x)))


def _closed_call(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        pure, values = jax.closure_convert(f, x)
        return pure(x, *values)

    return g


def _vectorize(f: Body) -> Body:
    g = jnp.vectorize(f, signature="(n)->(n)")
    return lambda x: g(jnp.stack([x, x]))[0]


def _platform(f: Body) -> Body:
    return lambda x: lax.platform_dependent(x, default=f)


def _debug(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        y = f(x)
        jax.debug.callback(lambda _: None, y)
        return y

    return g


def _pure_callback(f: Body) -> Body:
    # What goes through the callback is a result: the callback itself runs after the pass, on NumPy arrays.
    def g(x: jax.Array) -> jax.Array:
        y = f(x)
        shape = jax.ShapeDtypeStruct(y.shape, y.dtype)
        back = jax.pure_callback(np.asarray, shape, lax.stop_gradient(y), vmap_method="sequential")
        return y + lax.stop_gradient(back - y)

    return g


def _pure_callback_body(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(lambda x: np.asarray(f(jnp.asarray(x))), shape, x, vmap_method="sequential")

    return g


def _shard_map(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        if jax.sharding.get_abstract_mesh().axis_names:
            return f(x)  # inside another one: JAX does not nest them over one axis
        mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
        spec = PartitionSpec("data")
        return jax.shard_map(jax.vmap(f), mesh=mesh, in_specs=spec, out_specs=spec)(x[None])[0]

    return g


def _shard_map_explicit(f: Body) -> Body:
    def g(x: jax.Array) -> jax.Array:
        mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))
        spec = PartitionSpec("data")
        x = jax.device_put(x[None], NamedSharding(mesh, spec))
        return jax.shard_map(jax.vmap(f), mesh=mesh, in_specs=spec, out_specs=spec)(x)[0]

    return g


def _custom_vjp(f: Body) -> Body:
    @jax.custom_vjp
    def g(x: jax.Array) -> jax.Array:
        return f(x)

    g.defvjp(lambda x: jax.vjp(f, x), lambda pull, cotangent: pull(cotangent))
    return g


def _custom_jvp(f: Body) -> Body:
    @jax.custom_jvp
    def g(x: jax.Array) -> jax.Array:
        return f(x)

    g.defjvp(lambda primals, tangents: jax.jvp(f, primals, tangents))
    return g


def _custom_gradient(f: Body) -> Body:
    @jax.custom_gradient
    def g(x: jax.Array) -> Any:
        return jax.vjp(f, x)

    return g


def _custom_vmap(f: Body) -> Body:
    @jax.custom_batching.custom_vmap
    def g(x: jax.Array) -> jax.Array:
        return f(x)

    @g.def_vmap
    def rule(size: int, batched: Any, x: jax.Array) -> Any:
        return jax.vmap(f)(x), True

    return g


def both(outer: Wrapper, inner: Wrapper) -> Wrapper:
    """Return the wrapper that puts `outer` around `inner`."""
    return Wrapper(
        f"{outer.name} of {inner.name}",
        lambda f: outer.wrap(inner.wrap(f)),
        bare=lambda f: outer.bare(inner.bare(f)),
        refused={**outer.refused, **inner.refused},
    )


_NO_REVERSE = Refusal(("ValueError",), "JAX has no reverse mode for loops of unknown length")
_RULE = Refusal(
    ("CustomVJPException", "UnexpectedTracerError", "NoPassError"),
    "JAX forbids derivatives by a value that a custom rule closes over: read it outside, pass it in",
)
_RULE_LATER = Refusal(
    ("NoPassError",), "the rule runs after the pass has ended: `jit(grad(apply))` runs it inside"
)
_BATCHING = Refusal(
    ("VariableExistsError", "VariableNotFoundError"),
    "the rule is one more call of the function: share names by `reuse=js.AUTO_REUSE`",
)
_BATCHING_GRAD = Refusal(
    ("ValueError", "NotImplementedError"), "JAX does not linearize what the rule closes over"
)
_EXPLICIT = Refusal(
    ("NotImplementedError", "ValueError"), "JAX forbids closing over values under Explicit axes: pass them in"
)
_NO_WRITE = ("StateError",)
_NO_WRITE_AGAIN = ("StateError", "VariableExistsError")
# JAX 0.8 has no reverse derivative of a branch that writes (docs/reference/state.md).
_NO_WRITE_IN_BRANCH = ("NotImplementedError",) if jax.__version_info__ < (0, 9) else ()
_CALLED_AGAIN = "JAX calls the function more than once: share names by `reuse=js.AUTO_REUSE`"


def _in(modes: Iterable[str], refusal: Refusal) -> dict[str, Refusal]:
    return dict.fromkeys(modes, refusal)


_IN_RULES = {
    **_in(BACKWARD, _RULE),
    "grad(apply) by x": _RULE_LATER,
    "grad(jit(apply)) by x": _RULE_LATER,
}

POLICIES = ("everything_saveable", "nothing_saveable", "dots_saveable")

ALL = [
    Wrapper("jax.jit", jax.jit),
    Wrapper("jax.jit(static_argnums=)", _static),
    Wrapper("jax.jit(inline=True)", _jit(inline=True)),
    Wrapper("jax.jit(donate_argnums=)", _donated),
    Wrapper("jax.jit(keep_unused=True)", _jit(keep_unused=True)),
    Wrapper("jax.checkpoint", jax.checkpoint, write_refused=_NO_WRITE),
    *(
        Wrapper(
            f"jax.checkpoint(policy={p})",
            functools.partial(jax.checkpoint, policy=getattr(jax.checkpoint_policies, p)),
            write_refused=_NO_WRITE,
        )
        for p in POLICIES
    ),
    Wrapper(
        "jax.checkpoint(prevent_cse=False)",
        functools.partial(jax.checkpoint, prevent_cse=False),
        write_refused=_NO_WRITE,
    ),
    Wrapper("lax.scan", _scan),
    Wrapper("lax.scan, three steps", _scan_steps, steps=3),
    Wrapper("lax.scan, carried", _scan_carry),
    Wrapper("lax.scan(reverse=True)", functools.partial(_scan, reverse=True)),
    Wrapper("lax.scan(unroll=True)", functools.partial(_scan, unroll=True)),
    Wrapper(
        "lax.associative_scan",
        _associative_scan,
        repeats=True,
        write_refused=_NO_WRITE_AGAIN,
        note=_CALLED_AGAIN,
    ),
    Wrapper("lax.cond", _cond, write_refused=_NO_WRITE_IN_BRANCH),
    Wrapper("lax.cond, closure", _cond_closure, write_refused=_NO_WRITE_IN_BRANCH),
    Wrapper("lax.switch", _switch, write_refused=_NO_WRITE_IN_BRANCH),
    Wrapper("lax.while_loop", _while, refused=_in((*BACKWARD, *BY_INPUT), _NO_REVERSE)),
    Wrapper("lax.while_loop, carried", _while_condition, refused=_in((*BACKWARD, *BY_INPUT), _NO_REVERSE)),
    Wrapper("lax.fori_loop", _fori),
    Wrapper("lax.fori_loop, traced length", _fori_traced, refused=_in((*BACKWARD, *BY_INPUT), _NO_REVERSE)),
    Wrapper("lax.map", _map),
    Wrapper("lax.map(batch_size=)", functools.partial(_map, batch_size=1), write_refused=_NO_WRITE),
    Wrapper("lax.custom_root", _custom_root, repeats=True, write_refused=_NO_WRITE, note=_CALLED_AGAIN),
    Wrapper("lax.custom_linear_solve", _custom_linear_solve),
    Wrapper("lax.platform_dependent", _platform, write_refused=_NO_WRITE_IN_BRANCH),
    Wrapper("jax.vmap", _vmap, write_refused=_NO_WRITE),
    Wrapper("jax.vmap(axis_name=), lax.pmean", _vmap_named, write_refused=_NO_WRITE),
    Wrapper("jax.vmap(in_axes=, out_axes=)", _vmap_out, write_refused=_NO_WRITE),
    Wrapper("jnp.vectorize", _vectorize, write_refused=_NO_WRITE),
    Wrapper("jax.grad", _grad),
    Wrapper("jax.value_and_grad", _value_and_grad),
    Wrapper("jax.vjp", _vjp),
    Wrapper("jax.jvp", _jvp),
    Wrapper("jax.linearize", _linearize),
    Wrapper("jax.jacfwd", _jacobian(jax.jacfwd), write_refused=_NO_WRITE),
    Wrapper("jax.jacrev", _jacobian(jax.jacrev)),
    Wrapper("jax.hessian", _hessian, write_refused=_NO_WRITE),
    Wrapper("jax.linear_transpose", _linear_transpose),
    Wrapper("jax.eval_shape", _eval_shape, bare=_shape_only, steps=0),
    Wrapper("jax.make_jaxpr", _make_jaxpr),
    Wrapper("jax.named_call", functools.partial(jax.named_call, name="block")),
    Wrapper("jax.closure_convert", _closed_call, write_refused=_NO_WRITE),
    Wrapper("jax.debug.callback", _debug),
    Wrapper("jax.pure_callback", _pure_callback),
    Wrapper("jax.shard_map (Auto axes)", _shard_map, write_refused=_NO_WRITE),
    Wrapper(
        "jax.shard_map (Explicit axes)",
        _shard_map_explicit,
        refused=_in((*MODES, *BY_INPUT), _EXPLICIT),
        write_refused=(*_NO_WRITE, *_EXPLICIT.errors),
    ),
    Wrapper("jax.custom_vjp", _custom_vjp, refused=_IN_RULES, write_refused=_NO_WRITE),
    Wrapper("jax.custom_jvp", _custom_jvp, refused=_IN_RULES, write_refused=_NO_WRITE),
    Wrapper("jax.custom_gradient", _custom_gradient, refused=_IN_RULES, write_refused=_NO_WRITE),
    Wrapper(
        "jax.custom_batching.custom_vmap",
        _custom_vmap,
        refused={**_in((*BACKWARD, *BY_INPUT), _BATCHING_GRAD), "vmap(apply)": _BATCHING},
        write_refused=_NO_WRITE,
    ),
]
BY_NAME = {wrapper.name: wrapper for wrapper in ALL}

#: Both orders of those that have caches, loops, batches and derivatives of their own.
_PAIRED = (
    "jax.jit",
    "jax.checkpoint",
    "lax.scan",
    "lax.cond",
    "lax.while_loop",
    "lax.map",
    "jax.vmap",
    "jax.grad",
    "jax.vjp",
    "jax.jvp",
    "jax.linearize",
    "jax.jacfwd",
    "jax.make_jaxpr",
    "jax.shard_map (Auto axes)",
    "jax.custom_vjp",
    "jax.custom_jvp",
)
PAIRS = [both(BY_NAME[outer], BY_NAME[inner]) for outer in _PAIRED for inner in _PAIRED]
BY_NAME.update((pair.name, pair) for pair in PAIRS)

#: Parts of pairs of which JAX refuses much, and the errors that it, or jaxscope, may then end in.
DIFFICULT = ("while_loop", "custom_vjp", "custom_jvp")
DIFFICULTIES = (
    "CustomVJPException",
    "NoPassError",
    "NotImplementedError",
    "TraceError",
    "UnexpectedTracerError",
    "ValueError",
)
