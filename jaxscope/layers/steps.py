"""What recurrent steps share: input and state side by side, and their product with a kernel."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import laid_out_as, promote, with_rank_of
from jaxscope.layers.call import LayerCall
from jaxscope.layers.checks import as_array

#: What a step is: (input, state) to (output, next state).
Step = Callable[[Any, Any], tuple[Any, Any]]


def linear(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return `x @ kernel + bias`."""
    x, kernel, bias = promote(x, kernel, bias)
    outputs = x @ kernel
    return outputs + with_rank_of(bias, outputs)


def join(call: LayerCall, h: ArrayLike, units: int) -> jax.Array:
    """Return input and state side by side."""
    h = as_array(h, f"the state of {call.kind}")
    if call.inputs.ndim < 2:
        raise call.wrong_shape("takes one step of a batch, [batch, in]", "pass one step, x[:, t]")
    if h.shape != (*call.inputs.shape[:-1], units):
        raise wrong_state(call, h, units)
    return jnp.concatenate(promote(call.inputs, laid_out_as(h, call.inputs[None])), -1)


def wrong_state(call: LayerCall, state: jax.Array, units: int) -> js.errors.InvalidShapeError:
    """Return the error of a state of another shape."""
    return call.wrong_shape(
        f"has a state of shape {list(state.shape)}", f"pass one of {[*call.inputs.shape[:-1], units]}"
    )
