"""What a program comes to, in each mode: names, values, gradients, or the class and code of an error."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js

Program = Callable[[jax.Array], jax.Array]

#: What `net` is asked for. Those of `STAGED` are computed by one jitted program, which saves compiling.
EAGER = ("spec", "init", "apply", "grad(apply)")
STAGED = ("jit(apply)", "vmap(apply)", "jit(grad(apply))", "grad(jit(apply))")
MODES = EAGER + STAGED
#: Those in which derivatives are taken from outside, by the variables and the input,
BACKWARD = ("grad(apply)", "jit(grad(apply))", "grad(jit(apply))")
#: and by the input alone: for wrappers that refuse the others.
BY_INPUT = ("grad(apply) by x", "jit(grad(apply)) by x", "grad(jit(apply)) by x")

X = np.asarray([0.5, -1.0, 2.0], np.float32)


class Failure(NamedTuple):
    """An error, by what it says of the program: its class, and the rule that is broken."""

    kind: str
    code: str


def failure(problem: BaseException) -> Failure:
    """Return what an error says: of foreign ones, the first line."""
    return Failure(type(problem).__name__, getattr(problem, "code", str(problem).partition("\n")[0][:120]))


def of(
    program: Program, modes: Iterable[str] = MODES, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a program comes to, by mode.

    Args:
        program: A function to transform.
        modes: Some of `MODES`.
        given: The variables for `apply` and what is made of it; those of `init` if left out.
    """
    net = js.transform(program)
    x = jnp.asarray(X)
    values = _values(net, x) if given is None else given

    def loss(variables: Mapping[str, Any], x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(net.apply(variables, x)))

    gradients = functools.partial(jax.value_and_grad, argnums=(0, 1))
    ways: dict[str, Callable[[Any, Any], Any]] = {
        "spec": lambda _, x: {
            n: (s.shape, s.dtype, s.trainable, s.collections) for n, s in net.spec(x).items()
        },
        "init": lambda _, x: dict(net.init(jax.random.key(0), x)),
        "apply": lambda values, x: [net.apply(values, x), net.apply(values, x + 1)],
        "grad(apply)": gradients(loss),
        "jit(apply)": net.apply,
        "vmap(apply)": lambda values, x: jax.vmap(net.apply, (None, 0))(values, jnp.stack([x, x + 1])),
        "jit(grad(apply))": gradients(loss),
        "grad(jit(apply))": gradients(jax.jit(loss)),
        "grad(apply) by x": jax.grad(loss, argnums=1),
        "jit(grad(apply)) by x": jax.jit(jax.grad(loss, argnums=1)),
        "grad(jit(apply)) by x": jax.grad(jax.jit(loss), argnums=1),
    }
    found = {mode: attempt(ways[mode], values, x) for mode in modes if mode not in STAGED}
    staged = {mode: ways[mode] for mode in modes if mode in STAGED}
    together = attempt(jax.jit(lambda v, x: {m: way(v, x) for m, way in staged.items()}), values, x)
    if isinstance(together, Failure):
        together = {mode: attempt(jax.jit(way), values, x) for mode, way in staged.items()}
    return {mode: (found | together)[mode] for mode in modes}


def _values(net: js.Transformed[Any, Any], x: jax.Array) -> Mapping[str, Any]:
    try:
        return net.init(jax.random.key(0), x)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - mode "init" reports it; the others meet the same
        return {}


def attempt(way: Callable[..., Any], *args: Any) -> Any:
    """Return what a function returns, or the failure it ends in."""
    try:
        return way(*args)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - what jaxscope uses inside must not come out
        return failure(problem)


def difference(expected: Any, got: Any) -> str:
    """Return how two outcomes of one mode differ; `""` if they do not.

    Values are compared to a few units in the last place: another program may round otherwise. Initial
    values must be equal in every bit, which the caller asks for by `exactly`.
    """
    if isinstance(expected, Failure) or isinstance(got, Failure):
        same = isinstance(expected, Failure) and isinstance(got, Failure) and expected == got
        return "" if same else f"{got}, not {expected}"
    if isinstance(expected, dict):
        if list(expected) != list(got):
            return f"names {list(got)}, not {list(expected)}"
        if any(isinstance(fact, tuple) for fact in expected.values()):
            return "" if expected == got else f"{got}, not {expected}"
        same = all(np.array_equal(expected[name], got[name]) for name in expected)
        return "" if same else f"initial values {got}, not {expected}"
    if jax.tree.structure(expected) != jax.tree.structure(got):
        return f"{jax.tree.structure(got)}, not {jax.tree.structure(expected)}"
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(got), strict=True):
        if one.dtype != other.dtype or one.shape != other.shape:
            return f"{other.dtype}{other.shape}, not {one.dtype}{one.shape}"
        if not np.allclose(one, other, rtol=3e-5, atol=3e-6, equal_nan=True):
            return f"{other}, not {one}"
    return ""
