"""`tf.float32` and its like: dtypes that are equal to NumPy's and JAX's, and to their names."""

import functools
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.errors import TensorTypeError
from jaxscope.tf1.base.exporting import export, export_constant

__all__ = ["DType", "as_dtype", "canonical"]

_NAMES = [
    "float16",
    "float32",
    "float64",
    "bfloat16",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
]


@export("DType", "dtypes.DType")
class DType:
    """A dtype of TensorFlow's, also where NumPy or JAX take one.

    Without 64-bit types, `int64`, `uint64`, `float64`, `complex128` stand for the types of half the size in
    all that is computed, as they do in JAX.

    Attributes:
        name: Its name: `"float32"`.
        dtype: NumPy's, so that `numpy.dtype(tf.float32)` and `jnp.zeros(3, tf.float32)` understand it.
        is_floating: Whether it is of real numbers.

    Example:
        >>> as_dtype("float32") == np.float32
        True
    """

    __slots__ = ("dtype", "is_floating", "name")
    known: ClassVar[dict[str, "DType"]] = {}
    name: str
    dtype: np.dtype[Any]
    is_floating: bool

    def __new__(cls, name: str, dtype: Any) -> "DType":  # noqa: PYI034
        """Return the one object of that name."""
        if name not in cls.known:
            made = cls.known[name] = object.__new__(cls)
            made.name, made.dtype = name, np.dtype(dtype)
            made.is_floating = name != "string" and bool(jnp.issubdtype(made.dtype, jnp.floating))
        return cls.known[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy's scalar type: `np.float32`."""
        return self.dtype.type

    @property
    def base_dtype(self) -> "DType":
        """The dtype itself: there are no references here."""
        return self

    @property
    def real_dtype(self) -> "DType":
        """The dtype of the real part."""
        return {"complex64": as_dtype("float32"), "complex128": as_dtype("float64")}.get(self.name, self)

    @property
    def is_integer(self) -> bool:
        """Whether it is of whole numbers."""
        return self.dtype.kind in "iu"

    @property
    def is_bool(self) -> bool:
        """Whether it is of truth values."""
        return self.dtype.kind == "b"

    @property
    def is_complex(self) -> bool:
        """Whether it is of complex numbers."""
        return self.dtype.kind == "c"

    @property
    def is_unsigned(self) -> bool:
        """Whether it is of whole numbers without a sign."""
        return self.dtype.kind == "u"

    @property
    def is_numpy_compatible(self) -> bool:
        """Whether NumPy has it, as it has all."""
        return True

    @property
    def min(self) -> Any:
        """The least finite number, as NumPy's."""
        return self._limit("min")

    @property
    def max(self) -> Any:
        """The greatest finite number, as NumPy's."""
        return self._limit("max")

    @property
    def limits(self) -> tuple[Any, Any]:
        """The least and the greatest finite number."""
        return self.min, self.max

    @property
    def size(self) -> int:
        """Bytes of one number."""
        return 1 if self.name == "string" else self.dtype.itemsize

    def _limit(self, which: str) -> Any:
        if self.is_bool:
            return which == "max"
        if self.is_floating:
            return getattr(cast("Any", jnp.finfo)(self.dtype), which)
        if self.is_integer:
            return self.dtype.type(getattr(np.iinfo(self.dtype), which))
        raise TensorTypeError(f"{self.name} has no {which}: there is no order of its values")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor of the other dtype may stand where this one is asked for."""
        return as_dtype(other) is self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return other is self
        if other is None:
            return False
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __int__(self) -> int:
        return list(DType.known).index(self.name)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"


for _name in _NAMES:
    export_constant(DType(_name, getattr(jnp, _name)), _name, f"dtypes.{_name}")
_STRING = export_constant(DType("string", object), "string", "dtypes.string")
#: The dtypes by NumPy's, which are those of arrays.
BY_NUMPYS: dict[Any, DType] = {dtype.dtype: dtype for dtype in DType.known.values()}


@functools.lru_cache(maxsize=256)
def _of(value: Any) -> DType:
    dtype = np.dtype(value)
    if dtype.kind in "OSU":
        return _STRING
    return DType.known[dtype.name]


@export("as_dtype", "dtypes.as_dtype")
def as_dtype(type_value: Any) -> DType:
    """Return TensorFlow's dtype of a name, a dtype of NumPy's or JAX's, or a Python type.

    Args:
        type_value: What says it: `"float32"`, `np.float32`, `jnp.bfloat16`, `float`, a `DType`.

    Returns:
        The `DType`.

    Raises:
        TensorTypeError: If it is no dtype that TensorFlow 1 has (`tensor_type`).

    Example:
        >>> as_dtype(np.int32)
        tf.int32
    """
    if isinstance(type_value, DType):
        return type_value
    if isinstance(type_value, str):
        if type_value in DType.known:
            return DType.known[type_value]
        if type_value.endswith("_ref"):
            return as_dtype(type_value[:-4])
    if type_value is float:  # TensorFlow's default, other than NumPy's
        return DType.known["float32"]
    if type_value is int:
        return DType.known["int32"]
    try:
        return _of("None" if type_value is None else type_value)  # which NumPy takes for float64
    except (TypeError, KeyError):
        raise TensorTypeError(f"{type_value!r} is no dtype of TensorFlow 1's") from None


def canonical(dtype: Any) -> DType:
    """Return the dtype that arrays get: of 32 bits, where 64-bit types are off."""
    dtype = as_dtype(dtype)
    return dtype if dtype is _STRING else _of(jax.dtypes.canonicalize_dtype(dtype.dtype))
