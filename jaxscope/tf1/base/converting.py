"""From values to tensors, by TensorFlow's rules: numbers must fit, NumPy's are cast, tensors must agree."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.dtypes import DType, as_dtype, canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.pending import settled
from jaxscope.tf1.base.shapes import Dimension, TensorShape
from jaxscope.tf1.base.tensor import Tensor, is_tensor, known_value, wrap

__all__ = ["as_array", "constant", "convert_many", "convert_to_tensor", "same_dtype"]

#: Whole numbers below it are of 32 bits.
LARGE = 2**31


def _number(value: Any, wanted: DType | None) -> np.ndarray[Any, Any] | None:
    """Return a number of Python's as an array, where it surely fits; None where that is to be looked at."""
    whole = type(value) is int
    if whole and not -LARGE <= value < LARGE:
        return None
    if wanted is None:
        return np.asarray(value, np.int32 if whole else np.float32)
    if wanted.is_floating or (whole and wanted.dtype == np.int32):
        return np.asarray(value, wanted.dtype)
    return None


@export("convert_to_tensor")
def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
) -> Tensor:
    """Return a value as a tensor.

    Args:
        value: A tensor, a variable, an array of NumPy's or JAX's, a number, a shape, or lists of such.
        dtype: The dtype that it must have: a tensor's is compared, NumPy's is cast, numbers must fit.
        name: A name for it.
        preferred_dtype: A dtype to have if that is possible, where `dtype` is None.
        dtype_hint: The same.

    Returns:
        The tensor. Numbers are float32, int32, bool or complex128; those of NumPy keep their dtype.

    Raises:
        TensorTypeError: If the value cannot have the dtype (`tensor_type`).
        TensorValueError: If a tensor has another dtype, or lists are ragged (`tensor_value`).

    Example:
        >>> convert_to_tensor([1, 2], dtype="float32")
        <tf.Tensor 'Const:0' shape=(2,) dtype=float32>
    """
    wanted = None if dtype is None else canonical(dtype)
    hint = preferred_dtype if preferred_dtype is not None else dtype_hint
    if wanted is None and hint is not None and not isinstance(value, Tensor):
        try:
            return _convert(value, canonical(hint), name)
        except (TypeError, ValueError):
            return _convert(value, None, name)
    return _convert(value, wanted, name)


def _convert(value: Any, wanted: DType | None, name: str | None = None) -> Tensor:
    if type(value) is Tensor and (wanted is None or value.dtype is wanted):
        return value
    if type(value) in (int, float):
        number = _number(value, wanted)
        if number is not None:
            return wrap(number, "Const", name)
    if value is None:
        raise TensorValueError("None cannot be a tensor", code="not_a_tensor")
    if hasattr(type(value), "__tf_tensor__"):  # a variable
        value = value.__tf_tensor__()
    if value is None:
        raise TensorValueError("None cannot be a tensor", code="not_a_tensor")
    if isinstance(value, jax.Array):
        value = wrap(value, "Array", name)
    if isinstance(value, Tensor):
        if wanted is not None and value.dtype is not wanted:
            raise TensorValueError(
                f"a tensor of {value.dtype.name} was given where {wanted.name} is needed",
                code="tensor_dtype",
                fix=f"tf.cast(x, tf.{wanted.name})",
                tensor=repr(value),
            )
        return value
    if isinstance(value, np.ndarray | np.generic):
        return wrap(_numpy(value, wanted), "Const", name)
    if isinstance(value, Dimension | TensorShape):
        sizes = value.value if isinstance(value, Dimension) else value.as_list()
        if sizes is None or (isinstance(sizes, list) and None in sizes):
            raise TensorValueError(f"{value!r} is not known in full, and cannot be a tensor")
        return _convert(np.asarray(sizes, np.int32), wanted, name)
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)
        if any(map(_has_tensor, items)):
            return _packed(items, wanted, name)
    elif hasattr(type(value), "__jax_array__"):
        return _convert(value.__jax_array__(), wanted, name)
    return wrap(_python(value, wanted), "Const", name)


def _has_tensor(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_tensor, cast("list[Any]", value)))
    return is_tensor(value) or isinstance(value, jax.Array | Dimension)


def _packed(items: list[Any], wanted: DType | None, name: str | None) -> Tensor:
    """Return a list in which there are tensors as one tensor."""
    parts = convert_many(items, wanted)
    if len({tuple(part._held.shape) for part in parts}) > 1:
        raise TensorValueError(
            "the tensors of a list have different shapes, and cannot be one tensor",
            shapes=", ".join(str(part.get_shape()) for part in parts),
        )
    held = [part._held for part in parts]
    if all(isinstance(one, np.ndarray) for one in held):
        return wrap(np.stack(held), "Pack", name)

    def compute() -> np.ndarray[Any, Any] | None:
        known = [known_value(part) for part in parts]
        return None if any(one is None for one in known) else np.stack(cast("list[Any]", known))

    return wrap(jnp.stack(held), "Pack", name, compute)


def convert_many(values: Any, dtype: Any = None) -> list[Tensor]:
    """Return values as tensors of one dtype: that of the first tensor among them, else of the first value.

    Args:
        values: A list of what can be tensors.
        dtype: The dtype they must have.

    Raises:
        TensorTypeError: If two of them do not agree (`tensor_type`).
    """
    wanted = None if dtype is None else canonical(dtype)
    if wanted is None:
        wanted = next((found for found in map(_dtype_of, values) if found is not None), None)
    parts: list[Tensor] = []
    for value in values:
        parts.append(_agreeing(value, wanted))
        wanted = parts[-1].dtype
    return parts


def _dtype_of(value: Any) -> DType | None:
    """Return the dtype of a tensor or variable, or of the first one in lists; None if there is none."""
    if isinstance(value, list | tuple):
        return next((found for found in map(_dtype_of, cast("list[Any]", value)) if found is not None), None)
    if is_tensor(value) or isinstance(value, jax.Array):
        return as_dtype(value.dtype)
    return None


def _agreeing(value: Any, wanted: DType | None) -> Tensor:
    """Return a value as a tensor of the dtype of another one; `TypeError` if that cannot be."""
    if type(value) in (int, float) or (type(value) is Tensor and (wanted is None or value.dtype is wanted)):
        return _convert(value, wanted)
    found = _dtype_of(value)
    if wanted is not None and found is not None and found is not wanted:
        raise TensorTypeError(
            f"tensors of {wanted.name} and of {found.name} do not go together",
            code="dtypes_disagree",
            fix=f"tf.cast(x, tf.{wanted.name}): TensorFlow 1 promotes nothing",
        )
    return _convert(value, wanted)


def same_dtype(*values: Any, dtype: Any = None) -> list[Tensor]:
    """Return the arguments of an operation as tensors of one dtype, which the first of them decides.

    So TensorFlow reads arguments, from left to right: `tf.multiply(2, x)` of a float x is an error.

    Args:
        *values: What can be tensors.
        dtype: A dtype that they must have.

    Raises:
        TensorTypeError: If they do not agree (`tensor_type`, `dtypes_disagree`).
    """
    wanted = None if dtype is None else canonical(dtype)
    parts: list[Tensor] = []
    for value in values:
        parts.append(_agreeing(value, wanted))
        if wanted is None:
            wanted = parts[0].dtype
    return parts


def _numpy(value: Any, wanted: DType | None) -> np.ndarray[Any, Any]:
    """Return NumPy's array, cast without a word."""
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        return _strings(array, wanted)
    target = canonical(array.dtype) if wanted is None else wanted
    if target.name == "string":
        raise TensorTypeError(f"numbers of {array.dtype} are no strings")
    if array.dtype == target.dtype:
        return array
    if wanted is None and array.dtype.kind in "iu":
        _check_range(array, target)
    with np.errstate(all="ignore"):
        return array.astype(target.dtype)


def _strings(array: np.ndarray[Any, Any], wanted: DType | None) -> np.ndarray[Any, Any]:
    if not all(isinstance(one, str | bytes) for one in array.flat):
        raise TensorTypeError("an array of objects cannot be a tensor, unless they are strings")
    if wanted is not None and wanted.name != "string":
        raise TensorTypeError(f"strings were given where {wanted.name} is needed")
    return array.astype(object)


def _check_range(array: np.ndarray[Any, Any], target: DType) -> None:
    if array.size and (array.min() < target.min or array.max() > target.max):
        raise TensorValueError(
            f"numbers do not fit into {target.name}",
            code="out_of_range",
            fix="jax.config.update('jax_enable_x64', True) for 64-bit types, if int64 is meant",
        )


def _python(value: Any, wanted: DType | None) -> np.ndarray[Any, Any]:
    """Return numbers of Python's, or lists of such, as an array of a dtype into which they fit."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise TensorValueError(
            f"{_short(value)} cannot be a tensor: its lists have different lengths"
        ) from None
    if array.dtype.kind in "OSU":
        if array.dtype.kind == "O" and all(isinstance(one, int) for one in array.flat):
            raise TensorValueError(f"{_short(value)} does not fit into any dtype")
        if not all(isinstance(one, str | bytes) for one in array.flat):
            kinds = sorted({type(one).__name__ for one in array.flat})
            raise TensorTypeError(
                f"a value of type {', '.join(kinds)} cannot be a tensor",
                code="not_a_tensor",
                value=_short(value),
            )
        return _strings(array, wanted)
    if wanted is None:
        return _numpy(array, _default(array))
    empty = not array.size
    fits = {"b": "biufcV", "i": "iufcV", "u": "iufcV", "f": "fcV", "c": "c"}[array.dtype.kind]
    kind = "f" if wanted.is_floating else wanted.dtype.kind
    numpys = isinstance(value, list | tuple) and _all_numpy(value)
    if not empty and not numpys and (wanted.name == "string" or kind not in fits):
        raise TensorTypeError(
            f"{_short(value)} was given where {wanted.name} is needed", code="number_does_not_fit"
        )
    if array.dtype.kind in "iu" and wanted.is_integer:
        _check_range(array, wanted)
    return array.astype(wanted.dtype)


def _default(array: np.ndarray[Any, Any]) -> DType | None:
    if array.dtype == np.float64:
        return as_dtype("float32")
    limits = np.iinfo(np.int32)
    if array.dtype == np.int64 and (not array.size or limits.min <= array.min() <= array.max() <= limits.max):
        return as_dtype("int32")
    return None


def _all_numpy(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_all_numpy, cast("list[Any]", value)))
    return isinstance(value, np.ndarray | np.generic)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:50]}..."


def as_array(value: Any, dtype: Any = None) -> jax.Array:
    """Return a value as JAX's array, by the rules of `convert_to_tensor`.

    Args:
        value: What can be a tensor.
        dtype: The dtype it must have.

    Raises:
        TensorTypeError: If it cannot be one (`tensor_type`).
        TensorValueError: If a tensor has another dtype (`tensor_dtype`).
    """
    return jnp.asarray(settled(convert_to_tensor(value, dtype)._held))


@export("constant")
def constant(
    value: Any, dtype: Any = None, shape: Any = None, name: str | None = "Const", verify_shape: bool = False
) -> Tensor:
    """Return a constant tensor.

    Args:
        value: Numbers, lists of them, or an array of NumPy's.
        dtype: The dtype; without it float32, int32, bool, or what NumPy's array has.
        shape: A shape that is filled in row-major order, the last number repeated.
        name: A name for it.
        verify_shape: Whether the value must have that shape already.

    Raises:
        TensorTypeError: If the value cannot have the dtype, or is a tensor (`tensor_type`).
        TensorValueError: If the value is too large for the shape (`tensor_value`).

    Example:
        >>> constant(0.5, shape=[2, 3])
        <tf.Tensor 'Const:0' shape=(2, 3) dtype=float32>
    """
    if value is None:
        raise TensorValueError("None cannot be a constant")
    if _has_tensor(value) and not isinstance(value, Dimension):
        raise TensorTypeError("a tensor cannot be a constant", fix="use it as it is, or tf.convert_to_tensor")
    tensor = convert_to_tensor(value, dtype, name)
    if shape is None:
        return tensor
    array, sizes = tensor._held, tuple(map(int, TensorShape(shape).as_list()))
    if verify_shape and array.shape != sizes:
        raise TensorTypeError(f"the value has shape {array.shape}, not {sizes}")
    missing = int(np.prod(sizes)) - array.size
    if missing < 0 or (missing and not array.size):
        raise TensorValueError(f"{array.size} numbers do not fill the shape {sizes}")
    flat = array.reshape(-1)
    return wrap(np.concatenate([flat, np.repeat(flat[-1:], missing)]).reshape(sizes), "Const", name)
