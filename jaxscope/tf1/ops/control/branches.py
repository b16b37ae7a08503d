"""`tf.cond`, `tf.case`, `tf.switch_case`, by `jax.lax.cond` and `jax.lax.switch`."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import value_if_known
from jaxscope.tf1.base.tensor import Operation, Tensor, wrap
from jaxscope.tf1.ops.arrays.gathering import whole_numbers
from jaxscope.tf1.ops.control.changes import Changes
from jaxscope.tf1.ops.control.nesting import assert_same_structure, flatten, pack_sequence_as
from jaxscope.tf1.ops.control.steps import again
from jaxscope.tf1.ops.control.tensor_array import TensorArray

__all__ = ["case", "cond", "switch_case"]


def _is_value(leaf: Any) -> bool:
    return not isinstance(leaf, Operation | TensorArray) and leaf is not None


class _Branch:
    """One branch: what it returned, with tensors as arrays for JAX.

    Args:
        function: The function.
        changes: What it, or another branch, changes of trainable variables: that is returned behind the rest.
    """

    def __init__(self, function: Callable[..., Any], changes: Changes) -> None:
        self.function, self.changes = function, changes
        self.result: Any = None
        self.leaves: list[Any] = []

    def __call__(self) -> list[Any]:
        with self.changes.undone() as changed:
            self.result = self.function()
            self.leaves = [
                convert_to_tensor(leaf) if _is_value(leaf) else leaf for leaf in flatten(self.result)
            ]
            changed.note()
        arrays = jax.tree.leaves([one for one in self.leaves if not isinstance(one, Operation)])
        return arrays + changed.values


def _chosen(
    functions: list[Callable[..., Any]],
    number: int | None,
    choose: Callable[..., Any],
    *,
    strict: bool,
    which: Tensor,
) -> Any:
    """Let JAX choose among branches, and return the result as tensors."""
    changes = Changes()
    branches = [_Branch(one, changes) for one in functions]
    try:
        made = changes.traced(lambda: choose([lambda one=one: _checked(branches, one) for one in branches]))
    except _ShapesDiffer as error:
        if number is None:
            raise TensorValueError(
                "branches return tensors of different shapes, and which is taken is not known while tracing",
                code="shapes_disagree",
                shapes=str(error),
                fix="tensors of the same shape; or a condition that is known, as one on shapes is",
            ) from None
        with again():
            made = branches[number]()
    taken = branches[0 if number is None else number]
    left = iter(changes.kept(made))
    if number is not None and all(isinstance(one, Tensor) and _plain(one) for one in taken.leaves):
        leaves: list[Any] = list(taken.leaves)  # known numbers stay known
    else:
        leaves = [_refilled(one, left, which) for one in taken.leaves]
    return _alone(pack_sequence_as(taken.result, leaves), strict)


def _alone(result: Any, strict: bool) -> Any:
    """Return what is in a list of one, unless lists are to stay."""
    return result if strict or not isinstance(result, list | tuple) or len(result) != 1 else result[0]


def _plain(tensor: Tensor) -> bool:
    return isinstance(tensor._held, np.ndarray)


def _refilled(leaf: Any, arrays: Any, which: Tensor) -> Any:
    """Return a leaf of the result; in the place of an operation stands what decided, as in TensorFlow."""
    if isinstance(leaf, Operation):
        return which
    if isinstance(leaf, Tensor):
        return wrap(next(arrays), "Merge")
    if isinstance(leaf, TensorArray):
        old, form = jax.tree.flatten(leaf)
        return jax.tree.unflatten(form, [next(arrays) for _ in old])
    return leaf


class _ShapesDiffer(Exception):  # noqa: N818 - it never leaves this module
    """Branches return tensors of different shapes."""


def _checked(branches: list[_Branch], branch: _Branch) -> list[Any]:
    """Run a branch, and compare with the first one that ran."""
    arrays = branch()
    if branch.result is None:
        raise TensorValueError("a branch returned nothing", fix="return tensors, or tf.no_op()")
    first = branches[0]
    if branch is first or first.result is None:
        return [jnp.asarray(one) for one in arrays]
    assert_same_structure(first.result, branch.result)
    for one, other in zip(first.leaves, branch.leaves, strict=True):
        if type(one) is not type(other):
            raise TensorValueError("branches return different kinds of things", code="structures_disagree")
        if not isinstance(one, Tensor):
            continue
        if one.dtype is not other.dtype:
            raise TensorValueError(
                f"branches return {one.dtype.name} and {other.dtype.name}",
                code="dtypes_disagree",
                fix=f"tf.cast(x, tf.{one.dtype.name})",
            )
        if one._held.shape != other._held.shape:
            raise _ShapesDiffer(f"{one.get_shape()}, {other.get_shape()}")
    return [jnp.asarray(one) for one in arrays]


def _predicate(pred: Any) -> Tensor:
    if isinstance(pred, bool):
        raise TensorTypeError(
            "the condition is a Python bool, and must be a tensor", fix="a Python `if`, or tf.constant(...)"
        )
    tensor = convert_to_tensor(pred)
    if not tensor.dtype.is_bool:
        raise TensorTypeError(f"a condition is a truth value, not {tensor.dtype.name}")
    if tensor._held.ndim:
        raise TensorValueError(f"a condition is one truth value, not a tensor of shape {tensor.get_shape()}")
    return tensor


@export("cond")
def cond(
    pred: Any,
    true_fn: Any = None,
    false_fn: Any = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Any = None,
    fn2: Any = None,
) -> Any:
    """Return what one of two functions returns. Both are traced, and only one of them runs.

    Args:
        pred: A scalar tensor of bool.
        true_fn: A function without arguments. Once called `fn1`.
        false_fn: Another one that returns the same structure, dtypes and shapes. Once called `fn2`.
        strict: Whether a list of one tensor stays a list.
        name: A name for the results.
        fn1: The older name of `true_fn`.
        fn2: The older name of `false_fn`.

    Raises:
        TensorTypeError: If a function is missing or cannot be called, or `pred` is no tensor of bool.
        TensorValueError: If the structures, dtypes or shapes differ (`structures_disagree`,
            `dtypes_disagree`, `shapes_disagree`). Shapes may, if `pred` is known while tracing.
    """
    if (true_fn is not None and fn1 is not None) or (false_fn is not None and fn2 is not None):
        raise TensorTypeError("both true_fn and fn1, its older name, were given, or false_fn and fn2")
    true_fn, false_fn = (fn1 if true_fn is None else true_fn), (fn2 if false_fn is None else false_fn)
    for function, argument in ((true_fn, "true_fn"), (false_fn, "false_fn")):
        if function is None:
            raise TensorTypeError(f"cond needs {argument}")
        if not callable(function):
            raise TensorTypeError(f"{argument} must be callable")
    test = _predicate(pred)
    known = value_if_known(test)
    number = None if known is None else int(not known)
    held = jnp.asarray(test._held)
    return _chosen(
        [true_fn, false_fn], number, lambda both: jax.lax.cond(held, *both), strict=strict, which=test
    )


@export("case")
def case(
    pred_fn_pairs: Any,
    default: Any = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str | None = "case",
) -> Any:
    """Return what the function of the first condition that holds returns.

    Args:
        pred_fn_pairs: Pairs of a scalar tensor of bool and a function without arguments; or a dict.
        default: The function if none holds. Without it one must hold; the last function is taken if none
            does, and that is not known while tracing.
        exclusive: Whether two that hold are an error, as far as that is known while tracing.
        strict: Whether a list of one tensor stays a list.
        name: A name for the results.

    Raises:
        TensorTypeError: If the arguments are not of this form (`tensor_type`).
        TensorValueError: If there are no pairs, or the results differ (`tensor_value`).
        InvalidArgumentError: If it is known that none holds, or two do (`invalid_argument`).
    """
    if isinstance(pred_fn_pairs, Mapping):
        pairs: Any = list(pred_fn_pairs.items())
    else:
        pairs = pred_fn_pairs
    if not isinstance(pairs, list | tuple):
        raise TensorTypeError("pred_fn_pairs are a list, tuple or dict")
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TensorTypeError("each of pred_fn_pairs is a pair of a condition and a function")
        if not callable(pair[1]):
            raise TensorTypeError("the function of a case must be callable")
    if default is not None and not callable(default):
        raise TensorTypeError("default must be callable")
    if not pairs and default is None:
        raise TensorValueError("there are no cases")
    tests = [_predicate(pred) for pred, _ in pairs]
    known = [value_if_known(test) for test in tests]
    if exclusive and sum(bool(one) for one in known if one is not None) > 1:
        raise InvalidArgumentError("more than one of the conditions of an exclusive case holds")
    if default is None and all(one is not None and not one for one in known):
        raise InvalidArgumentError("none of the conditions of a case holds, and there is no default")
    functions = [function for _, function in pairs]
    last = default if default is not None else functions.pop()
    if not functions:
        return _alone(last(), strict)
    for test, function in reversed(list(zip(tests, functions, strict=False))):
        last = _nested(test, function, last, strict)
    return last()


def _nested(test: Tensor, function: Any, rest: Any, strict: bool) -> Callable[[], Any]:
    return lambda: cond(test, function, rest, strict=strict)


@export("switch_case")
def switch_case(branch_index: Any, branch_fns: Any, default: Any = None, name: str | None = None) -> Any:
    """Return what the function of a number returns.

    Args:
        branch_index: A scalar tensor of int32.
        branch_fns: Functions without arguments; or a dict, or pairs, of numbers and such.
        default: The function for other numbers; the one of the greatest number, if left out.
        name: A name for the results.

    Raises:
        TensorTypeError: If the arguments are not of this form (`tensor_type`).
        TensorValueError: If the results differ (`tensor_value`).
    """
    if isinstance(branch_fns, Mapping):
        numbered = dict(branch_fns.items())
    elif all(callable(one) for one in branch_fns):
        numbered = dict(enumerate(branch_fns))
    else:
        numbered = dict(branch_fns)
    if not numbered or any(not callable(one) for one in numbered.values()):
        raise TensorTypeError("branch_fns are functions, at least one")
    index = whole_numbers(branch_index, "branch_index")
    if index._held.ndim:
        raise TensorValueError("branch_index is a scalar")
    numbers = sorted(numbered)
    functions = [numbered[one] for one in numbers]
    functions.append(functions[-1] if default is None else default)
    known = value_if_known(index)
    place = np.asarray(numbers)

    def position(i: Any) -> Any:
        found = place == i
        return jnp.where(jnp.any(found), jnp.argmax(found), len(numbers))

    number = None if known is None else numbers.index(int(known)) if int(known) in numbered else len(numbers)
    return _chosen(
        functions,
        number,
        lambda all_of: jax.lax.switch(position(jnp.asarray(index._held)), all_of),
        strict=True,
        which=index,
    )
