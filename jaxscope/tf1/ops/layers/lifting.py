"""Layers of `js.layers`, which are of arrays, as functions of tensors with TensorFlow's arguments."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxscope.tf1.base.converting import as_array
from jaxscope.tf1.base.errors import UnimplementedError
from jaxscope.tf1.base.operation import value_if_known
from jaxscope.tf1.base.shapes import Dimension, TensorShape
from jaxscope.tf1.base.tensor import is_tensor
from jaxscope.tf1.ops.variables.adapting import array_of, dtype_of, on_arrays, reuse_of, tensors_of
from jaxscope.tf1.ops.variables.initializers import initializer_of
from jaxscope.tf1.ops.variables.scopes import js_scope

__all__ = ["argument", "arguments", "lifted"]

_FUNCTIONS = ("activation", "activation_fn", "normalizer_fn", "adjustment", "residual_fn", "regularizer")


def argument(name: str, value: Any) -> Any:
    """Return an argument of a layer as `js.layers` takes it.

    Args:
        name: Its name, which says what it is.
        value: As TensorFlow's programs give it.
    """
    if value is None:
        return None
    if name in _FUNCTIONS or name.endswith(("_regularizer", "_constraint")) or name == "constraint":
        return on_arrays(value)
    if name.endswith("initializer"):
        return initializer_of(value)
    if name == "param_initializers":
        return {key: initializer_of(one) for key, one in value.items()}
    if name == "param_regularizers":
        return {key: on_arrays(one) for key, one in value.items()}
    if name in {"name", "scope"}:
        return js_scope(value)
    if name == "dtype":
        return dtype_of(value)
    if name == "reuse":
        return reuse_of(value)
    if name in {"inputs", "ids"}:
        return as_array(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    """Return numbers as Python's where they are known, and tensors as arrays."""
    if isinstance(value, Dimension):
        return value.value
    if isinstance(value, TensorShape):
        return value.as_list()
    if is_tensor(value) or isinstance(value, np.ndarray | np.generic):
        known = value_if_known(value)
        return array_of(value) if known is None else known.tolist()
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(map(_plain, value))
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value


def arguments(signature: inspect.Signature, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call, by name, as `js.layers` takes them; what is left out stays out."""
    bound = signature.bind_partial(*args, **kwargs)
    return {name: argument(name, value) for name, value in bound.arguments.items()}


def lifted(function: Callable[..., Any], full: str, unused: Sequence[str] = ()) -> Callable[..., Any]:
    """Return a layer of `js.layers` as a function of tensors.

    Args:
        function: The layer.
        full: What it is in TensorFlow: `layers.dense`.
        unused: Arguments that TensorFlow's has and this has not; None and False change nothing.

    Raises:
        UnimplementedError: When one of these has another value (`unimplemented`).
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for name in [name for name in kwargs if name in unused]:
            given = kwargs.pop(name)
            if given is not None and given is not False:
                raise UnimplementedError(f"tf.{full} is not here with {name}={given!r}", fix="leave it out")
        return tensors_of(function(**arguments(signature, args, kwargs)))

    home = "js.layers.contrib" if full.startswith("contrib") else "js.layers"
    call.__doc__ = f"Do as TensorFlow 1's `tf.{full}`, by `{home}.{function.__name__}`, on tensors."
    del call.__wrapped__
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__module__ = __name__
    return call
