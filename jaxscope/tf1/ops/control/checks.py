"""`tf.assert_*`: what is known while tracing is checked at once; values that are not are not looked at.

A compiled program cannot raise. `jax.experimental.checkify`, or `jax_debug_nans`, look at values.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor, same_dtype
from jaxscope.tf1.base.dtypes import DType, as_dtype
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute, static_value, value_if_known
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Operation, Tensor, is_tensor

__all__ = ["Assert", "check_numerics"]


def _done(name: str | None, kind: str) -> Operation:
    return Operation(name or kind, "Assert")


def _said(message: str | None, text: str) -> str:
    return f"{message}: {text}" if message else text


def _both(name: str, test: Callable[..., Any], says: str) -> None:
    def check(
        x: Any,
        y: Any,
        data: Any = None,
        summarize: Any = None,
        message: Any = None,
        name: str | None = None,
    ) -> Operation:
        first, second = same_dtype(x, y)
        a, b = value_if_known(first), value_if_known(second)
        if a is not None and b is not None:
            try:
                holds = bool(np.all(test(a, b)))
            except ValueError as error:
                raise InvalidArgumentError(f"shapes {a.shape} and {b.shape} do not broadcast") from error
            if not holds:
                raise InvalidArgumentError(
                    _said(message, f"x {says} y does not hold"), code="assertion", x=a.tolist(), y=b.tolist()
                )
        return _done(name, kind)

    kind = f"assert_{name}"
    check.__name__ = check.__qualname__ = kind
    check.__doc__ = f"""Check that `x {says} y`, by element, as far as both are known while tracing.

    Args:
        x: A tensor.
        y: A tensor of the same dtype, or numbers.
        data: Without meaning here.
        summarize: Without meaning here.
        message: What to say before.
        name: A name for the operation.

    Raises:
        InvalidArgumentError: If it is known not to hold (`assertion`).
        TensorTypeError: If the dtypes differ (`dtypes_disagree`).
    """
    export_constant(check, kind, f"debugging.{kind}")


_both("equal", np.equal, "==")
_both("none_equal", np.not_equal, "!=")
_both("less", np.less, "<")
_both("less_equal", np.less_equal, "<=")
_both("greater", np.greater, ">")
_both("greater_equal", np.greater_equal, ">=")


@export("debugging.assert_near", "assert_near")
def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    data: Any = None,
    summarize: Any = None,
    message: Any = None,
    name: str | None = None,
) -> Operation:
    """Check that two tensors are close, by element, as far as both are known while tracing.

    Args:
        x: A tensor of real numbers.
        y: A tensor of the same dtype.
        rtol: The tolerance in parts of `y`, 10 times the precision of the dtype if left out.
        atol: The tolerance, the same.
        data: Without meaning here.
        summarize: Without meaning here.
        message: What to say before.
        name: A name for the operation.

    Raises:
        InvalidArgumentError: If they are known not to be close (`assertion`).
    """
    first, second = same_dtype(x, y)
    a, b = value_if_known(first), value_if_known(second)
    if a is not None and b is not None:
        least = 10 * float(cast("Any", jnp.finfo)(first.dtype.dtype).eps) if first.dtype.is_floating else 0
        limit = (least if atol is None else float(atol)) + (least if rtol is None else float(rtol)) * np.abs(
            b
        )
        if not bool(np.all(np.abs(a - b) <= limit)):
            raise InvalidArgumentError(_said(message, "x and y are not close"), code="assertion")
    return _done(name, "assert_near")


def _one(name: str, test: Callable[..., Any], says: str) -> None:
    def check(
        x: Any, data: Any = None, summarize: Any = None, message: Any = None, name: str | None = None
    ) -> Operation:
        known = value_if_known(x)
        if known is not None and not bool(np.all(test(known))):
            raise InvalidArgumentError(
                _said(message, f"x {says} does not hold"), code="assertion", x=known.tolist()
            )
        return _done(name, kind)

    kind = f"assert_{name}"
    check.__name__ = check.__qualname__ = kind
    check.__doc__ = f"""Check that `x {says}`, by element, as far as it is known while tracing.

    Args:
        x: A tensor of numbers.
        data: Without meaning here.
        summarize: Without meaning here.
        message: What to say before.
        name: A name for the operation.

    Raises:
        InvalidArgumentError: If it is known not to hold (`assertion`).
    """
    export_constant(check, kind, f"debugging.{kind}")


_one("negative", lambda x: x < 0, "< 0")
_one("positive", lambda x: x > 0, "> 0")
_one("non_negative", lambda x: x >= 0, ">= 0")
_one("non_positive", lambda x: x <= 0, "<= 0")


def _rank(name: str, holds: Callable[[int, list[int]], bool], says: str, argument: str) -> None:
    def check(tensor: Any, ranks: Any, message: Any) -> Operation:
        value = convert_to_tensor(tensor)
        known = [static_value(one, argument) for one in (ranks if argument == "ranks" else [ranks])]
        for one in known:
            if one.ndim:
                raise TensorValueError(f"a rank is one number, not a tensor of shape {one.shape}")
            if one.dtype.kind not in "iu":
                raise TensorTypeError(f"a rank is a whole number, not of {one.dtype}")
        wanted = [int(one) for one in known]
        if not holds(value._held.ndim, wanted):
            raise TensorValueError(
                _said(message, f"a tensor of rank {says} {wanted} is needed, not {value.get_shape()}"),
                code="rank",
            )
        return _done(None, kind)

    kind = f"assert_{name}"
    if argument == "ranks":

        def public_in(
            x: Any,
            ranks: Any,
            data: Any = None,
            summarize: Any = None,
            message: Any = None,
            name: str | None = None,
        ) -> Operation:
            return check(x, ranks, message)

        public: Any = public_in
    else:

        def public_one(
            x: Any,
            rank: Any,
            data: Any = None,
            summarize: Any = None,
            message: Any = None,
            name: str | None = None,
        ) -> Operation:
            return check(x, rank, message)

        public = public_one
    public.__name__ = public.__qualname__ = kind
    public.__doc__ = f"""Check that a tensor has rank {says} a given one.

    Args:
        x: A tensor.
        {argument}: The rank, known while tracing{"; several, in a list" if argument == "ranks" else ""}.
        data: Without meaning here.
        summarize: Without meaning here.
        message: What to say before.
        name: A name for the operation.

    Raises:
        TensorValueError: If it has not (`rank`).
    """
    export_constant(public, kind, f"debugging.{kind}")


_rank("rank", lambda rank, wanted: rank == wanted[0], "equal to", "rank")
_rank("rank_at_least", lambda rank, wanted: rank >= wanted[0], "at least", "rank")
_rank("rank_in", lambda rank, wanted: rank in wanted, "among", "ranks")


@export("assert_scalar", "debugging.assert_scalar")
def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Tensor:
    """Return a tensor, if it is a scalar.

    Args:
        tensor: A tensor.
        name: A name for the result.
        message: What to say before.

    Raises:
        TensorValueError: If it is none (`rank`).
    """
    value = convert_to_tensor(tensor, name=name)
    if value._held.ndim:
        raise TensorValueError(_said(message, f"a scalar is needed, not {value.get_shape()}"), code="rank")
    return value


@export("assert_type", "debugging.assert_type")
def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> Operation:
    """Check the dtype of a tensor.

    Args:
        tensor: A tensor.
        tf_type: The dtype.
        message: What to say before.
        name: A name for the operation.

    Raises:
        TensorTypeError: If it has another one (`tensor_type`).
    """
    value = convert_to_tensor(tensor)
    if value.dtype is not as_dtype(tf_type):
        raise TensorTypeError(_said(message, f"{as_dtype(tf_type).name} is needed, not {value.dtype.name}"))
    return _done(name, "assert_type")


@export("assert_integer", "debugging.assert_integer")
def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> Operation:
    """Check that a tensor is of whole numbers.

    Args:
        x: A tensor.
        message: What to say before.
        name: A name for the operation.

    Raises:
        TensorTypeError: If it is not (`tensor_type`).
    """
    value = convert_to_tensor(x)
    if not value.dtype.is_integer:
        raise TensorTypeError(_said(message, f"whole numbers are needed, not {value.dtype.name}"))
    return _done(name, "assert_integer")


@export("assert_same_float_dtype", "debugging.assert_same_float_dtype")
def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> DType:
    """Return the dtype of real numbers that tensors have in common.

    Args:
        tensors: Tensors.
        dtype: The dtype that they must have.

    Raises:
        TensorValueError: If there are several, or one of no real numbers (`tensor_value`).
    """
    found = None if dtype is None else as_dtype(dtype)
    for one in tensors or []:
        if one is None:
            continue
        kind = convert_to_tensor(one).dtype
        if found is not None and kind is not found:
            raise TensorValueError(f"tensors of {found.name} and {kind.name} are not of one dtype")
        found = kind
    if found is not None and not found.is_floating:
        raise TensorValueError(f"real numbers are needed, not {found.name}")
    return found or as_dtype("float32")


@export("assert_proper_iterable", "debugging.assert_proper_iterable")
def assert_proper_iterable(values: Any) -> None:
    """Check that this is a list or the like, and neither one tensor nor one string.

    Args:
        values: Anything.

    Raises:
        TensorTypeError: If it is not (`tensor_type`).
    """
    if is_tensor(values) or isinstance(values, np.ndarray | str | bytes) or not isinstance(values, Iterable):
        raise TensorTypeError(f"a list of values is needed, not {type(values).__name__}")


@export("debugging.assert_shapes")
def assert_shapes(
    shapes: Any, data: Any = None, summarize: Any = None, message: Any = None, name: str | None = None
) -> Operation:
    """Check the shapes of tensors, in which letters are sizes that are the same everywhere.

    Args:
        shapes: Pairs of a tensor and a shape, or a dict: `[(x, ("n", 3)), (y, ("n",))]`.
        data: Without meaning here.
        summarize: Without meaning here.
        message: What to say before.
        name: A name for the operation.

    Raises:
        TensorValueError: If they have others (`shapes_disagree`).
    """
    sizes: dict[str, int] = {}
    for tensor, shape in shapes.items() if hasattr(shapes, "items") else shapes:
        found = convert_to_tensor(tensor)._held.shape
        wanted = list(shape) if isinstance(shape, list | tuple | str | TensorShape) else [shape]
        fits = len(found) == len(wanted)
        for size, symbol in zip(found, wanted, strict=False):
            known = getattr(symbol, "value", symbol)
            if isinstance(known, str) and known.isdigit():
                known = int(known)
            if isinstance(known, str):
                fits = fits and sizes.setdefault(known, size) == size
            else:
                fits = fits and known in {None, size}
        if not fits:
            raise TensorValueError(
                _said(message, f"a tensor of shape {wanted} is needed, not {found}"), code="shapes_disagree"
            )
    return _done(name, "assert_shapes")


@export("is_numeric_tensor", "debugging.is_numeric_tensor")
def is_numeric_tensor(tensor: Any) -> bool:
    """Return whether this is a tensor of numbers.

    Args:
        tensor: Anything.
    """
    return is_tensor(tensor) and not tensor.dtype.is_bool and tensor.dtype.name != "string"


def _steps(kind: str, test: Callable[..., Any], says: str) -> None:
    def check(x: Any, name: str | None = None) -> Tensor:
        def holds(array: Any) -> Any:
            flat = jnp.reshape(array, -1)
            return jnp.all(test(flat[1:], flat[:-1]))

        return compute(kind, holds, convert_to_tensor(x), name=name)

    check.__name__ = check.__qualname__ = kind
    check.__doc__ = f"""Return whether each element {says} the one before, in row-major order.

    Args:
        x: A tensor of numbers.
        name: A name for the result.
    """
    export_constant(check, kind, f"math.{kind}", f"debugging.{kind}")


_steps("is_non_decreasing", jnp.greater_equal, "is not less than")
_steps("is_strictly_increasing", jnp.greater, "is greater than")


@export("Assert", "debugging.Assert")
def Assert(condition: Any, data: Any, summarize: Any = None, name: str | None = None) -> Operation:
    """Check that a condition holds, as far as it is known while tracing.

    Args:
        condition: A truth value.
        data: What to say.
        summarize: Without meaning here.
        name: A name for the operation.

    Raises:
        InvalidArgumentError: If it is known not to hold (`assertion`).
        TensorTypeError: If it is no truth value (`tensor_type`).
        TensorValueError: If it is not one alone (`tensor_value`).
    """
    truth = convert_to_tensor(condition)
    if not truth.dtype.is_bool:
        raise TensorTypeError(f"a condition is a truth value, not of {truth.dtype.name}", fix="x > 0")
    if truth._held.ndim:
        raise TensorValueError(f"a condition is one truth value, not of shape {truth.get_shape()}")
    known = value_if_known(truth)
    if known is not None and not known:
        said = [one if isinstance(one, str) else repr(value_if_known(one)) for one in data]
        raise InvalidArgumentError(f"assertion failed: {' '.join(said)}", code="assertion")
    return _done(name, "Assert")


@export("check_numerics", "debugging.check_numerics")
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """Return a tensor, if it has neither NaN nor infinity, as far as it is known while tracing.

    Args:
        tensor: A tensor of real numbers.
        message: What to say.
        name: A name for the result.

    Raises:
        InvalidArgumentError: If it is known to have one (`assertion`).
        TensorTypeError: If it is of other numbers (`tensor_type`).
    """
    value = convert_to_tensor(tensor, name=name)
    if not value.dtype.is_floating:
        raise TensorTypeError(f"CheckNumerics does not take tensors of {value.dtype.name}")
    known = value_if_known(value)
    if known is not None and not np.isfinite(known.astype(np.float64)).all():
        raise InvalidArgumentError(f"{message}: the tensor has NaN or infinity", code="assertion")
    return value


@export("verify_tensor_all_finite")
def verify_tensor_all_finite(
    t: Any = None,
    msg: str | None = None,
    name: str | None = None,
    x: Any = None,
    message: str | None = None,
) -> Tensor:
    """Return a tensor, if it has neither NaN nor infinity, as far as it is known while tracing.

    Args:
        t: A tensor of real numbers.
        msg: What to say.
        name: A name for the result.
        x: The newer name of `t`.
        message: The newer name of `msg`.

    Raises:
        InvalidArgumentError: If it is known to have one (`assertion`).
    """
    tensor = x if t is None else t
    return check_numerics(tensor, (message if msg is None else msg) or "", name)
