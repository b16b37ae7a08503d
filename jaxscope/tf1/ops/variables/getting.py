"""`tf.get_variable`: `js.get_variable` by TensorFlow's arguments, which returns an object."""

import contextlib
import contextvars
from collections.abc import Callable, Generator
from typing import Any

import jax

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import as_dtype
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.pending import is_pending
from jaxscope.tf1.base.tensor import wrap
from jaxscope.tf1.ops.variables.adapting import (
    array_of,
    as_given,
    dtype_of,
    is_of_js,
    on_arrays,
    partitioner_of,
    reuse_of,
    shape_of,
)
from jaxscope.tf1.ops.variables.finding import kept_in
from jaxscope.tf1.ops.variables.initializers import initializer_of, tf_initializer
from jaxscope.tf1.ops.variables.variable import known_object, object_of

__all__ = ["get_local_variable", "get_variable", "getter_on_arrays"]

#: What was answered, behind the getters of the request that is asked: full name, array, trainable.
_answers: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("answers", default=None)


@export("get_variable")
def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Callable[..., Any] | None = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: Any = None,
    custom_getter: Callable[..., Any] | None = None,
    constraint: Callable[..., Any] | None = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """Return the variable called `name` in the current scope; make it where the scope's `reuse` says so.

    Args:
        name: The last part of its name: `"w"` in scope `a` is `a/w`.
        shape: The shape.
        dtype: The dtype; the scope's (float32) if left out.
        initializer: An initializer, a tensor, numbers, or a function of (shape, dtype) that returns a tensor.
        regularizer: A function of the variable that returns a loss, or None.
        trainable: Whether gradients are taken of it.
        collections: The collections that it is in, instead of `variables`.
        caching_device: Without meaning here.
        partitioner: How it lies on a mesh: a `PartitionSpec`. TensorFlow's partitioners cut nothing here.
        validate_shape: Without meaning here.
        use_resource: Without meaning here.
        custom_getter: `g(getter, name, *args, **kwargs)`, in the place of the scope's getters.
        constraint: A function that projects a new value, for optimizers to apply.
        synchronization: Without meaning here.
        aggregation: Without meaning here.

    Returns:
        The `tf.Variable`, one object for one variable; or what custom getters made of it.

    Raises:
        JaxscopeError: What `js.get_variable` raises; all are `ValueError`s where TensorFlow's are.

    Example:
        >>> @js.transform
        ... def net():
        ...     with js.tf1.variable_scope("a"):
        ...         return get_variable("w", [2]).name
        >>> net.apply({"a/w": jnp.ones(2)})
        'a/w:0'
    """
    del caching_device, validate_shape, use_resource, synchronization, aggregation
    if isinstance(initializer, list | tuple) and shape is None:
        initializer = convert_to_tensor(initializer, dtype)
    kwargs: dict[str, Any] = {
        "dtype": dtype_of(dtype),
        "initializer": initializer_of(initializer),
        "regularizer": on_arrays(regularizer),
        "trainable": trainable is not False,
        "collections": kept_in(collections, trainable is not False),
        "partitioner": partitioner_of(partitioner),
        "constraint": on_arrays(constraint),
        "custom_getter": getter_on_arrays(custom_getter),
    }
    scope = js.get_variable_scope()
    sizes = shape_of(shape)
    if is_pending(kwargs["initializer"]) and shape is None:
        sizes, kwargs["dtype"] = kwargs["initializer"].shape, kwargs["initializer"].dtype
    if custom_getter is None and scope.custom_getter is None:
        array = js.get_variable(name, sizes, **kwargs)
        return object_of(array, trainable=kwargs["trainable"], scope=scope, own=name)
    with _answered() as answers:
        array = js.get_variable(name, sizes, **kwargs)
    return _object(array, answers)


@contextlib.contextmanager
def _answered() -> Generator[list[Any]]:
    """Give a list, and note there what is answered behind the getters of a request, inside of the block."""
    answers: list[Any] = []
    token = _answers.set(answers)
    try:
        with js.observe(lambda answer: answers.append(answer) if answer.behind else None):
            yield answers
    finally:
        _answers.reset(token)


def _object(array: Any, answers: list[Any]) -> Any:
    """Return the variable that an array is, by what was answered; else a tensor."""
    for answer in reversed(answers):
        if answer.value is array:
            return object_of(array, answer.name, trainable=answer.trainable)
    known = known_object(array)
    if known is not None:
        return known
    return wrap(array, "Getter") if isinstance(array, jax.Array) else array


@export("get_local_variable")
def get_local_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Callable[..., Any] | None = None,
    trainable: bool | None = False,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: Any = None,
    custom_getter: Callable[..., Any] | None = None,
    constraint: Callable[..., Any] | None = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """Return a variable as `tf.get_variable` does: never trainable, and in `local_variables`.

    Args:
        name: As in `tf.get_variable`, like all others.
        shape: The shape.
        dtype: The dtype.
        initializer: How it begins.
        regularizer: A loss on it.
        trainable: Ignored, as in TensorFlow 1.
        collections: Further collections.
        caching_device: Without meaning here.
        partitioner: How it lies on a mesh.
        validate_shape: Without meaning here.
        use_resource: Without meaning here.
        custom_getter: A getter in the place of the scope's.
        constraint: A function that projects a new value.
        synchronization: Without meaning here.
        aggregation: Without meaning here.
    """
    del trainable
    return get_variable(
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        False,
        [*(collections or []), js.GraphKeys.LOCAL_VARIABLES],
        caching_device,
        partitioner,
        validate_shape,
        use_resource,
        custom_getter,
        constraint,
        synchronization,
        aggregation,
    )


class Getter:
    """A custom getter of TensorFlow's, which sees variables and tensors, as one that sees arrays.

    Attributes:
        function: `g(getter, name, *args, **kwargs)`.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, getter: Any, name: str, **kwargs: Any) -> Any:
        known = _answers.get()
        with _answered() if known is None else contextlib.nullcontext(known) as answers:
            following = _Next(getter, answers, kwargs["reuse"])
            return array_of(self.function(following, name, **_of_tf(kwargs)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Getter) and other.function == self.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return repr(self.function)


def getter_on_arrays(getter: Any) -> Any:
    """Return a custom getter of TensorFlow's as `js` takes it; jaxscope's own are so already."""
    if getter is None or not callable(getter) or isinstance(getter, Getter) or is_of_js(getter):
        return getter
    return Getter(getter)


def _of_tf(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a request as TensorFlow hands them to a getter."""
    return {
        **kwargs,
        "dtype": None if kwargs["dtype"] is None else as_dtype(kwargs["dtype"]),
        "initializer": tf_initializer(kwargs["initializer"]),
        "regularizer": as_given(kwargs["regularizer"]),
        "constraint": as_given(kwargs["constraint"]),
        "caching_device": None,
        "validate_shape": True,
        "use_resource": None,
        "synchronization": None,
        "aggregation": None,
    }


class _Next:
    """What a getter receives: the next one, called by TensorFlow's arguments."""

    def __init__(self, getter: Any, answers: list[Any], reuse: Any) -> None:
        self._getter, self._answers, self._reuse = getter, answers, reuse

    def __call__(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = "float32",
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Any = None,
        trainable: Any = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: Any = True,
        use_resource: Any = None,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
    ) -> Any:
        del caching_device, validate_shape, use_resource, synchronization, aggregation
        array = self._getter(
            name,
            shape=shape_of(shape),
            dtype=dtype_of("float32" if dtype is None else dtype),
            initializer=initializer_of(initializer),
            regularizer=on_arrays(regularizer),
            reuse=self._reuse if reuse is None else reuse_of(reuse),
            trainable=trainable is not False,
            collections=collections,
            partitioner=partitioner_of(partitioner),
            constraint=on_arrays(constraint),
        )
        return _object(array, self._answers)
