"""Initial values that are made of another variable's: a scale of the numbers that it measures, say."""

# ruff: noqa: N801 - the class is called like TF's functions
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.initializers.base import Initializer, Problem, Shape, canonical


class derived(Initializer):
    """Begin with what a function makes of the initial value of another variable.

    The other need not be asked for. It is drawn by its own name, so that this value fits it whatever else
    there is, and depends on names alone like all initial values. Its last bits may depend on whether the
    function is run operation by operation or compiled: pass a jitted one where that matters.

    Args:
        function: Takes the other's initial value, returns this one's.
        name: The other's full name.
        initializer: How the other begins: a function `(key, shape, dtype)`, or a class of such.
        shape: Its axis lengths, in elements.
        dtype: Its element type.

    Example:
        >>> init = js.initializers
        >>> @js.transform
        ... def net():
        ...     w = js.get_variable("w", [4, 2], initializer=init.glorot_uniform)
        ...     start = init.derived(jnp.max, "w", init.glorot_uniform, [4, 2], "float32")
        ...     return w.max() - js.get_variable("largest", [], initializer=start)
        >>> net.apply(net.init(jax.random.key(0)))
        Array(0., dtype=float32)
    """

    def __init__(
        self, function: Callable[[jax.Array], Any], name: str, initializer: Any, shape: Any, dtype: Any
    ) -> None:
        self.function = function
        self.name = name
        self.initializer = initializer
        self.shape = tuple(shape)
        self.dtype = canonical(dtype)

    @property
    def source(self) -> tuple[str, Any, Shape, np.dtype[Any]]:
        """The request for the other variable's initial value, as of `drawing.draw`."""
        return self.name, self.initializer, self.shape, self.dtype

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        made = jax.eval_shape(self.function, jax.ShapeDtypeStruct(self.shape, self.dtype))
        if shape is not None and made.shape != shape:
            return "init_wrong_shape", f"gives an array of shape {made.shape}, not {shape}"
        if made.dtype != dtype:
            return "init_wrong_dtype", f"gives {made.dtype}, not {dtype.name}"
        return None

    def of(self, value: jax.Array) -> jax.Array:
        """Return the value that goes with a value of the other variable."""
        return jnp.asarray(self.function(value))

    def draw(self, key: jax.Array, shape: Shape, dtype: np.dtype[Any]) -> jax.Array:
        start = self.initializer() if isinstance(self.initializer, type) else self.initializer
        return jnp.asarray(self.function(start(key, self.shape, self.dtype)))
