"""The losses of a pass: those that are added, those of regularizers, and their sum."""

from typing import Any

import numpy as np

import jaxscope as js
from jaxscope.errors import NoPassError
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.math.pairs import add_n

__all__ = [
    "add_loss",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
    "keep",
]

_LOSSES = js.GraphKeys.LOSSES


def keep(loss: Tensor, collection: Any, scope: str | None) -> Tensor:
    """Return a loss, which is added to a collection under the name of a scope."""
    if collection:
        try:
            with js.name_scope(scope or "loss"):
                js.add_to_collection(collection, loss)
        except NoPassError:  # outside of a model there is nothing to add to
            pass
    return loss


@export("losses.add_loss")
def add_loss(loss: Any, loss_collection: Any = _LOSSES) -> None:
    """Add a loss to the collection of losses.

    Args:
        loss: A tensor.
        loss_collection: The collection; None for none.

    Raises:
        NoPassError: Outside of a transformed function.
    """
    if loss_collection:
        js.add_to_collection(loss_collection, convert_to_tensor(loss))


def _members(key: Any, scope: str | None) -> list[Tensor]:
    try:
        return [convert_to_tensor(member) for member in js.get_collection(key, scope)]
    except NoPassError:  # outside of a model there is nothing to collect
        return []


@export("losses.get_losses")
def get_losses(scope: str | None = None, loss_collection: Any = _LOSSES) -> list[Tensor]:
    """Return the losses that were added, in order.

    Args:
        scope: A regular expression that their names must match at their start.
        loss_collection: The collection.
    """
    return _members(loss_collection, scope)


@export("losses.get_regularization_losses")
def get_regularization_losses(scope: str | None = None) -> list[Tensor]:
    """Return the losses of the variables that have regularizers, in order.

    Args:
        scope: A regular expression that their names must match at their start.
    """
    return _members(js.GraphKeys.REGULARIZATION_LOSSES, scope)


@export("losses.get_regularization_loss")
def get_regularization_loss(scope: str | None = None, name: str = "total_regularization_loss") -> Tensor:
    """Return the sum of the losses of regularizers; 0 where there are none.

    Args:
        scope: A regular expression that their names must match at their start.
        name: A name for the result.
    """
    losses = get_regularization_losses(scope)
    return add_n(losses, name) if losses else wrap(np.zeros([], np.float32), "Const", name)


@export("losses.get_total_loss")
def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """Return the sum of all losses.

    Args:
        add_regularization_losses: Whether those of regularizers are in it.
        name: A name for the result.
        scope: A regular expression that their names must match at their start.

    Raises:
        TensorValueError: If there are none, or of different shapes (`tensor_value`, `shapes_disagree`).
    """
    losses = get_losses(scope)
    if add_regularization_losses:
        losses += get_regularization_losses(scope)
    if not losses:
        raise TensorValueError("there are no losses to sum", fix="tf.losses.* add theirs to the collection")
    return add_n(losses, name)
