"""Functions of functions: gradients of one's own, computing again, mapping as one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import is_tensor, wrap

__all__ = ["custom_gradient", "recompute_grad", "vectorized_map"]


@export("custom_gradient")
def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose gradient is given by another function, that comes back with its result.

    It is `jax.custom_gradient`. Variables are asked for outside of it, and passed in.

    Args:
        f: A function of tensors that returns `(y, grad)`, where `grad(dy)` returns the gradients of the
            arguments: one, or a list.

    Raises:
        TensorTypeError: If `f` cannot be called (`tensor_type`).

    Example:
        >>> @custom_gradient
        ... def clipped(x):
        ...     return x * 1.0, lambda dy: dy * 0.5
        >>> jax.grad(lambda x: jnp.asarray(clipped(x)))(2.0).item()
        0.5
    """
    if not callable(f):
        raise TensorTypeError("f must be callable")

    def call(*args: Any, **kwargs: Any) -> Any:
        form: dict[str, Any] = {}

        def on_arrays(*arrays: Any) -> Any:
            result, grad = f(*map(wrap, arrays), **kwargs)
            leaves, form["out"] = jax.tree.flatten(result, is_leaf=is_tensor)

            def back(cotangents: Any) -> Any:
                given = grad(*[wrap(one) for one in cotangents])
                grads = list(given) if isinstance(given, list | tuple) else [given]
                return tuple(
                    jnp.zeros_like(array) if one is None else as_array(one)
                    for one, array in zip(grads, arrays, strict=True)
                )

            return [as_array(one) for one in leaves], back

        made = jax.custom_gradient(on_arrays)(*map(as_array, args))
        return jax.tree.unflatten(form["out"], [wrap(one, "CustomGradient") for one in made])

    return call


@export("recompute_grad")
def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is computed again for its gradient, instead of being kept: `js.remat`.

    Args:
        f: A function of tensors, which may ask for variables.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return js.remat(lambda *tensors: f(*tensors, **kwargs))(*[convert_to_tensor(one) for one in args])

    return call


@export("vectorized_map")
def vectorized_map(fn: Callable[..., Any], elems: Any) -> Any:
    """Return what a function makes of each part of tensors along their first axis, all at once: `jax.vmap`.

    Args:
        fn: A function of a part of each of `elems`, in their structure.
        elems: Tensors with the same first size.

    Raises:
        TensorTypeError: If `fn` cannot be called (`tensor_type`).
    """
    if not callable(fn):
        raise TensorTypeError("fn must be callable")
    given = jax.tree.map(convert_to_tensor, elems, is_leaf=is_tensor)
    return jax.vmap(lambda parts: jax.tree.map(convert_to_tensor, fn(parts), is_leaf=is_tensor))(given)
