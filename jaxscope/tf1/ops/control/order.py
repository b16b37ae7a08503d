"""Order and grouping: a program runs in the order in which it is written, so that little is left to do."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import canonical
from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, compute_tree
from jaxscope.tf1.base.tensor import Operation, Tensor, is_tensor
from jaxscope.tf1.ops.control.nesting import flatten, is_nested, pack_sequence_as

__all__ = ["control_dependencies", "group", "identity_n", "no_op", "py_func", "stop_gradient", "tuple_"]


@export("no_op")
def no_op(name: str | None = None) -> Operation:
    """Return an operation that does nothing.

    Args:
        name: A name for it.
    """
    return Operation(name or "NoOp", "NoOp")


def _is_part(value: Any) -> bool:
    return is_tensor(value) or isinstance(value, Operation | jax.Array) or hasattr(value, "op")


@export("group")
def group(*inputs: Any, **kwargs: Any) -> Operation:
    """Return one operation for several: what they do is done where they stand.

    Args:
        *inputs: Tensors and operations, in lists too.
        **kwargs: `name`, a name for it.

    Raises:
        TensorTypeError: If there is something else (`tensor_type`).
        TensorValueError: If there is another argument (`tensor_value`).
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise TensorValueError(f"{next(iter(kwargs))!r} is no argument of group")
    for one in flatten(list(inputs)):
        if not _is_part(one):
            raise TensorTypeError(f"group takes tensors and operations, not {type(one).__name__}")
    return Operation(name or "group_deps", "NoOp")


@export("tuple")
def tuple_(tensors: Any, name: str | None = None, control_inputs: Any = None) -> list[Any]:
    """Return tensors as a list.

    Args:
        tensors: A list of tensors; None stays.
        name: Without meaning here.
        control_inputs: Tensors and operations: what they do is done where they stand.

    Raises:
        TensorValueError: If there is no tensor (`tensor_value`).
        TensorTypeError: If there is something else (`tensor_type`).
    """
    parts = list(tensors)
    for one in parts if control_inputs is None else [*parts, *control_inputs]:
        if one is not None and not _is_part(one):
            raise TensorTypeError(f"tuple takes tensors and operations, not {type(one).__name__}")
    if not any(one is not None and not isinstance(one, Operation) for one in parts):
        raise TensorValueError("tuple needs at least one tensor")
    return [one if one is None or isinstance(one, Operation) else convert_to_tensor(one) for one in parts]


@export("control_dependencies")
@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Generator[None]:
    """Accept what is to be done before: it is, where it stands in the program.

    Args:
        control_inputs: Tensors and operations, or None.

    Raises:
        TensorTypeError: If there is something else (`tensor_type`).
    """
    for one in control_inputs or []:
        if not _is_part(one) and not callable(one):
            raise TensorTypeError(
                f"control_dependencies takes tensors and operations, not {type(one).__name__}"
            )
    yield


@export("identity_n")
def identity_n(input: Any, name: str | None = None) -> list[Tensor]:
    """Return values as tensors.

    Args:
        input: A list of what can be tensors.
        name: A name for the results.
    """
    return [convert_to_tensor(one, name=name) for one in input]


@export("guarantee_const")
def guarantee_const(input: Any, name: str | None = None) -> Tensor:
    """Return a value as a tensor.

    Args:
        input: What can be a tensor.
        name: A name for the result.
    """
    return convert_to_tensor(input, name=name)


@export("stop_gradient")
def stop_gradient(input: Any, name: str | None = None) -> Tensor:
    """Return a tensor through which no gradient goes.

    Args:
        input: A tensor.
        name: A name for the result.
    """
    tensor = convert_to_tensor(input, name=name)
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex):
        return tensor
    return compute("StopGradient", lambda x: jax.lax.stop_gradient(jnp.asarray(x)), tensor, name=name)


@export("grad_pass_through")
def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the values of another one, and the gradient of doing nothing.

    Args:
        f: A function of one tensor that returns one of the same shape.
    """

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        tensor = convert_to_tensor(x)
        return tensor + stop_gradient(f(tensor, *args, **kwargs) - tensor)

    return call


@export("py_func", "py_function", "numpy_function", "contrib.eager.py_func")
def py_func(
    func: Callable[..., Any],
    inp: Any,
    Tout: Any,  # noqa: N803 - TensorFlow's name
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    """Return what a Python function makes of the values of tensors, on the host, each time the program runs.

    It is `jax.pure_callback`: the function should have no effects, and may run more or less often than once.
    JAX needs the shapes of what it returns before it runs. To learn them it is called once while tracing, on
    zeros in the shapes of the tensors. No gradient goes through it.

    Args:
        func: A function of NumPy arrays.
        inp: A list of tensors.
        Tout: The dtype of what it returns, or a list of such.
        stateful: Without meaning here.
        name: A name for the results.

    Raises:
        TensorTypeError: If `func` cannot be called (`tensor_type`).
        TensorValueError: If it returns another number of arrays than there are dtypes (`tensor_value`).
    """
    if not callable(func):
        raise TensorTypeError("func must be callable")
    tensors = [convert_to_tensor(one) for one in inp]
    wanted = [canonical(one).dtype for one in flatten(Tout)]

    def host(*arrays: Any) -> list[np.ndarray[Any, Any]]:
        result = func(*map(np.asarray, arrays))
        parts = list(result) if isinstance(result, list | tuple) else [] if result is None else [result]
        if len(parts) != len(wanted):
            raise TensorValueError(f"func returned {len(parts)} arrays, where Tout has {len(wanted)}")
        return [np.asarray(part, dtype) for part, dtype in zip(parts, wanted, strict=True)]

    learned = host(*(np.zeros(one._held.shape, one.dtype.dtype) for one in tensors))
    shapes = [jax.ShapeDtypeStruct(part.shape, part.dtype) for part in learned]

    def call(*arrays: Any) -> Any:
        given = [jax.lax.stop_gradient(jnp.asarray(array)) for array in arrays]
        return jax.pure_callback(host, shapes, *given, vmap_method="sequential")

    results: list[Any] = list(compute_tree("PyFunc", call, *tensors, known=False, name=name))
    return pack_sequence_as(Tout, results) if is_nested(Tout) else results[0]
