"""One model as one library writes it, in the form that every row can run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp


class Model(Protocol):
    """The sizes of a model, as the classes in `benchmarks.models` give them."""

    @property
    def name(self) -> str: ...

    @property
    def variables(self) -> int: ...

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]: ...


@dataclass(frozen=True)
class Net:
    """A model in one library; made afresh for each sample where that library caches by function.

    Attributes:
        init: `(key, *inputs) -> variables`, a pytree with nothing but arrays as leaves.
        apply: `(variables, *inputs) -> output`, or `(output, state)` for a model with state.
        spec: `(*inputs) -> shapes and dtypes of the variables`, without their values.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]
    spec: Callable[..., Any]


def by_eval_shape(init: Callable[..., Any]) -> Callable[..., Any]:
    """Return the spec function of a library that has no other way than to trace its init."""
    return lambda *inputs: jax.eval_shape(lambda *args: init(*args), jax.random.key(0), *inputs)


def concrete(inputs: tuple[jax.ShapeDtypeStruct, ...]) -> tuple[jax.Array, ...]:
    """Return arrays for abstract inputs: ones, or token 1 for integers."""
    return tuple(jnp.ones(x.shape, x.dtype) for x in inputs)


def abstract_variables(net: Net, model: Model) -> Any:
    """Return the variables of a net with ShapeDtypeStructs as leaves."""
    key, inputs = jax.random.key(0), model.inputs()
    if model.variables < 1000:
        return jax.eval_shape(net.init, key, *inputs)
    # Deep models are narrow here, and nnx takes minutes for an abstract init of thousands of variables.
    made = net.init(key, *concrete(inputs))
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), made)
