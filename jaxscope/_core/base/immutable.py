"""Values: small immutable objects that are equal where their class and what they compare are."""

from typing import Any

from jaxscope._core.base.describe import shown


class Value:
    """An immutable value, whose attributes are what its constructor sets, each once.

    What a frozen dataclass is, but without code that is compiled for each class, which took longer than
    all the rest of `import jaxscope`.

    Example:
        >>> class scaled(Value):
        ...     def __init__(self, by: float = 1.0) -> None:
        ...         self.by = float(by)
        >>> scaled(2), scaled(2) == scaled(2.0), len({scaled(2), scaled(3)})
        (scaled(by=2.0), True, 2)
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            raise AttributeError(f"{shown(self)} is immutable")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{shown(self)} is immutable")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )

    def _compared(self) -> tuple[Any, ...]:
        """Return what is equal where two values are."""
        return tuple(vars(self).items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value) or type(self) is not type(other):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), *self._compared()))
