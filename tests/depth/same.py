"""What a program comes to - names, facts, bits, values, gradients, state, errors - to compare two of them."""

import functools
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope._core.blocks.program import needed

X = np.asarray([0.5, -1.0, 2.0], np.float32)

# Given to `apply` where `init` fails, so that a replay gets as far as the recording did.
GIVEN = {
    f"{scope}{name}": np.full(3, 0.5, np.float32) for scope in ("", "a/", "b/", "a/b/") for name in ("w", "b")
}


class Failure(NamedTuple):
    """An error, by what it says of the program."""

    kind: str
    code: str


def attempt(way: Callable[[], Any]) -> Any:
    """Return what a function returns, or how it fails."""
    try:
        return way()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - what jaxscope uses inside must not come out
        where = traceback.extract_tb(problem.__traceback__)[-1].name  # all that a bare assertion says
        return Failure(type(problem).__name__, getattr(problem, "code", str(problem)[:100] or f"in {where}"))


def facts(spec: js.VariableSpec) -> tuple[Any, ...]:
    """Return what a spec says, but for initializer and site."""
    return (
        spec.shape,
        spec.dtype,
        spec.trainable,
        spec.collections,
        spec.regularizer,
        spec.constraint,
        spec.sharding,
    )


def outcome(
    program: Callable[..., Any], *args: Any, eagerly: bool = True, given: Any = None
) -> dict[str, Any]:
    """Return what a program comes to, by way of asking.

    Args:
        program: A function to transform.
        *args: Its arguments; `X` if there are none.
        eagerly: Whether to run `apply` outside jit, too.
        given: The variables to give; those of `init` if left out.
    """
    args = tuple(map(jnp.asarray, args or (X,)))
    net = js.transform(program)
    found: dict[str, Any] = {}
    found["spec"] = attempt(lambda: {name: facts(spec) for name, spec in net.spec(*args).items()})
    found["init"] = attempt(lambda: net.init(jax.random.key(0), *args))
    if given is None:
        given = js.Variables(GIVEN) if isinstance(found["init"], Failure) else found["init"]

    def loss(params: js.Variables, state: js.Variables, args: Any) -> Any:
        out, state = net.apply_with_state(params | state, *args)
        floats = [
            leaf for leaf in jax.tree.leaves(out) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        ]
        return sum((jnp.sum(jnp.sin(leaf)) for leaf in floats), jnp.float32(0)), (out, dict(state))

    gradients = functools.partial(jax.value_and_grad, has_aux=True, argnums=(0, 2))
    found["jit(grad(apply_with_state))"] = attempt(
        lambda: _strings_apart(gradients(loss))(given.trainable, given.non_trainable, args)
    )
    if eagerly:  # costs one compilation for each operation
        found["apply"] = attempt(lambda: net.apply(given, *args))
        found["apply_with_state"] = attempt(lambda: net.apply_with_state(given, *args))
    return found


def _strings_apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function jitted that may return strings: they are set apart while it is traced."""

    def run(*args: Any) -> Any:
        rest: list[Any] = []

        def arrays(*args: Any) -> Any:
            leaves, tree = jax.tree.flatten(function(*args))
            rest[:] = [tree, [None if isinstance(leaf, jax.Array) else leaf for leaf in leaves]]
            return [leaf for leaf in leaves if isinstance(leaf, jax.Array)]

        # What is computed matters here, and how fast does not.
        options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
        found = iter(jax.jit(arrays, compiler_options=options)(*args))
        return jax.tree.unflatten(rest[0], [next(found) if leaf is None else leaf for leaf in rest[1]])

    return run


def assert_same(found: Any, expected: Any, *, bits: tuple[str, ...] = ("spec", "init")) -> None:
    """Check that two outcomes agree: what `bits` names exactly, the rest as far as fusing allows."""
    for way, there in expected.items():
        here = found[way]
        if isinstance(there, Failure) or isinstance(here, Failure) or way == "spec":
            assert here == there, way
            if way == "spec" and not isinstance(there, Failure):
                assert list(here) == list(there)
            continue
        assert_close(here, there, **({"rtol": 0, "atol": 0} if way in bits else {}))


def assert_close(found: Any, expected: Any, rtol: float = 2e-5, atol: float = 2e-6) -> None:
    """Check that two pytrees are of one structure, and their leaves of one dtype and of nearly one value."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for (path, here), there in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        where = jax.tree_util.keystr(path)
        if not hasattr(there, "dtype"):
            assert here == there, where
            continue
        assert jnp.result_type(here) == jnp.result_type(there), where
        if jnp.issubdtype(jnp.result_type(here), jax.dtypes.prng_key):
            here, there = jax.random.key_data(here), jax.random.key_data(there)  # noqa: PLW2901
        if jnp.result_type(here) == jnp.bfloat16:
            here, there = here.astype("float32"), there.astype("float32")  # noqa: PLW2901
        np.testing.assert_allclose(here, there, rtol=rtol, atol=atol, err_msg=where)


def count_equations(jaxpr: Any) -> int:
    """Return how many equations of a jaxpr its results need, with those of the jaxprs inside it."""
    total = 0
    for equation in needed(jaxpr):
        total += 1
        for value in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda leaf: hasattr(leaf, "eqns") or hasattr(leaf, "jaxpr"),
        ):
            if hasattr(value, "eqns") or hasattr(value, "jaxpr"):
                total += count_equations(getattr(value, "jaxpr", value))
    return total
