"""`tf.contrib.layers.l2_regularizer` and its like, over `js.regularizers`."""

import numbers
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.converting import as_array
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import value_if_known
from jaxscope.tf1.base.tensor import Tensor, is_tensor, wrap
from jaxscope.tf1.ops.math.elementwise import distance
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.adapting import on_arrays

__all__ = ["Regularizer", "l1_l2_regularizer", "l1_regularizer", "l2_regularizer"]


class Regularizer:
    """A loss on weights, as a function of a tensor.

    Args:
        of_js: The function of an array.
        name: What it is called.
    """

    def __init__(self, of_js: Callable[..., Any], name: str) -> None:
        self._of_js, self.__name__ = of_js, name

    def __call__(self, weights: Any, name: str | None = None) -> Tensor | None:
        """Return the loss, or None for none.

        Args:
            weights: The weights.
            name: A name for it.
        """
        loss = self._of_js(as_array(weights))
        return None if loss is None else wrap(loss, self.__name__, name)

    def __repr__(self) -> str:
        return repr(self._of_js)


def _scale(scale: Any) -> Any:
    if isinstance(scale, numbers.Integral):
        raise TensorValueError(f"scale cannot be an integer: {scale}", fix=f"{scale}.0")
    if is_tensor(scale):
        known = value_if_known(scale)
        return as_array(scale) if known is None else float(known)
    return scale


def _made(kind: str, scale: Any) -> Callable[..., Any]:
    scale = _scale(scale)
    if isinstance(scale, float):
        made: Callable[..., Any] = getattr(js.regularizers, kind)(scale)
        return made
    if kind == "l1":  # a scale that is traced
        return lambda w: scale * jnp.sum(distance(w))
    return lambda w: scale * jnp.sum(jnp.square(w)) / 2


_PLACES = ("contrib.layers.{0}", "contrib.slim.{0}")


def _places(name: str) -> list[str]:
    return [place.format(name) for place in _PLACES]


@export(*_places("l1_regularizer"))
def l1_regularizer(scale: Any, scope: str | None = None) -> Regularizer:
    """Return the loss `scale * sum(|w|)`.

    Args:
        scale: A fraction, 0 or more; 0.0 is no loss.
        scope: Without meaning here.

    Raises:
        TensorValueError: If the scale is a whole number, as in TensorFlow (`tensor_value`).
        ValueError: If it is negative.
    """
    return Regularizer(_made("l1", scale), "l1_regularizer")


@export(*_places("l2_regularizer"))
def l2_regularizer(scale: Any, scope: str | None = None) -> Regularizer:
    """Return the loss `scale * sum(w ** 2) / 2`.

    Args:
        scale: A fraction, 0 or more; 0.0 is no loss.
        scope: Without meaning here.

    Raises:
        TensorValueError: If the scale is a whole number, as in TensorFlow (`tensor_value`).
        ValueError: If it is negative.
    """
    return Regularizer(_made("l2", scale), "l2_regularizer")


@export(*_places("l1_l2_regularizer"))
def l1_l2_regularizer(scale_l1: Any = 1.0, scale_l2: Any = 1.0, scope: str | None = None) -> Regularizer:
    """Return the sum of both losses.

    Args:
        scale_l1: The scale of `l1_regularizer`.
        scale_l2: The scale of `l2_regularizer`.
        scope: Without meaning here.

    Raises:
        TensorValueError: If a scale is a whole number, as in TensorFlow (`tensor_value`).
    """
    both = [_made("l1", scale_l1), _made("l2", scale_l2)]
    return Regularizer(js.regularizers.sum_of(both), "l1_l2_regularizer")


@export(*_places("sum_regularizer"))
def sum_regularizer(regularizer_list: Any, scope: str | None = None) -> Regularizer | None:
    """Return the sum of losses; None of none.

    Args:
        regularizer_list: Functions of weights, or None.
        scope: Without meaning here.
    """
    given = [on_arrays(one) for one in regularizer_list if one is not None]
    return Regularizer(js.regularizers.sum_of(given), "sum_regularizer") if given else None


@export(*_places("apply_regularization"))
def apply_regularization(regularizer: Any, weights_list: Any = None) -> Tensor:
    """Return the sum of a loss over weights, and add each to the losses of regularization.

    Args:
        regularizer: The loss.
        weights_list: The weights; those of the collection `weights` if left out.
    """
    weights = collections.get_collection("weights") if weights_list is None else weights_list
    penalties = [regularizer(one) for one in weights]
    kept = [penalty for penalty in penalties if penalty is not None]
    for penalty in kept:
        collections.add_to_collection(js.GraphKeys.REGULARIZATION_LOSSES, penalty)
    total = sum((as_array(penalty) for penalty in kept), start=jnp.zeros([], jnp.float32))
    return wrap(total, "apply_regularization")
