"""Losses of many classes, of which only some are drawn: `tf.nn.nce_loss`, `tf.nn.sampled_softmax_loss`."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree, static_int
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.shapes import expand_dims
from jaxscope.tf1.ops.nn.arguments import expect_rank, floats
from jaxscope.tf1.ops.nn.candidates import log_uniform_candidate_sampler
from jaxscope.tf1.ops.nn.cross_entropies import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
)
from jaxscope.tf1.ops.nn.embeddings import embedding_lookup

__all__ = ["nce_loss", "sampled_softmax_loss"]


def _sampled(
    kind: str,
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: Any,
    num_classes: Any,
    num_true: Any,
    sampled_values: Any,
    remove_accidental_hits: bool,
    partition_strategy: str,
    seed: Any,
) -> tuple[Tensor, Tensor]:
    """Return logits of the true classes and of those drawn, side by side, and their labels."""
    true, x, per = convert_to_tensor(labels), floats(kind, inputs), static_int(num_true, "num_true")
    if not true.dtype.is_integer:
        raise TensorTypeError(f"{kind}: labels are whole numbers, not {true.dtype.name}")
    expect_rank(kind, x, 2, "inputs")
    if len(true._held.shape) == 1:
        true = expand_dims(true, -1)
    if true._held.shape != (x._held.shape[0], per):
        raise TensorValueError(
            f"{kind}: labels of {true.get_shape()} are not {per} for each of {x._held.shape[0]} inputs",
            code="shapes_disagree",
        )
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(true, per, num_sampled, True, num_classes, seed)
    drawn, true_count, drawn_count = (convert_to_tensor(one) for one in sampled_values)
    ids = compute(
        "ConcatV2",
        lambda y, drawn: jnp.concatenate([jnp.reshape(y, -1), jnp.asarray(drawn).astype(y.dtype)]),
        true,
        drawn,
    )
    rows = embedding_lookup(weights, ids, partition_strategy)
    shifts = embedding_lookup(biases, ids, partition_strategy)
    rows, shifts = same_dtype(x, rows, shifts)[1:]

    least = x.dtype.min

    def run(x: Any, y: Any, drawn: Any, rows: Any, shifts: Any, *counts: Any) -> tuple[Any, Any]:
        batch = y.shape[0]
        own = jnp.reshape(rows[: y.size], (batch, per, -1))
        true_logits = jnp.einsum("bd,btd->bt", x, own) + jnp.reshape(shifts[: y.size], (batch, per))
        others = jnp.matmul(x, rows[y.size :].T) + jnp.reshape(shifts[y.size :], -1)
        if remove_accidental_hits:
            hit = jnp.any(y[:, :, None] == drawn.astype(y.dtype), 1)
            others = others + jnp.where(hit, least, jnp.zeros([], others.dtype))
        true_count, count = (jax.lax.stop_gradient(jnp.asarray(one)) for one in counts)
        logits = jnp.concatenate([true_logits - jnp.log(true_count), others - jnp.log(count)], 1)
        targets = jnp.concatenate([jnp.full_like(true_logits, 1 / per), jnp.zeros_like(others)], 1)
        return logits, targets

    found: tuple[Tensor, Tensor] = compute_tree(
        kind, run, x, true, drawn, rows, shifts, true_count, drawn_count
    )
    return found


@export("nn.nce_loss")
def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: Any,
    num_classes: Any,
    num_true: Any = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str | None = "nce_loss",
) -> Tensor:
    """Return the noise-contrastive loss of each example.

    Args:
        weights: `[classes, size]`, or a list of its parts.
        biases: `[classes]`.
        labels: The true classes, `[batch, num_true]`.
        inputs: `[batch, size]`.
        num_sampled: How many classes are drawn, for the whole batch.
        num_classes: The number of classes.
        num_true: How many true classes an example has.
        sampled_values: What a candidate sampler returned; None for Zipf's law, without doubles.
        remove_accidental_hits: Whether true classes that are drawn do not count.
        partition_strategy: How rows are dealt out to parts: "mod" in turns, "div" in runs.
        name: A name for the result.

    Raises:
        TensorValueError: If shapes do not fit (`rank`, `shapes_disagree`).
        TensorTypeError: If dtypes do not (`tensor_type`, `dtypes_disagree`).
        KeyStreamError: If no stream of keys is open to draw classes (`no_key_stream`).
    """
    logits, targets = _sampled(
        "nce_loss",
        weights,
        biases,
        labels,
        inputs,
        num_sampled,
        num_classes,
        num_true,
        sampled_values,
        remove_accidental_hits,
        partition_strategy,
        None,
    )
    losses = sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return compute("nce_loss", lambda x: jnp.sum(x, -1), losses, name=name)


@export("nn.sampled_softmax_loss")
def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: Any,
    num_classes: Any,
    num_true: Any = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    partition_strategy: str = "mod",
    name: str | None = "sampled_softmax_loss",
    seed: Any = None,
) -> Tensor:
    """Return the cross entropy of each example, with a softmax over its true classes and some that are drawn.

    Args:
        weights: `[classes, size]`, or a list of its parts.
        biases: `[classes]`.
        labels: The true classes, `[batch, num_true]`.
        inputs: `[batch, size]`.
        num_sampled: How many classes are drawn, for the whole batch.
        num_classes: The number of classes.
        num_true: How many true classes an example has.
        sampled_values: What a candidate sampler returned; None for Zipf's law, without doubles.
        remove_accidental_hits: Whether true classes that are drawn do not count.
        partition_strategy: How rows are dealt out to parts: "mod" in turns, "div" in runs.
        name: A name for the result.
        seed: A whole number; another one gives other draws.

    Raises:
        TensorValueError: If shapes do not fit (`rank`, `shapes_disagree`).
        TensorTypeError: If dtypes do not (`tensor_type`, `dtypes_disagree`).
        KeyStreamError: If no stream of keys is open to draw classes (`no_key_stream`).
    """
    logits, targets = _sampled(
        "sampled_softmax_loss",
        weights,
        biases,
        labels,
        inputs,
        num_sampled,
        num_classes,
        num_true,
        sampled_values,
        remove_accidental_hits,
        partition_strategy,
        seed,
    )
    return softmax_cross_entropy_with_logits_v2(targets, logits, name=name)
