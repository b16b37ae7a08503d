"""Windows that slide over images: strides, dilations, padding, formats, in all the forms that TF1 takes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from jaxscope.tf1.base.errors import TensorTypeError, TensorValueError
from jaxscope.tf1.base.operation import static_ints

__all__ = ["Pads", "Windows", "channels_last", "inner", "pads_of", "sized"]

#: "SAME", "VALID", or how much is padded before and after, along each axis that windows slide along.
Pads = str | tuple[tuple[int, int], ...]

_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def channels_last(data_format: Any, rank: int, *, also: Sequence[str] = ()) -> bool:
    """Tell whether the channels are the last axis; None is the format with channels last.

    Args:
        data_format: What the user gave.
        rank: The number of axes that windows slide along.
        also: Formats of another rank that are taken, too: with channels last, and after the batch.

    Raises:
        TensorValueError: If there is no such format (`tensor_value`).
    """
    formats = (*_FORMATS[rank], *also)
    if data_format is None:
        return True
    text = data_format.decode() if isinstance(data_format, bytes) else data_format
    if text not in formats:
        raise TensorValueError(f"data_format must be one of {', '.join(formats)}, not {data_format!r}")
    return str(text).endswith("C")


def sized(value: Any, rank: int, argument: str, *, last: bool, whole: bool = False) -> tuple[int, ...]:
    """Return a size for each axis of an input, from one number, one for each inner axis, or one for each.

    Args:
        value: What the user gave; None for ones.
        rank: The number of axes that windows slide along.
        argument: The argument's name, for errors.
        last: Whether the channels are the last axis.
        whole: Whether only one for each axis is allowed, in a list.

    Raises:
        TensorValueError: If there are too many or too few, or one is not positive (`tensor_value`).
        TensorTypeError: If they are no whole numbers, or no list where one is asked for (`tensor_type`).
    """
    if value is None and not whole:
        value = 1
    if whole and not isinstance(value, list | tuple):
        raise TensorTypeError(f"{argument} must be a list of {rank + 2} numbers, not {value!r}")
    numbers = static_ints(value, argument)
    if len(numbers) == 1 and not whole:
        numbers = numbers * rank
    if len(numbers) == rank and not whole:
        numbers = (1, *numbers, 1) if last else (1, 1, *numbers)
    if len(numbers) != rank + 2:
        forms = f"{rank + 2}" if whole else f"1, {rank} or {rank + 2}"
        raise TensorValueError(f"{argument} must have {forms} numbers, not {len(numbers)}")
    if min(numbers) < 1:
        raise TensorValueError(f"{argument} must be positive, and is {list(numbers)}")
    return numbers


class Windows(NamedTuple):
    """How windows slide along the inner axes of an input, those that are neither batch nor channels.

    Attributes:
        strides: From a window to the next, along each inner axis.
        dilations: From an element of a window to the next.
        pads: The padding.
        last: Whether the channels are the last axis.
    """

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads
    last: bool

    @classmethod
    def of(
        cls,
        rank: int,
        strides: Any,
        padding: Any,
        data_format: Any = None,
        dilations: Any = None,
        *,
        whole: bool = False,
        explicit: bool = True,
        also: Sequence[str] = (),
    ) -> "Windows":
        """Return the windows that TF1's arguments speak of.

        Args:
            rank: The number of inner axes.
            strides: A number, a list of one for each inner axis, or of one for each axis.
            padding: "SAME", "VALID", or a list of pairs for each axis.
            data_format: As in `channels_last`.
            dilations: Like strides.
            whole: Whether strides must be one for each axis.
            explicit: Whether padding may be a list.
            also: As in `channels_last`.

        Raises:
            TensorValueError: If an argument has no meaning (`tensor_value`).
            TensorTypeError: If one is of a wrong type (`tensor_type`).
        """
        if not isinstance(padding, str | bytes | list | tuple):  # types come before values
            raise TensorTypeError(f'padding must be "SAME" or "VALID", not {padding!r}')
        last = channels_last(data_format, rank, also=also)
        steps = inner(sized(strides, rank, "strides", last=last, whole=whole), "strides", last=last)
        gaps = inner(sized(dilations, rank, "dilations", last=last), "dilations", last=last)
        return cls(steps, gaps, pads_of(padding, rank, last=last, explicit=explicit), last)

    @property
    def axes(self) -> str:
        """JAX's letters of the axes of an input."""
        return f"N{self.letters}C" if self.last else f"NC{self.letters}"

    @property
    def letters(self) -> str:
        """JAX's letters of the inner axes."""
        return "DHW"[3 - len(self.strides) :]

    def inner_of(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the sizes of the inner axes."""
        return tuple(shape[1:-1] if self.last else shape[2:])

    def channels_of(self, shape: Sequence[int]) -> int:
        """Return the number of channels."""
        return shape[-1 if self.last else 1]

    def counts(self, kind: str, sizes: Sequence[int], window: Sequence[int]) -> tuple[int, ...]:
        """Return how many windows there are along each inner axis.

        Raises:
            TensorValueError: If a window does not fit in (`window_too_large`).
        """
        found: list[int] = []
        pads = self.pads_for(sizes, window)
        for size, edge, step, gap, pad in zip(sizes, window, self.strides, self.dilations, pads, strict=True):
            span = (edge - 1) * gap + 1
            room = size + sum(pad) - span
            if room < 0 and self.pads != "SAME":
                raise TensorValueError(
                    f"{kind}: a window of {span} does not fit into {size + sum(pad)}",
                    code="window_too_large",
                    fix='padding="SAME", smaller windows, or a larger input',
                )
            found.append(math.ceil(size / step) if self.pads == "SAME" else room // step + 1)
        return tuple(found)

    def pads_for(self, sizes: Sequence[int], window: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Return how much is padded before and after, along each inner axis; the odd one comes after."""
        if not isinstance(self.pads, str):
            return self.pads
        if self.pads == "VALID":
            return ((0, 0),) * len(window)
        pads: list[tuple[int, int]] = []
        for size, edge, step, gap in zip(sizes, window, self.strides, self.dilations, strict=True):
            missing = max((math.ceil(size / step) - 1) * step + (edge - 1) * gap + 1 - size, 0)
            pads.append((missing // 2, missing - missing // 2))
        return tuple(pads)


def inner(numbers: tuple[int, ...], argument: str, *, last: bool) -> tuple[int, ...]:
    """Return the sizes for the inner axes; those for batch and channels must be 1."""
    outer, kept = ((numbers[0], numbers[-1]), numbers[1:-1]) if last else (numbers[:2], numbers[2:])
    if outer != (1, 1):
        raise TensorValueError(f"{argument} must be 1 along batch and channels, and is {list(numbers)}")
    return kept


def pads_of(padding: Any, rank: int, *, last: bool, explicit: bool) -> Pads:
    """Return the padding that was given.

    Raises:
        TensorTypeError: If it is neither a string nor a list (`tensor_type`).
        TensorValueError: If it has no meaning (`tensor_value`).
    """
    if isinstance(padding, bytes):
        padding = padding.decode()
    if isinstance(padding, str):
        if padding not in {"SAME", "VALID"}:
            raise TensorValueError(f'padding must be "SAME" or "VALID", not {padding!r}')
        return padding
    if not isinstance(padding, list | tuple):
        raise TensorTypeError(f'padding must be "SAME" or "VALID", not {padding!r}')
    if not explicit:
        raise TensorTypeError('padding must be "SAME" or "VALID" here, not a list')
    pairs = [static_ints(pair, "padding") for pair in cast("Sequence[Any]", padding)]
    if len(pairs) != rank + 2 or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise TensorValueError(f"padding must have two numbers for each of {rank + 2} axes, not {padding!r}")
    outer, kept = ((pairs[0], pairs[-1]), pairs[1:-1]) if last else (tuple(pairs[:2]), pairs[2:])
    if any(map(any, outer)):
        raise TensorValueError(f"batch and channels cannot be padded, as in {padding!r}")
    return tuple((pair[0], pair[1]) for pair in kept)
