"""remat: a block whose inside is computed again in the backward pass."""

import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import jax

from jaxscope._core.base.sites import warn
from jaxscope._core.base.wrapper import Wrapper
from jaxscope._core.blocks.in_place import InPlace
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope._core.passes.border import Inner
from jaxscope._core.passes.replaying import Replaying

P = ParamSpec("P")
R = TypeVar("R")


class Rematted(Wrapper, Generic[P, R]):
    """A block whose inside is computed again in the backward pass; made by `remat`."""

    def __init__(self, block: Callable[P, R], policy: Any, prevent_cse: bool) -> None:
        super().__init__(block)
        self._function = block
        self._policy = policy
        self._prevent_cse = prevent_cse

    def made_of(self) -> tuple[Any, ...]:
        """Return the function, the policy and whether it is computed apart."""
        return (self._function, self._policy, self._prevent_cse)

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the block in the current scope."""
        run = current("remat")
        run.traces.stage()
        if not _differentiable(run):
            # Only what is asked for matters; JAX's caches see as many changes as below.
            with run.during(lambda around: around._replace(border=Inner(around.border))):
                return self._function(*args, **kwargs)
        mark = run.mark()
        try:
            block = InPlace(run, lambda: self._function(*args, **kwargs))
        except Exception as problem:  # noqa: BLE001 - it comes again from the block itself
            run.around.border.refused()
            run.undo(mark)
            result = self._function(*args, **kwargs)
            # What is held of keys that the block makes is a leak to `jax.checking_leaks`.
            if not (run.around.border.stands_in or cast(Any, jax.config).jax_check_tracer_leaks):
                _warn(problem)
            return result

        def program(inputs: list[Any]) -> list[Any]:
            return block.compute(inputs)

        program.__name__ = getattr(self._function, "__name__", "block")
        with run.traces.neutral():  # it makes no request of this pass
            again = jax.checkpoint(program, policy=self._policy, prevent_cse=self._prevent_cse)
            computed = again(block.inputs)
        arrays, rest = block.parts(block.inputs, computed)
        block.settle(rest)
        return cast(R, block.result(arrays))


def _warn(problem: Exception) -> None:
    """Say that a block is not computed again, since it works only as it is."""
    why = str(problem).partition("\n")[0]
    warn(f"js.remat runs a block as it is, and computes nothing again: {why or type(problem).__name__}")


def _differentiable(run: Pass) -> bool:
    return isinstance(run, Replaying) and not run.abstract and run.born is None


def remat(block: Callable[P, R], *, policy: Any = None, prevent_cse: bool = True) -> Rematted[P, R]:
    """Return a block that keeps nothing of its inside for the backward pass, and computes it again there.

    It is `jax.checkpoint` for code that asks for variables, sets them, takes random keys or adds to
    collections: it does what the block does, each of it once.

    Args:
        block: A function that may ask for variables. Its arguments and results may be any pytrees; leaves
            that are no arrays stay what they are.
        policy: What may be kept after all: one of `jax.checkpoint_policies`. None for nothing.
        prevent_cse: As of `jax.checkpoint`: whether XLA is kept from merging the second computation with the
            first. Inside `js.scan_layers` that is not needed.

    Returns:
        A function to call in its place.

    Raises:
        TypeError: `block` is not callable.
        StateError: On a call inside of another kind of block: it sets a variable inside a JAX transform of
            its own (code `write_in_block`).
        JaxscopeError: On a call, as the block's requests.

    Example:
        >>> @js.remat
        ... def layer(x):
        ...     calls = js.get_variable("calls", [], initializer=js.initializers.zeros, trainable=False)
        ...     js.set_variable("calls", calls + 1)
        ...     return jnp.tanh(x @ js.get_variable("w", [4, 4]))
        >>> net = js.transform(layer)
        >>> variables = net.init(jax.random.key(0), jnp.ones(4))
        >>> def loss(params, x):
        ...     y, state = net.apply_with_state({**variables, **params}, x)
        ...     return jnp.sum(y), state
        >>> grads, state = jax.grad(loss, has_aux=True)(variables.trainable, jnp.ones(4))
        >>> list(grads), state["calls"]
        (['w'], Array(1., dtype=float32))
    """
    if not callable(block):
        raise TypeError(f"js.remat takes a function, not {type(block).__name__}")
    return Rematted(block, policy, prevent_cse)
