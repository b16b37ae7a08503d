"""`tf.map_fn`, `tf.scan`, `tf.foldl`, `tf.foldr`: a function along the first axis, by `jax.lax.scan`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, canonical
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.control.nesting import assert_same_structure, flatten, pack_sequence_as
from jaxscope.tf1.ops.control.steps import Steps, loop_key, step_keys

__all__ = ["foldl", "foldr", "map_fn", "scan"]


def _elements(elems: Any, fn: Any) -> tuple[list[Tensor], int]:
    if not callable(fn):
        raise TensorTypeError("fn must be callable")
    flat = [convert_to_tensor(one) for one in flatten(elems)]
    if not flat:
        raise TensorValueError("elems are empty")
    if any(not one._held.ndim for one in flat):
        raise TensorValueError("the elements of elems are tensors of rank 1 or more, not scalars")
    sizes = {one._held.shape[0] for one in flat}
    if len(sizes) > 1:
        raise TensorValueError(f"the tensors of elems have different first sizes: {sorted(sizes)}")
    return flat, sizes.pop()


def _row(tensor: Tensor) -> Any:
    return jax.ShapeDtypeStruct(tensor._held.shape[1:], tensor._held.dtype)


def _of_dtype(value: Any, wanted: DType) -> Tensor:
    tensor = convert_to_tensor(value, dtype_hint=wanted)
    if tensor.dtype is not wanted:
        raise InvalidArgumentError(
            f"the function returned {tensor.dtype.name}, where {wanted.name} is expected",
            code="dtypes_disagree",
            fix="dtype=..., the dtypes of what the function returns",
        )
    return tensor


@export("map_fn")
def map_fn(
    fn: Callable[..., Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: Any = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """Return what a function makes of each part of tensors along their first axis.

    What is drawn in the function has other keys for each part.

    Args:
        fn: A function of a part of each of `elems`, in their structure.
        elems: Tensors with the same first size.
        dtype: The dtypes of what the function returns, in its structure; those of `elems`, if left out.
        parallel_iterations: Without meaning here.
        back_prop: Whether gradients go through the result.
        swap_memory: Without meaning here.
        infer_shape: Without meaning here.
        name: A name for the results.
        fn_output_signature: Another name of `dtype`.

    Raises:
        TensorTypeError: If `fn` cannot be called (`tensor_type`).
        TensorValueError: If `elems` are scalars or of different sizes, or the structure of what the function
            returns is another one (`tensor_value`, `structures_disagree`).
        InvalidArgumentError: If its dtypes are others (`dtypes_disagree`).
    """
    flat, size = _elements(elems, fn)
    dtype = fn_output_signature if dtype is None else dtype
    form = elems if dtype is None else dtype
    wanted = [one.dtype for one in flat] if dtype is None else [canonical(one) for one in flatten(dtype)]
    key = loop_key()

    def one_part(n: Any, *arrays: Any) -> list[Any]:
        with step_keys(key, n):
            result = fn(pack_sequence_as(elems, map(wrap, arrays)))
        assert_same_structure(form, result)
        return [
            jnp.asarray(_of_dtype(one, kind)._held) for one, kind in zip(flatten(result), wanted, strict=True)
        ]

    steps = Steps(one_part, [np.int32(0), *map(_row, flat)])
    arrays = [jnp.asarray(one._held) for one in flat]
    if 0 in steps.uses():
        made = jax.lax.map(lambda now: steps(*now), [jnp.arange(size, dtype=jnp.int32), *arrays])
    else:
        made = jax.lax.map(lambda now: steps(np.int32(0), *now), arrays)
    return pack_sequence_as(form, [wrap(one, "MapFn", name) for one in _ends(made, back_prop)])


def _ends(arrays: Any, back_prop: bool) -> Any:
    """Return arrays; where `back_prop` is false, no gradient goes through them."""
    return arrays if back_prop else [jax.lax.stop_gradient(one) for one in arrays]


def _folded(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any,
    *,
    reverse: bool,
    keeps: bool,
    back_prop: bool,
    name: Any,
) -> Any:
    """Run `fn(state, part)` over parts, and return the last state, or all of them."""
    flat, size = _elements(elems, fn)
    form = elems if initializer is None else initializer
    if initializer is None and not size:
        raise TensorValueError("elems are empty, and there is no initializer")
    first = size - 1 if reverse else 0
    start = (
        [one[first] for one in flat]
        if initializer is None
        else [convert_to_tensor(one) for one in flatten(initializer)]
    )
    key = loop_key()

    def step(n: Any, *arrays: Any) -> list[Any]:
        states, parts = arrays[: len(start)], arrays[len(start) :]
        with step_keys(key, n):
            result = fn(pack_sequence_as(form, map(wrap, states)), pack_sequence_as(elems, map(wrap, parts)))
        assert_same_structure(form, result)
        new = [_of_dtype(one, old.dtype) for one, old in zip(flatten(result), start, strict=True)]
        for one, old in zip(new, start, strict=True):
            if one._held.shape != old._held.shape:
                raise TensorValueError(
                    f"the state has shape {old.get_shape()}, and the function returned {one.get_shape()}",
                    code="shapes_disagree",
                )
        return [jnp.asarray(one._held) for one in new]

    steps = Steps(step, [np.int32(0), *(one._held for one in start), *map(_row, flat)])
    counted = 0 in steps.uses()
    arrays = [jnp.asarray(one._held) for one in flat]
    if initializer is None:
        arrays = [one[:-1] if reverse else one[1:] for one in arrays]
    numbers = [jnp.arange(arrays[0].shape[0], dtype=jnp.int32)] if counted else []

    def advance(states: Any, now: Any) -> Any:
        new = steps(now[0] if counted else np.int32(0), *states, *now[len(numbers) :])
        return new, new if keeps else None

    last, kept = jax.lax.scan(
        advance, [jnp.asarray(one._held) for one in start], [*numbers, *arrays], reverse=reverse
    )
    if not keeps:
        return pack_sequence_as(form, [wrap(one, "Fold", name) for one in _ends(last, back_prop)])
    if initializer is None:
        ends = [jnp.expand_dims(jnp.asarray(one._held), 0) for one in start]
        kept = [
            jnp.concatenate([rest, end] if reverse else [end, rest])
            for end, rest in zip(ends, kept, strict=True)
        ]
    return pack_sequence_as(form, [wrap(one, "Scan", name) for one in _ends(kept, back_prop)])


@export("scan")
def scan(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """Return the states that a function goes through along the first axis of tensors.

    What is drawn in the function has other keys in each step.

    Args:
        fn: A function of the state and a part of each of `elems` that returns the next state.
        elems: Tensors with the same first size.
        initializer: The state to begin with; the first part, which is then the first state, if left out.
        parallel_iterations: Without meaning here.
        back_prop: Whether gradients go through the result.
        swap_memory: Without meaning here.
        infer_shape: Without meaning here.
        reverse: Whether to begin with the last part.
        name: A name for the results.

    Raises:
        TensorTypeError: If `fn` cannot be called, or returns containers of another type (`tensor_type`).
        TensorValueError: If `elems` are scalars or of different sizes, or the state changes its structure or
            shape (`tensor_value`, `structures_disagree`, `shapes_disagree`).
        InvalidArgumentError: If it changes its dtype (`dtypes_disagree`).
    """
    return _folded(fn, elems, initializer, reverse=reverse, keeps=True, back_prop=back_prop, name=name)


@export("foldl")
def foldl(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """Return the last state that a function comes to along the first axis of tensors.

    Args:
        fn: A function of the state and a part of each of `elems` that returns the next state.
        elems: Tensors with the same first size.
        initializer: The state to begin with; the first part, if left out.
        parallel_iterations: Without meaning here.
        back_prop: Whether gradients go through the result.
        swap_memory: Without meaning here.
        name: A name for the results.

    Raises:
        TensorTypeError: If `fn` cannot be called, or returns containers of another type (`tensor_type`).
        TensorValueError: If the structures or sizes do not fit (`tensor_value`, `structures_disagree`).
        InvalidArgumentError: If the state changes its dtype (`dtypes_disagree`).
    """
    return _folded(fn, elems, initializer, reverse=False, keeps=False, back_prop=back_prop, name=name)


@export("foldr")
def foldr(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: Any = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """Return the last state that a function comes to from the end of the first axis of tensors.

    Args:
        fn: A function of the state and a part of each of `elems` that returns the next state.
        elems: Tensors with the same first size.
        initializer: The state to begin with; the last part, if left out.
        parallel_iterations: Without meaning here.
        back_prop: Whether gradients go through the result.
        swap_memory: Without meaning here.
        name: A name for the results.

    Raises:
        TensorTypeError: If `fn` cannot be called, or returns containers of another type (`tensor_type`).
        TensorValueError: If the structures or sizes do not fit (`tensor_value`, `structures_disagree`).
        InvalidArgumentError: If the state changes its dtype (`dtypes_disagree`).
    """
    return _folded(fn, elems, initializer, reverse=True, keeps=False, back_prop=back_prop, name=name)
