"""`tf.Tensor`: an array with TensorFlow's manners, and with its numbers where these are known while tracing.

A tensor holds one array. If that is a NumPy array, or a JAX array that is no tracer, its numbers are *known*.
A tensor computed of known ones alone remembers how (`operation.compute`), and is known too: it computes
its numbers when asked, outside of the trace.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import jax
import numpy as np
from jax.core import Tracer

from jaxscope.tf1.base.dtypes import BY_NUMPYS, DType, as_dtype
from jaxscope.tf1.base.errors import (
    GraphLifeError,
    TensorArrayConversionError,
    TensorTypeError,
)
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.pending import settled
from jaxscope.tf1.base.shapes import TensorShape

__all__ = ["Operation", "Tensor", "is_tensor", "known_value", "wrap"]

#: An array that a tensor may hold.
Held = Any


@export("Operation")
class Operation:
    """What made a tensor, as far as a program asks for it: its name and its type.

    Attributes:
        name: The name, without `:0`.
        type: The kind of operation: `"MatMul"`.
        outputs: What it made, where that is known.
        device: Always `""`: JAX places programs as wholes.
    """

    device = ""

    def __init__(self, name: str, kind: str, outputs: tuple[Any, ...] = ()) -> None:
        self.name, self.type, self.outputs = name, kind, list(outputs)

    def run(self, feed_dict: Any = None, session: Any = None) -> NoReturn:
        """Refuse: there are no sessions."""
        raise GraphLifeError("Operation.run needs a session, and there is none", fix="call net.apply")

    def __repr__(self) -> str:
        return f"<tf.Operation {self.name!r} type={self.type}>"


@export("Tensor")
class Tensor:
    """An array with TensorFlow's manners: a static shape, strict dtypes, operators; immutable.

    It is made by operations, never by its class. It is a pytree of one leaf, the array, and so goes through
    `jax.jit`, `jax.grad` and the rest; `jax.numpy` takes it as it is. `==` is identity, as in TF1.

    Attributes:
        device: Always `""`: JAX places programs as wholes.
        value_index: Always 0.
    """

    __slots__ = ("__weakref__", "_compute", "_held", "_kind", "_name")
    __array_priority__ = 100  # NumPy arrays on the left of an operator leave it to the tensor
    device = ""
    value_index = 0
    _held: Held
    _compute: Callable[[], Any] | None
    _kind: str
    _name: str | None

    def __init__(self, *_: object, **__: object) -> None:
        raise TensorTypeError("a Tensor is not made by its class", fix="tf.convert_to_tensor(value)")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Tensor is immutable: {name} cannot be set")

    @property
    def shape(self) -> TensorShape:
        """The shape, known in full."""
        return TensorShape(self._held.shape)

    def get_shape(self) -> TensorShape:
        """Return the shape, known in full."""
        return TensorShape(self._held.shape)

    def set_shape(self, shape: Any) -> None:
        """Check that the shape is one that `shape` allows; raise `ValueError` if not."""
        self.get_shape().merge_with(shape)

    @property
    def dtype(self) -> DType:
        """The dtype."""
        dtype = self._held.dtype
        return BY_NUMPYS.get(dtype) or as_dtype(dtype)

    @property
    def name(self) -> str:
        """The name that was given, or the kind of operation, and `:0`. Names are not numbered."""
        return f"{self._name or self._kind}:0"

    @property
    def op(self) -> Operation:
        """What made it."""
        return Operation(self._name or self._kind, self._kind, (self,))

    def eval(self, feed_dict: Any = None, session: Any = None) -> NoReturn:
        """Refuse: there are no sessions."""
        raise GraphLifeError(
            "Tensor.eval needs a session, and there is none",
            fix="return the tensor from the model and call net.apply(variables, ...)",
        )

    def consumers(self) -> list[Any]:
        """Return nothing: a trace does not know what comes after."""
        return []

    def __jax_array__(self) -> jax.Array:
        return self._held if isinstance(self._held, jax.Array) else jax.numpy.asarray(settled(self._held))

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TensorArrayConversionError(
            "a Tensor was given to NumPy, which needs its values",
            fix="tf.* instead of np.*; tf.contrib.util.constant_value(x) has numbers known while tracing",
            tensor=repr(self),
        )

    if TYPE_CHECKING:  # put there by `ops/operators.py`

        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __floordiv__(self, other: Any) -> "Tensor": ...
        def __rfloordiv__(self, other: Any) -> "Tensor": ...
        def __mod__(self, other: Any) -> "Tensor": ...
        def __rmod__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __rmatmul__(self, other: Any) -> "Tensor": ...
        def __and__(self, other: Any) -> "Tensor": ...
        def __rand__(self, other: Any) -> "Tensor": ...
        def __or__(self, other: Any) -> "Tensor": ...
        def __ror__(self, other: Any) -> "Tensor": ...
        def __xor__(self, other: Any) -> "Tensor": ...
        def __rxor__(self, other: Any) -> "Tensor": ...
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...
        def __getitem__(self, other: Any) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __invert__(self) -> "Tensor": ...

    def __bool__(self) -> NoReturn:
        raise TensorTypeError(
            "a Tensor was used as a Python bool",
            code="tensor_as_bool",
            fix="`if x is not None:` to ask whether it is there, tf.cond(x, ...) to branch on its value",
        )

    def __len__(self) -> NoReturn:
        raise TensorTypeError(
            "a Tensor has no len()", code="tensor_len", fix="x.shape[0].value, or tf.shape(x)[0]"
        )

    def __iter__(self) -> Iterator[Any]:
        raise TensorTypeError(
            "a Tensor was iterated over", code="tensor_iter", fix="tf.unstack(x), or tf.map_fn"
        )

    def __int__(self) -> NoReturn:
        self._no_number("int")

    def __float__(self) -> NoReturn:
        self._no_number("float")

    def __index__(self) -> int:
        value = known_value(self)
        if value is None or value.ndim or value.dtype.kind not in "iu":
            self._no_number("index")
        return int(value)

    def _no_number(self, what: str) -> NoReturn:
        raise TensorTypeError(
            f"a Tensor was used as a Python {what}", fix="tf.cast(x, dtype)", tensor=repr(self)
        )

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        if not hasattr(self._held, "dtype"):  # JAX puts other things into the leaves of trees
            return f"<tf.Tensor of {self._held!r}>"
        return f"<tf.Tensor {self.name!r} shape={self.get_shape()} dtype={self.dtype.name}>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a Tensor has no attribute {name!r}, as TensorFlow 1's have not")

    def __copy__(self) -> "Tensor":
        return self

    def __deepcopy__(self, memo: Any) -> "Tensor":
        return self


_slots: Any = vars(Tensor)  # which a tensor's own __setattr__ does not set
_put_held, _put_kind = _slots["_held"].__set__, _slots["_kind"].__set__
_put_name, _put_compute = _slots["_name"].__set__, _slots["_compute"].__set__


def wrap(
    array: Held, kind: str = "Tensor", name: str | None = None, compute: Callable[[], Any] | None = None
) -> Tensor:
    """Return a tensor that holds an array, which is taken as it is.

    Args:
        array: A JAX array, a tracer, or a NumPy array of a dtype that JAX has.
        kind: The kind of operation that made it.
        name: The name that the user gave.
        compute: What gives its numbers, as a NumPy array, or None if they are not known after all.
    """
    self = object.__new__(Tensor)
    _put_held(self, array)
    _put_kind(self, kind)
    _put_name(self, name.rstrip("/") if isinstance(name, str) else None)
    _put_compute(self, compute)
    return self


def known_value(tensor: Tensor) -> np.ndarray[Any, Any] | None:
    """Return the numbers of a tensor that are known while tracing, or None."""
    if isinstance(tensor._held, np.ndarray | np.generic):
        return np.asarray(tensor._held)
    if tensor._compute is not None:
        value: np.ndarray[Any, Any] | None = tensor._compute()
        object.__setattr__(tensor, "_compute", None if value is None else lambda: value)
        return value
    if isinstance(tensor._held, jax.Array) and not isinstance(tensor._held, Tracer):
        return np.asarray(tensor._held)
    return None


@export("is_tensor", "contrib.framework.is_tensor", "debugging.is_tensor")
def is_tensor(x: Any) -> bool:
    """Return whether this is a tensor or a variable.

    Args:
        x: Anything.

    Example:
        >>> is_tensor(1.0)
        False
    """
    return isinstance(x, Tensor) or hasattr(type(x), "__tf_tensor__")


def _unflatten(_: None, leaves: Any) -> Tensor:
    return wrap(leaves[0])


jax.tree_util.register_pytree_node(Tensor, lambda tensor: ((tensor._held,), None), _unflatten)


def operator(name: str, function: Callable[..., Any]) -> None:
    """Let `function` be an operator of tensors: `operator("__add__", add)`."""
    setattr(Tensor, name, function)
