"""`tf.Dimension` and `tf.TensorShape`."""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export

__all__ = ["Dimension", "TensorShape", "dimension_value"]


@export("Dimension")
class Dimension:
    """One size of a shape: a number, or None where it is not known.

    Args:
        value: A number, None, or a `Dimension`.

    Raises:
        TensorValueError: If it is negative (`tensor_value`).
        TensorTypeError: If it is no number (`tensor_type`).

    Example:
        >>> Dimension(3) == 3, Dimension(3) * 2, Dimension(None) == 3
        (True, Dimension(6), None)
    """

    __slots__ = ("_value",)

    _value: Any

    def __init__(self, value: Any) -> None:
        if isinstance(value, Dimension):
            value = value._value
        if value is not None:
            try:
                value = operator.index(value)
            except TypeError:
                raise TensorTypeError(f"a dimension is a number or None, not {value!r}") from None
            if value < 0:
                raise TensorValueError(f"a dimension is not negative, as {value} is")
        self._value = value

    @property
    def value(self) -> Any:
        """The number, or None."""
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        """Whether both are equal, or one is unknown."""
        other = Dimension(other)
        return self._value is None or other._value is None or self._value == other._value

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise `ValueError` unless both are equal, or one is unknown."""
        if not self.is_compatible_with(other):
            raise TensorValueError(f"dimensions {self} and {Dimension(other)} are not compatible")

    def merge_with(self, other: Any) -> "Dimension":
        """Return what is known of both."""
        self.assert_is_compatible_with(other)
        return Dimension(other) if self._value is None else Dimension(self._value)

    def __int__(self) -> int:
        return self._known()

    def __long__(self) -> int:
        return self._known()

    def __index__(self) -> int:
        return self._known()

    def _known(self) -> int:
        if self._value is None:
            raise TensorTypeError("the number of an unknown dimension was asked for")
        return int(self._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def _compare(self, compare: Callable[[Any, Any], bool], other: Any) -> Any:
        try:
            other = Dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other._value is None:
            return None
        return compare(self._value, other._value)

    def __eq__(self, other: object) -> Any:
        return self._compare(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compare(operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compare(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compare(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compare(operator.ge, other)

    def _combine(self, function: Callable[[int, int], int], other: Any, *, swapped: bool = False) -> Any:
        try:
            other = Dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        pair = (other._value, self._value) if swapped else (self._value, other._value)
        return Dimension(None if None in pair else function(*pair))

    def __add__(self, other: Any) -> Any:
        return self._combine(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._combine(operator.add, other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._combine(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._combine(operator.sub, other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._combine(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._combine(operator.mul, other, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._combine(operator.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._combine(operator.floordiv, other, swapped=True)

    def __mod__(self, other: Any) -> Any:
        return self._combine(operator.mod, other)

    def __rmod__(self, other: Any) -> Any:
        return self._combine(operator.mod, other, swapped=True)

    def __truediv__(self, other: Any) -> Any:
        raise TensorTypeError(f"{self!r} / {other!r}: dimensions are whole", fix="write // instead of /")

    def __rtruediv__(self, other: Any) -> Any:
        raise TensorTypeError(f"{other!r} / {self!r}: dimensions are whole", fix="write // instead of /")


@export("dimension_value", "compat.dimension_value", "compat.v1.dimension_value")
def dimension_value(dimension: Any) -> Any:
    """Return the number of a `Dimension`; what is none comes back as it is.

    Args:
        dimension: A `Dimension`, a number or None.

    Returns:
        The number, or None.

    Example:
        >>> dimension_value(Dimension(3))
        3
    """
    return dimension.value if isinstance(dimension, Dimension) else dimension


@export("TensorShape")
class TensorShape:
    """A shape: dimensions, each known or not, or nothing known at all.

    Tensors here have shapes that are known in full, as all shapes are in a traced program.

    Args:
        dims: Numbers, Nones or dimensions; one number; a shape; None for one of which nothing is known.

    Raises:
        TensorValueError: If a size is negative (`tensor_value`).
        TensorTypeError: If a size is no number (`tensor_type`).

    Example:
        >>> shape = TensorShape([2, None])
        >>> shape.merge_with([None, 3]).as_list(), shape == [2, None], shape[0].value
        ([2, 3], True, 2)
    """

    __slots__ = ("_dims",)
    _dims: tuple[Dimension, ...] | None

    def __init__(self, dims: Any) -> None:
        if dims is None:
            self._dims = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        else:
            try:
                sizes = tuple(dims)
            except TypeError:
                sizes = (dims,)
            self._dims = tuple(Dimension(size) for size in sizes)

    @property
    def dims(self) -> list[Dimension] | None:
        """The dimensions, or None where nothing is known."""
        return None if self._dims is None else list(self._dims)

    @property
    def ndims(self) -> int | None:
        """The number of dimensions, or None."""
        return None if self._dims is None else len(self._dims)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, or None."""
        return self.ndims

    def _sure(self, what: str) -> tuple[Dimension, ...]:
        if self._dims is None:
            raise TensorValueError(f"{what} of a shape of unknown rank was asked for")
        return self._dims

    def as_list(self) -> list[Any]:
        """Return the sizes as a list of numbers and Nones."""
        return [size.value for size in self._sure("the list")]

    def num_elements(self) -> int | None:
        """Return the number of elements, or None if it is not known."""
        if not self.is_fully_defined():
            return None
        return math.prod(int(size) for size in self._sure("the size"))

    def is_fully_defined(self) -> bool:
        """Whether each size is known."""
        return self._dims is not None and all(size.value is not None for size in self._dims)

    def assert_is_fully_defined(self) -> None:
        """Raise `ValueError` unless each size is known."""
        if not self.is_fully_defined():
            raise TensorValueError(f"shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one shape could be both."""
        other = TensorShape(other)
        if self._dims is None or other._dims is None:
            return True
        return len(self._dims) == len(other._dims) and all(
            mine.is_compatible_with(its) for mine, its in zip(self._dims, other._dims, strict=True)
        )

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise `ValueError` unless one shape could be both."""
        if not self.is_compatible_with(other):
            raise TensorValueError(f"shapes {self} and {TensorShape(other)} are not compatible")

    def assert_same_rank(self, other: Any) -> None:
        """Raise `ValueError` unless both have as many dimensions, as far as is known."""
        other = TensorShape(other)
        if None not in {self.ndims, other.ndims} and self.ndims != other.ndims:
            raise TensorValueError(f"shapes {self} and {other} must have the same rank")

    def merge_with(self, other: Any) -> "TensorShape":
        """Return what is known of both."""
        other = TensorShape(other)
        self.assert_is_compatible_with(other)
        if self._dims is None or other._dims is None:
            return other if self._dims is None else self
        return TensorShape([mine.merge_with(its) for mine, its in zip(self._dims, other._dims, strict=True)])

    def concatenate(self, other: Any) -> "TensorShape":
        """Return the sizes of this one and then of the other."""
        other = TensorShape(other)
        if self._dims is None or other._dims is None:
            return TensorShape(None)
        return TensorShape(self._dims + other._dims)

    def assert_has_rank(self, rank: Any) -> None:
        """Raise `ValueError` unless there are so many dimensions, as far as is known."""
        if self.ndims not in {None, rank}:
            raise TensorValueError(f"shape {self} must have rank {rank}")

    def with_rank(self, rank: Any) -> "TensorShape":
        """Return a shape of so many dimensions, this one."""
        self.assert_has_rank(rank)
        return TensorShape([None] * rank) if self._dims is None else self

    def with_rank_at_least(self, rank: Any) -> "TensorShape":
        """Return the shape if it has at least so many dimensions, as far as is known."""
        if self.ndims is not None and self.ndims < rank:
            raise TensorValueError(f"shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: Any) -> "TensorShape":
        """Return the shape if it has at most so many dimensions, as far as is known."""
        if self.ndims is not None and self.ndims > rank:
            raise TensorValueError(f"shape {self} must have rank at most {rank}")
        return self

    def __len__(self) -> int:
        return len(self._sure("the length"))

    def __bool__(self) -> bool:
        return self._dims is not None

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self._sure("the dimensions"))

    def __getitem__(self, key: Any) -> Any:
        if self._dims is not None:
            return TensorShape(self._dims[key]) if isinstance(key, slice) else self._dims[key]
        if not isinstance(key, slice):
            return Dimension(None)
        start, stop = key.start or 0, key.stop
        if key.step is not None or stop is None or start < 0 or stop < 0:
            return TensorShape(None)
        return TensorShape([None] * max(stop - start, 0))

    def __add__(self, other: Any) -> "TensorShape":
        return self.concatenate(other)

    def __radd__(self, other: Any) -> "TensorShape":
        return TensorShape(other).concatenate(self)

    def __eq__(self, other: object) -> bool:
        try:
            return self._numbers() == TensorShape(other)._numbers()
        except (TypeError, ValueError):
            return NotImplemented

    def _numbers(self) -> tuple[Any, ...] | None:
        return None if self._dims is None else tuple(size.value for size in self._dims)

    def __hash__(self) -> int:
        return hash(self._numbers())

    def __repr__(self) -> str:
        return f"TensorShape({self._dims if self._dims is None else list(self._dims)})"

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        return f"({', '.join(map(str, self._dims))}{',' * (len(self._dims) == 1)})"
