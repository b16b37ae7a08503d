"""TF1's Adam, which is not optax's: epsilon stands beside the square root that is not corrected."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxscope.extras import library

if TYPE_CHECKING:
    import optax


def tf1_adam(
    learning_rate: Any, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> "optax.GradientTransformation":
    """Return `tf.train.AdamOptimizer` as an optax optimizer, with the state of `optax.adam`.

    Where second moments are small, optax's Adam takes other steps: its epsilon counts for more at first, by
    the root of `1 - beta2 ** step`. After a few hundred steps both are alike.

    Args:
        learning_rate: A number, or a schedule: a function of the number of steps done.
        beta1: How much of the first moment stays in a step.
        beta2: Likewise, of the second one.
        epsilon: What is added to the root of the second moment as it is.

    Returns:
        An optax transformation. `tf1_slots` and `from_tf1_slots` take its state.

    Raises:
        ImportError: optax is not installed.

    Source:
        `tf.train.AdamOptimizer`: `rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon)`.

    Example:
        >>> import jaxscope as js, optax
        >>> w = js.Variables({"w": jnp.ones(2)})
        >>> optimizer = js.optim.tf1_adam(0.1, epsilon=1.0)
        >>> updates, state = optimizer.update(w, optimizer.init(w), w)
        >>> optax.apply_updates(w, updates)["w"]
        Array([0.99693..., 0.99693...], dtype=float32)
    """
    optax = library("optax", "js.optim.tf1_adam")
    usual = optax.scale_by_adam(beta1, beta2, epsilon)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        _, state = usual.update(updates, state, params)
        count = state.count.astype("float32")
        scale = jnp.sqrt(1 - beta2**count) / (1 - beta1**count)
        steps = jax.tree.map(
            lambda m, v: scale.astype(m.dtype) * m / (jnp.sqrt(v) + epsilon), state.mu, state.nu
        )
        return steps, state

    step = optax.GradientTransformation(usual.init, update)
    made: Any = optax.chain(step, optax.scale_by_learning_rate(learning_rate))
    return made
