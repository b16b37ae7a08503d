"""Elements moved or repeated: pads, tiles, reversals."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import (
    FOLD_LIMIT,
    compute,
    renamed,
    static_axes,
    static_axis,
    static_int,
    static_ints,
    static_value,
    value_if_known,
)
from jaxscope.tf1.base.tensor import Tensor
from jaxscope.tf1.ops.arrays.gathering import whole_numbers

__all__ = ["pad", "repeat", "reverse", "reverse_sequence", "roll", "tile"]


@export("pad")
def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", name: str | None = None, constant_values: Any = 0
) -> Tensor:
    """Return a tensor with more around it.

    Args:
        tensor: A tensor.
        paddings: How much before and behind, for each axis: `[[1, 1], [0, 2]]`; known while tracing.
        mode: `"CONSTANT"`; `"REFLECT"`, mirrored without the edge; `"SYMMETRIC"`, mirrored with it.
        name: A name for the result.
        constant_values: The number to pad with.

    Raises:
        TensorValueError: If there is no such mode, the paddings are not two for each axis, or too large to
            mirror (`tensor_value`).
        NotStaticError: If the paddings are not known while tracing (`not_static`).
    """
    value, known = convert_to_tensor(tensor), static_value(paddings, "paddings")
    shape, how = value._held.shape, mode.upper()
    if how not in {"CONSTANT", "REFLECT", "SYMMETRIC"}:
        raise TensorValueError(f"mode is CONSTANT, REFLECT or SYMMETRIC, not {mode!r}")
    if known.size and known.dtype.kind not in "iu":
        raise TensorTypeError("paddings are whole numbers")
    if known.shape != (len(shape), 2) and not (not shape and not known.size):
        raise TensorValueError(
            f"paddings of shape {known.shape} for a tensor of rank {len(shape)}: two for each axis"
        )
    amounts = [(int(before), int(behind)) for before, behind in known.reshape(-1, 2)]
    if any(one < 0 for pair in amounts for one in pair):
        raise TensorValueError(f"paddings {amounts} are negative")
    most = [n - (how == "REFLECT") for n in shape]
    if how != "CONSTANT" and any(max(pair) > limit for pair, limit in zip(amounts, most, strict=True)):
        raise TensorValueError(f"paddings {amounts} are too large to mirror a tensor of shape {shape}")
    if how != "CONSTANT":
        return compute("MirrorPad", lambda x: jnp.pad(x, amounts, how.lower()), value, name=name)
    filler = convert_to_tensor(constant_values, value.dtype)
    if isinstance(filler._held, np.ndarray) and not filler._held.any():
        return compute(
            "Pad",
            lambda x: jnp.pad(x, amounts),
            value,
            fold=(lambda x: np.pad(x, amounts)) if known.max(initial=0) <= FOLD_LIMIT else None,
            name=name,
        )
    return compute("PadV2", lambda x, y: jnp.pad(x, amounts, constant_values=y), value, filler, name=name)


@export("tile", "manip.tile")
def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """Return a tensor repeated along its axes.

    Args:
        input: A tensor.
        multiples: How often, for each axis; known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If there is not one number for each axis (`tensor_value`).
        NotStaticError: If the numbers are not known while tracing (`not_static`).
    """
    tensor, known = convert_to_tensor(input), static_value(multiples, "multiples")
    if known.ndim != 1 or known.size != tensor._held.ndim:
        raise TensorValueError(f"multiples {known.tolist()} for a tensor of rank {tensor._held.ndim}")
    times = static_ints(known, "multiples")
    if any(one < 0 for one in times):
        raise TensorValueError(f"multiples {times} are negative")
    return compute(
        "Tile",
        lambda x: jnp.tile(x, times),
        tensor,
        fold=(lambda x: np.tile(x, times)) if max(times, default=1) <= FOLD_LIMIT else None,
        name=name,
    )


@export("repeat")
def repeat(input: Any, repeats: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Return a tensor with each of its elements, or parts along an axis, repeated.

    Args:
        input: A tensor.
        repeats: How often: one number, or one for each part; known while tracing.
        axis: The axis; without it the tensor is taken as one vector.
        name: A name for the result.

    Raises:
        TensorValueError: If there are as many numbers as there are no parts (`tensor_value`).
        NotStaticError: If the numbers are not known while tracing (`not_static`).
    """
    tensor, known = convert_to_tensor(input), static_value(repeats, "repeats")
    where = None if axis is None else static_axis(axis, tensor._held.ndim)
    size = tensor._held.size if where is None else tensor._held.shape[where]
    if known.ndim > 1 or (known.ndim and known.size not in {1, size}):
        raise TensorValueError(f"repeats of shape {known.shape} for {size} parts")
    total = int(np.sum(np.broadcast_to(known, [size])))
    each = known if known.size > 1 else int(known.reshape(-1)[0]) if known.size else known
    return compute(
        "Repeat",
        lambda x: jnp.repeat(x, each, axis=where, total_repeat_length=total),
        tensor,
        fold=(lambda x: np.repeat(x, each, axis=where)) if total <= FOLD_LIMIT else None,
        name=name,
    )


@export("reverse", "manip.reverse", "reverse_v2")
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """Return a tensor with axes the other way round.

    Args:
        tensor: A tensor.
        axis: Axes, a vector, known while tracing.
        name: A name for the result.

    Raises:
        TensorValueError: If one is out of range or there twice (`tensor_value`).
    """
    value = convert_to_tensor(tensor)
    if static_value(axis, "axis").ndim != 1:
        raise TensorValueError("axis is a vector of axes", fix="tf.reverse(x, [0])")
    axes = static_axes(axis, value._held.ndim)
    return compute(
        "ReverseV2",
        lambda x: jnp.flip(x, axes) if axes else jnp.asarray(x),
        value,
        fold=lambda x: np.flip(x, axes) if axes else x,
        name=name,
    )


@export("reverse_sequence")
@renamed(seq_axis="seq_dim", batch_axis="batch_dim")
def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: Any = None,
    batch_axis: Any = None,
    name: str | None = None,
    seq_dim: Any = None,
    batch_dim: Any = None,
) -> Tensor:
    """Return a tensor in which the beginning of each sequence is the other way round.

    Args:
        input: A tensor.
        seq_lengths: How long the beginnings are, a vector of whole numbers.
        seq_axis: The axis of the sequences. Once called `seq_dim`.
        batch_axis: The axis in which there are several, 0 if it is left out. Once called `batch_dim`.
        name: A name for the result.
        seq_dim: The older name of `seq_axis`.
        batch_dim: The older name of `batch_axis`.

    Raises:
        TensorValueError: If axes are missing or the same, or there are not as many lengths (`tensor_value`).
        InvalidArgumentError: If a length that is known is greater than the axis (`invalid_argument`).
    """
    tensor, lengths = convert_to_tensor(input), whole_numbers(seq_lengths, "seq_lengths")
    ndim, shape = tensor._held.ndim, tensor._held.shape
    seq_axis = seq_dim if seq_axis is None else seq_axis
    batch_axis = batch_dim if batch_axis is None else batch_axis
    if seq_axis is None:
        raise TensorValueError("reverse_sequence needs seq_axis")
    along, batch = static_int(seq_axis, "seq_axis"), static_int(batch_axis or 0, "batch_axis")
    if not -ndim <= along < ndim or not -ndim <= batch < ndim or along % ndim == batch % ndim:
        raise TensorValueError(f"seq_axis {along} and batch_axis {batch} are not two axes of rank {ndim}")
    along, batch = along % ndim, batch % ndim
    if lengths._held.shape != (shape[batch],):
        raise TensorValueError(f"{lengths.get_shape()} lengths for {shape[batch]} sequences")
    known = value_if_known(lengths)
    if known is not None and known.size and (known.max() > shape[along] or known.min() < 0):
        raise InvalidArgumentError(f"a length of {known.tolist()} is not inside an axis of {shape[along]}")

    def turn(x: Any, n: Any) -> jax.Array:
        ends = jnp.reshape(n, [-1 if i == batch else 1 for i in range(ndim)])
        steps = jnp.reshape(
            jnp.arange(shape[along], dtype=n.dtype), [-1 if i == along else 1 for i in range(ndim)]
        )
        index = jnp.where(steps < ends, ends - 1 - steps, steps)
        return jnp.take_along_axis(jnp.asarray(x), index, along)

    return compute("ReverseSequence", turn, tensor, lengths, name=name)


@export("roll", "manip.roll")
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Return a tensor with its elements moved along axes; what leaves at one end comes in at the other.

    Args:
        input: A tensor.
        shift: By how much, for each of the axes.
        axis: An axis or axes, known while tracing; one may be there twice.
        name: A name for the result.

    Raises:
        TensorValueError: If an axis is out of range, or there are not as many shifts (`tensor_value`).
    """
    tensor, by, axes = convert_to_tensor(input), whole_numbers(shift, "shift"), static_ints(axis, "axis")
    ndim = tensor._held.ndim
    if any(not -ndim <= one < ndim for one in axes):
        raise TensorValueError(f"axis {axes} is out of range for a tensor of rank {ndim}")
    if by._held.size != len(axes):
        raise TensorValueError(f"{by._held.size} shifts for {len(axes)} axes")
    known = value_if_known(by)
    if known is not None:
        amounts = tuple(int(one) for one in known.reshape(-1))
        return compute(
            "Roll",
            lambda x: jnp.roll(x, amounts, axes),
            tensor,
            fold=lambda x: np.roll(x, amounts, axes),
            name=name,
        )
    return compute("Roll", lambda x, n: jnp.roll(x, tuple(jnp.reshape(n, -1)), axes), tensor, by, name=name)


@export("invert_permutation", "math.invert_permutation")
def invert_permutation(x: Any, name: str | None = None) -> Tensor:
    """Return the permutation that undoes another one.

    Args:
        x: A vector of the numbers 0 to n - 1.
        name: A name for the result.

    Raises:
        TensorValueError: If it is no vector (`tensor_value`).
        InvalidArgumentError: If it is known, and no permutation (`invalid_argument`).
    """
    tensor = whole_numbers(x, "x")
    if tensor._held.ndim != 1:
        raise TensorValueError("invert_permutation takes a vector")
    known = value_if_known(tensor)
    if known is not None and sorted(known.tolist()) != list(range(known.size)):
        raise InvalidArgumentError(f"{known.tolist()} is no permutation")
    dtype = tensor.dtype.dtype
    return compute(
        "InvertPermutation",
        lambda p: jnp.argsort(p).astype(dtype),
        tensor,
        fold=lambda p: np.argsort(p).astype(dtype),
        name=name,
    )
