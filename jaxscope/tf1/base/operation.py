"""How an operation is written: convert arguments, `compute` on arrays; numbers for shapes by `static_*`.

@export("square", "math.square")
def square(x, name=None):
    return compute("Square", jnp.square, convert_to_tensor(x), fold=np.square, name=name)
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope.errors import JaxscopeError
from jaxscope.tf1.base.converting import LARGE, convert_to_tensor
from jaxscope.tf1.base.dtypes import as_dtype
from jaxscope.tf1.base.errors import NotStaticError, TensorTypeError, TensorValueError, UnimplementedError
from jaxscope.tf1.base.pending import Pending, is_pending, settled
from jaxscope.tf1.base.tensor import Tensor, known_value, wrap

__all__ = [
    "Again",
    "compute",
    "compute_tree",
    "drawn_later",
    "renamed",
    "static_axes",
    "static_axis",
    "static_int",
    "static_ints",
    "static_shape",
    "static_value",
    "value_if_known",
]

#: Whole numbers up to so many are computed with NumPy at once: those of shapes, not those of data.
FOLD_LIMIT = 256

_NUMPYS = frozenset({np.ndarray})

Function = TypeVar("Function", bound=Callable[..., Any])


def compute(
    kind: str,
    function: Callable[..., Any],
    *tensors: Tensor,
    fold: Callable[..., Any] | None = None,
    known: bool = True,
    name: str | None = None,
) -> Tensor:
    """Return what a function of arrays computes of tensors, as a tensor.

    Args:
        kind: TensorFlow's kind of operation, for errors and names: `"MatMul"`.
        function: A function of as many arrays, of any of which NumPy's may stand for JAX's.
        *tensors: What it is applied to.
        fold: The same in NumPy, if it is right to the bit for whole numbers and keeps their dtype. It is used
            where all tensors hold a few whole numbers or truth values of NumPy's, and so does the result, so
            that shapes are computed with while tracing, and nothing of it is in the program.
        known: Whether the result is known while tracing if all tensors are; False for what draws or acts.
        name: The name that the user gave.

    Raises:
        TensorValueError: If the function raises `ValueError` (`tensor_value`).
        TensorTypeError: If it raises `TypeError` (`tensor_type`).
        UnimplementedError: If it raises `NotImplementedError` (`unimplemented`).
    """
    result: Tensor = compute_tree(kind, function, *tensors, fold=fold, known=known, name=name)
    return result


def compute_tree(
    kind: str,
    function: Callable[..., Any],
    *tensors: Tensor,
    fold: Callable[..., Any] | None = None,
    known: bool = True,
    name: str | None = None,
) -> Any:
    """Do what `compute` does, for a function that returns a tree of arrays."""
    held = [tensor._held for tensor in tensors]
    kinds = {*map(type, held)}
    if Pending in kinds:
        return _of_pending(kind, function, tensors, name)
    try:
        if fold is not None and kinds <= _NUMPYS and all(map(_folds, held)):
            with np.errstate(all="ignore"):
                folded = fold(*held)
            if all(np.size(array) <= FOLD_LIMIT for array in jax.tree.leaves(folded)):
                return jax.tree.map(lambda array: wrap(np.asarray(array), kind, name), folded)
        result = function(*(map(_as_operand, held) if np.ndarray in kinds else held))
    except JaxscopeError:
        raise
    except NotImplementedError as error:
        raise UnimplementedError(f"{kind}: {error}", **_facts(tensors)) from error
    except (ValueError, ZeroDivisionError) as error:
        raise TensorValueError(f"{kind}: {error}", **_facts(tensors)) from error
    except TypeError as error:
        # JAX says TypeError of shapes, too.
        same = len({tensor.dtype for tensor in tensors}) == 1
        kind_of_error = (
            TensorValueError
            if same and any(word in str(error) for word in ("shape", "dimension"))
            else TensorTypeError
        )
        raise kind_of_error(f"{kind}: {error}", **_facts(tensors)) from error
    if isinstance(result, Tracer):  # as nearly all are, where a model is traced
        if known and all(map(_may_be_known, tensors)):
            return wrap(result, kind, name, functools.partial(Again(function, tensors).leaf, 0))
        return wrap(result, kind, name)
    leaves, structure = jax.tree.flatten(result)
    traced = any(isinstance(leaf, Tracer) for leaf in leaves)  # what is no tracer is known by itself
    if not traced or not known or not all(map(_may_be_known, tensors)):
        return jax.tree.unflatten(structure, [wrap(leaf, kind, name) for leaf in leaves])
    again = Again(function, tensors)
    wrapped = [wrap(leaf, kind, name, functools.partial(again.leaf, i)) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, wrapped)


def _of_pending(
    kind: str, function: Callable[..., Any], tensors: Sequence[Tensor], name: str | None
) -> Tensor:
    """Return what is computed of something that is drawn where a variable begins with it."""
    held = [tensor._held for tensor in tensors]
    parts = [
        one if is_pending(one) else known_value(tensor) for one, tensor in zip(held, tensors, strict=True)
    ]
    if any(part is None for part in parts):  # what is traced belongs to no initial value
        return compute(kind, function, *(wrap(settled(one)) for one in held), known=False, name=name)
    result = jax.eval_shape(function, *parts)
    return wrap(Pending(result.shape, result.dtype, function, parts), kind, name)


def drawn_later(
    kind: str, function: Callable[..., Any], *tensors: Tensor, name: str | None = None
) -> Tensor | None:
    """Return what a function of a key and arrays draws where a variable begins with it, as a tensor.

    Args:
        kind: TensorFlow's kind of operation.
        function: A function of a key and as many arrays.
        *tensors: What it is applied to.
        name: The name that the user gave.

    Returns:
        The tensor; None where what it is applied to is not known while tracing.
    """
    parts = [known_value(tensor) for tensor in tensors]
    if any(part is None for part in parts):
        return None
    result = jax.eval_shape(lambda key: function(key, *parts), jax.random.key(0))
    return wrap(Pending(result.shape, result.dtype, lambda key: function(key, *parts)), kind, name)


def _as_operand(held: Any) -> Any:
    """Return NumPy's scalars as such: JAX writes them into the program as numbers."""
    return held[()] if isinstance(held, np.ndarray) and held.ndim == 0 else held


def _folds(held: Any) -> bool:
    return bool(held.size <= FOLD_LIMIT and held.dtype.kind in "iub")


def _may_be_known(tensor: Tensor) -> bool:
    return tensor._compute is not None or not isinstance(tensor._held, Tracer)


def _facts(tensors: Sequence[Tensor]) -> dict[str, Any]:
    return {f"input {i}": f"shape={t.get_shape()} dtype={t.dtype.name}" for i, t in enumerate(tensors, 1)}


class Again:
    """A computation on known values that is done, outside of the trace, when somebody asks.

    Attributes:
        function: A function of arrays.
        tensors: What it is applied to.
    """

    def __init__(self, function: Callable[..., Any], tensors: Sequence[Tensor]) -> None:
        self.function, self.tensors = function, tensors
        self._leaves: list[Any] | None = None

    def leaf(self, i: int) -> Any:
        if self._leaves is None:
            self._leaves = self._all() or []
        return self._leaves[i] if self._leaves else None

    def _all(self) -> list[Any] | None:
        values = [known_value(tensor) for tensor in self.tensors]
        if any(value is None for value in values):
            return None
        with jax.ensure_compile_time_eval():
            leaves = jax.tree.leaves(self.function(*map(jnp.asarray, values)))
            if any(isinstance(leaf, Tracer) for leaf in leaves):
                return None  # the function closes over what is traced
            return [np.asarray(leaf) for leaf in leaves]


def value_if_known(value: Any) -> np.ndarray[Any, Any] | None:
    """Return the numbers of what can be a tensor, if they are known while tracing, else None."""
    return known_value(convert_to_tensor(value))


def static_value(value: Any, argument: str) -> np.ndarray[Any, Any]:
    """Return the numbers of an argument that must be known while tracing, as NumPy's array.

    Args:
        value: What can be a tensor: `tf.shape(x)`, `[tf.shape(x)[0], -1]`, `2`, `x.shape`, ...
        argument: Its name, for the error.

    Raises:
        NotStaticError: If they are computed from values that are traced (`not_static`).
    """
    tensor = convert_to_tensor(value)
    known = known_value(tensor)
    if known is None:
        raise NotStaticError(
            f"{argument} must be known while tracing, and is computed from values that are not",
            fix="shapes are numbers in a JAX program: take it from x.shape, or pass it as a Python number",
            argument=argument,
            value=repr(tensor),
        )
    return known


def static_ints(value: Any, argument: str) -> tuple[int, ...]:
    """Return the whole numbers of an argument, in a row, by the rules of `static_value`."""
    if isinstance(value, list | tuple):
        plain: Sequence[Any] = value
        if {*map(type, plain)} == {int} and min(plain) >= -LARGE and max(plain) < LARGE:
            return tuple(plain)
    known = static_value(value, argument)
    if isinstance(value, Tensor) and value.dtype.is_integer and known.dtype.itemsize < 4:
        raise TensorTypeError(f"{argument} must be of int32 or int64, not of {value.dtype.name}")
    if known.size and known.dtype.kind not in "iu":
        raise TensorTypeError(f"{argument} must be whole numbers, not {as_dtype(known.dtype).name}")
    return tuple(int(number) for number in known.reshape(-1))


def static_int(value: Any, argument: str) -> int:
    """Return the whole number of an argument, by the rules of `static_value`."""
    if isinstance(value, int):  # a bool is one in Python, and so for TensorFlow
        return int(value)
    numbers = static_ints(value, argument)
    if len(numbers) != 1:
        raise TensorValueError(f"{argument} must be one number, not {len(numbers)}")
    return numbers[0]


def static_shape(value: Any, argument: str = "shape") -> tuple[int, ...]:
    """Return the sizes of a shape, a vector, by the rules of `static_value`; -1 stays."""
    if not isinstance(value, list | tuple) and static_value(value, argument).ndim != 1:
        raise TensorValueError(f"{argument} must be a vector of sizes, not {value!r}", fix="put it in a list")
    return static_ints(value, argument)


def static_axes(value: Any, rank: int, argument: str = "axis") -> tuple[int, ...] | None:
    """Return axes of an array of that rank, none of them negative; None stays.

    Raises:
        TensorValueError: If an axis is out of range, or there twice (`tensor_value`).
    """
    if value is None:
        return None
    axes = tuple(_inside(axis, rank, argument) for axis in static_ints(value, argument))
    if len(set(axes)) < len(axes):
        raise TensorValueError(f"{argument} {axes} names one twice")
    return axes


def static_axis(value: Any, rank: int, argument: str = "axis") -> int:
    """Return one axis of an array of that rank, not negative, by the rules of `static_value`.

    Raises:
        TensorValueError: If it is out of range, or not one number (`tensor_value`).
    """
    return _inside(static_int(value, argument), rank, argument)


def _inside(axis: int, rank: int, argument: str) -> int:
    if not -rank <= axis < rank:
        raise TensorValueError(f"{argument} {axis} is out of range for a tensor of rank {rank}")
    return axis % rank


def renamed(**old_names: str) -> Callable[[Function], Function]:
    """Return a decorator that lets a function take older names of arguments, as `keep_dims` for `keepdims`.

    Args:
        **old_names: New name to its old names, joined by spaces: `axis="reduction_indices dim"`.

    Raises:
        TensorValueError: When it is called with both (`tensor_value`).
    """
    new_of = {old: new for new, olds in old_names.items() for old in olds.split()}

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not kwargs or new_of.keys().isdisjoint(kwargs):
                return function(*args, **kwargs)
            olds = {old: kwargs.pop(old) for old in new_of.keys() & kwargs.keys()}
            for old, given in olds.items():
                if given is None:
                    continue
                new, bound = new_of[old], signature.bind_partial(*args, **kwargs)
                if bound.arguments.get(new) is not None:
                    raise TensorValueError(
                        f"both {new} and {old}, its older name, were given to {function.__name__}"
                    )
                bound.arguments[new] = given
                args, kwargs = bound.args, bound.kwargs
            return function(*args, **kwargs)

        return cast("Function", call)

    return decorate
