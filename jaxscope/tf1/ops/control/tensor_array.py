"""`tf.TensorArray`: tensors of one kind by number, written one after the other."""

from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, canonical
from jaxscope.tf1.base.errors import (
    GraphLifeError,
    InvalidArgumentError,
    OutOfRangeError,
    TensorTypeError,
    TensorValueError,
)
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute, static_int, static_ints, value_if_known
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Operation, Tensor, wrap
from jaxscope.tf1.ops.arrays.gathering import check_indices, gather, whole_numbers
from jaxscope.tf1.ops.arrays.joining import concat, stack

__all__ = ["TensorArray"]


@export("TensorArray")
class TensorArray:
    """Tensors of one dtype by number; each change returns a new one, as TensorFlow asks to write it.

    Outside of loops it is a list. In a loop, or where a number is traced, it is one array with an axis more,
    and what was not written is zeros.

    Args:
        dtype: The dtype of the tensors.
        size: How many there are, known while tracing.
        dynamic_size: Whether it grows by writing behind the end; in a loop, only where the number of steps is
            known while tracing.
        clear_after_read: Without meaning here.
        tensor_array_name: Without meaning here.
        handle: Must be None.
        flow: Must be None.
        infer_shape: Whether all tensors have one shape.
        element_shape: That shape.
        colocate_with_first_write_call: Without meaning here.
        name: Without meaning here.

    Raises:
        TensorValueError: If there is no size, or a handle (`tensor_value`).

    Example:
        >>> array = TensorArray("float32", size=2).write(0, 1.0).write(1, 2.0)
        >>> array.stack().shape.as_list()
        [2]
    """

    __slots__ = ("_buffer", "_dynamic", "_element", "_entries", "_infer", "_size", "dtype")
    dtype: DType

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: Any = None,
        clear_after_read: Any = None,
        tensor_array_name: Any = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: Any = True,
        element_shape: Any = None,
        colocate_with_first_write_call: Any = True,
        name: Any = None,
    ) -> None:
        if handle is not None or flow is not None:
            raise TensorValueError("a handle is of TensorFlow's graph, which is not here")
        self.dtype = canonical(dtype)
        self._dynamic, self._infer = bool(dynamic_size), infer_shape is not False
        if size is None and not self._dynamic:
            raise TensorValueError("a TensorArray needs a size")
        self._size = 0 if size is None else static_int(size, "size")
        self._element = TensorShape(element_shape)
        self._entries: dict[int, Tensor] = {}
        self._buffer: Any = None

    def _with(self, **changes: Any) -> "TensorArray":
        made = object.__new__(TensorArray)
        for slot in TensorArray.__slots__:
            setattr(made, slot, changes.get(slot, getattr(self, slot)))
        return made

    @property
    def dynamic_size(self) -> bool:
        """Whether it grows."""
        return self._dynamic

    @property
    def element_shape(self) -> TensorShape:
        """The shape of its tensors, as far as it is known."""
        if self._buffer is not None:
            return TensorShape(self._buffer.shape[1:])
        found = next(iter(self._entries.values()), None)
        return self._element if found is None or not self._infer else found.get_shape()

    @property
    def flow(self) -> Tensor:
        """A number without a meaning, as in TensorFlow."""
        return wrap(np.zeros([], np.float32), "TensorArray")

    @property
    def handle(self) -> None:
        """Nothing: there is no graph."""
        return

    def _array(self, element: tuple[int, ...] | None = None) -> Any:
        """Return all as one array; `element` is the shape of a tensor that is about to be written."""
        if self._buffer is not None:
            return self._buffer
        shape = self.element_shape
        sizes = element if element is not None else shape.as_list() if shape.is_fully_defined() else None
        if sizes is None:
            raise InvalidArgumentError(
                "nothing was written to a TensorArray, and the shape of its tensors is not known",
                fix="TensorArray(..., element_shape=...)",
            )
        if not self._entries:
            return jnp.zeros((self._size, *sizes), self.dtype.dtype)
        zeros = jnp.zeros(tuple(sizes), self.dtype.dtype)
        return jnp.stack([self._entries[i]._held if i in self._entries else zeros for i in range(self._size)])

    def _value(self, value: Any) -> Tensor:
        tensor = convert_to_tensor(value, dtype_hint=self.dtype)
        if tensor.dtype is not self.dtype:
            raise InvalidArgumentError(
                f"a tensor of {tensor.dtype.name} was written to a TensorArray of {self.dtype.name}"
            )
        return tensor

    def _fits(self, tensor: Tensor) -> None:
        if not self.element_shape.is_compatible_with(tensor.get_shape()):
            raise TensorValueError(
                f"a tensor of shape {tensor.get_shape()} in a TensorArray of shape {self.element_shape}",
                code="shapes_disagree",
            )

    def _place(self, index: Any) -> tuple[Tensor, int | None]:
        tensor = whole_numbers(index, "the index of a TensorArray")
        if tensor._held.ndim:
            raise TensorValueError("the index of a TensorArray is a scalar")
        known = value_if_known(tensor)
        return tensor, None if known is None else int(known)

    def write(self, index: Any, value: Any, name: str | None = None) -> "TensorArray":
        """Return the TensorArray with a tensor in a place.

        Args:
            index: The number of the place.
            value: The tensor.
            name: Without meaning here.

        Raises:
            OutOfRangeError: If the number is known, and there is no such place (`out_of_range`).
            InvalidArgumentError: If the tensor is of another dtype (`invalid_argument`).
            TensorValueError: If it has another shape (`shapes_disagree`).
        """
        (place, known), tensor = self._place(index), self._value(value)
        self._fits(tensor)
        if known is not None and (known < 0 or (known >= self._size and not self._dynamic)):
            raise OutOfRangeError(f"a TensorArray of size {self._size} has no place {known}")
        if self._buffer is None and known is not None:
            return self._with(_entries={**self._entries, known: tensor}, _size=max(self._size, known + 1))
        array = self._array(tensor._held.shape)
        if known is not None and known >= self._size:
            more = jnp.zeros((known + 1 - self._size, *array.shape[1:]), array.dtype)
            array = jnp.concatenate([array, more])
        new = compute(
            "TensorArrayWrite",
            lambda a, x, i: jax.lax.dynamic_update_index_in_dim(jnp.asarray(a), x, i, 0),
            wrap(array),
            tensor,
            place,
        )
        return self._with(_buffer=new._held, _entries={}, _size=new._held.shape[0])

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """Return the tensor in a place.

        Args:
            index: The number of the place.
            name: A name for the result.

        Raises:
            OutOfRangeError: If the number is known, and there is no such place (`out_of_range`).
            InvalidArgumentError: If nothing was written there, as far as that is known.
        """
        place, known = self._place(index)
        if known is not None and not 0 <= known < self._size:
            raise OutOfRangeError(f"a TensorArray of size {self._size} has no place {known}")
        if self._buffer is None and known is not None:
            if known not in self._entries:
                raise InvalidArgumentError(f"nothing was written to place {known} of the TensorArray")
            return self._entries[known]
        return gather(wrap(self._array()), place, name=name)

    def stack(self, name: str | None = None) -> Tensor:
        """Return all as one tensor with a new first axis.

        Args:
            name: A name for the result.

        Raises:
            InvalidArgumentError: If nothing was written, and the shape is not known (`invalid_argument`).
        """
        if self._buffer is None and self._size and len(self._entries) == self._size:
            return stack([self._entries[i] for i in range(self._size)], name=name or "stack")
        return wrap(self._array(), "TensorArrayGather", name)

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """Return the tensors in some places as one tensor.

        Args:
            indices: The numbers of the places, a vector.
            name: A name for the result.
        """
        return gather(self.stack(), indices, name=name)

    def concat(self, name: str | None = None) -> Tensor:
        """Return all joined along their first axis.

        Args:
            name: A name for the result.
        """
        if self._buffer is None and len(self._entries) == self._size and self._size:
            return concat([self._entries[i] for i in range(self._size)], 0, name or "concat")
        array = self._array()
        return compute(
            "TensorArrayConcat", lambda x: jnp.reshape(x, (-1, *x.shape[2:])), wrap(array), name=name
        )

    def unstack(self, value: Any, name: str | None = None) -> "TensorArray":
        """Return the TensorArray with the parts of a tensor along its first axis.

        Args:
            value: The tensor.
            name: Without meaning here.

        Raises:
            TensorValueError: If it has another size, or the parts another shape (`tensor_value`).
        """
        tensor = self._value(value)
        shape = tensor._held.shape
        if not shape or (shape[0] != self._size and not self._dynamic):
            raise TensorValueError(f"a tensor of shape {tensor.get_shape()} for {self._size} places")
        if not self._element.is_compatible_with(shape[1:]):
            raise TensorValueError(f"parts of shape {shape[1:]} in a TensorArray of {self._element}")
        return self._with(_buffer=tensor._held, _entries={}, _size=shape[0])

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> "TensorArray":
        """Return the TensorArray with the parts of a tensor in some places.

        Args:
            indices: The numbers of the places, a vector.
            value: The tensor.
            name: Without meaning here.
        """
        where, tensor = whole_numbers(indices), self._value(value)
        if where._held.ndim != 1 or tensor._held.shape[:1] != where._held.shape:
            raise TensorValueError(f"{where.get_shape()} places for a tensor of shape {tensor.get_shape()}")
        known = value_if_known(where)
        if self._dynamic and known is not None and known.size and known.max() >= self._size:
            return self._with(_size=int(known.max()) + 1).scatter(indices, value)
        check_indices(where, (self._size,))
        new = compute(
            "TensorArrayScatter",
            lambda a, i, x: jnp.asarray(a).at[i].set(x),
            wrap(self._array(tensor._held.shape[1:])),
            where,
            tensor,
        )
        return self._with(_buffer=new._held, _entries={})

    def split(self, value: Any, lengths: Any, name: str | None = None) -> "TensorArray":
        """Return the TensorArray with pieces of a tensor.

        Args:
            value: The tensor.
            lengths: How long the pieces are along the first axis, known while tracing.
            name: Without meaning here.

        Raises:
            TensorValueError: If the lengths do not go up (`tensor_value`).
        """
        tensor, sizes = self._value(value), static_ints(lengths, "lengths")
        if not tensor._held.ndim:
            raise TensorValueError("a scalar has no pieces")
        if sum(sizes) != tensor._held.shape[0] or (len(sizes) != self._size and not self._dynamic):
            raise TensorValueError(f"pieces of {sizes} of a tensor of shape {tensor.get_shape()}")
        ends = np.cumsum([0, *sizes])
        pieces = {i: tensor[int(ends[i]) : int(ends[i + 1])] for i in range(len(sizes))}
        return self._with(_entries=pieces, _buffer=None, _size=len(sizes))

    def size(self, name: str | None = None) -> Tensor:
        """Return how many places there are.

        Args:
            name: A name for the result.
        """
        return wrap(np.asarray(self._size, np.int32), "TensorArraySize", name)

    def identity(self) -> "TensorArray":
        """Return the TensorArray."""
        return self

    def close(self, name: str | None = None) -> Operation:
        """Return an operation that does nothing."""
        return Operation(name or "TensorArrayClose", "NoOp")

    def grad(self, source: Any, flow: Any = None, name: Any = None) -> NoReturn:
        """Refuse: gradients are of functions."""
        raise GraphLifeError("TensorArray.grad is of TensorFlow's graph, which is not here", fix="jax.grad")

    def __bool__(self) -> NoReturn:
        raise TensorTypeError("a TensorArray was used as a Python bool")


def _flatten(array: TensorArray) -> tuple[tuple[Any, ...], Any]:
    form = (array.dtype.name, array._size, array._dynamic, array._infer, array._element)
    if array._buffer is None and not array._entries and not array._element.is_fully_defined():
        return (), form
    return (array._array(),), form


def _unflatten(form: Any, leaves: Any) -> TensorArray:
    dtype, size, dynamic, infer, element = form
    made = TensorArray(dtype, size, dynamic, infer_shape=infer, element_shape=element)
    if leaves:
        buffer = leaves[0]
        made._buffer = buffer
        if hasattr(buffer, "shape") and len(buffer.shape):
            made._size = buffer.shape[0]
    return made


jax.tree_util.register_pytree_node(TensorArray, _flatten, _unflatten)
