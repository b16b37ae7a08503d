"""Windows that slide over an image: their sizes, strides and padding, and the axes that they slide along."""

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import jax

from jaxscope.layers.call import LayerCall

#: One whole number for all axes, or one for each.
Sizes = int | Iterable[int]


def sizes(value: Sizes, rank: int, name: str) -> tuple[int, ...]:
    """Return one size for each of `rank` axes."""
    try:
        given = tuple(map(operator.index, cast(Any, value))) if isinstance(value, Iterable) else None
        given = (operator.index(cast(Any, value)),) * rank if given is None else given
    except TypeError:
        given = ()
    if len(given) != rank or min(given) < 1:
        raise ValueError(f"{name} must be a whole number above 0, or {rank} of them, not {value!r}")
    return given


def channels_last(data_format: str) -> bool:
    """Tell whether the channels are the last axis, or the one after the batch."""
    if data_format not in {"channels_last", "channels_first"}:
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first', not {data_format!r}")
    return data_format == "channels_last"


class Windows(NamedTuple):
    """Windows that slide along `len(size)` axes of an input, which has a batch axis and channels besides.

    Attributes:
        size: Of a window, along each axis.
        strides: From a window to the next one.
        dilation: From an element of a window to the next one.
        padding: "valid", "same" or "causal".
        last: Whether the channels are the last axis, or the one after the batch.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    last: bool

    @classmethod
    def of(
        cls,
        rank: int,
        size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: str,
        dilation: Sizes = 1,
        paddings: Sequence[str] = ("valid", "same"),
    ) -> "Windows":
        """Return the windows that TF1's arguments speak of.

        Raises:
            ValueError: They have no meaning, or TF1 has none for them together.
        """
        if not isinstance(cast(object, padding), str) or padding.lower() not in paddings:
            raise ValueError(f"padding must be one of {', '.join(map(repr, paddings))}, not {padding!r}")
        windows = cls(
            sizes(size, rank, "the size of a window"),
            sizes(strides, rank, "strides"),
            sizes(dilation, rank, "dilation_rate"),
            padding.lower(),
            channels_last(data_format),
        )
        if max(windows.strides) > 1 and max(windows.dilation) > 1:
            raise ValueError(f"strides={strides!r} and dilation_rate={dilation!r} cannot both be above 1")
        return windows

    @property
    def axes(self) -> str:
        """The axes of an input, by JAX's letters for them."""
        inner = "DHW"[3 - len(self.size) :]
        return f"N{inner}C" if self.last else f"NC{inner}"

    @property
    def dimension_numbers(self) -> tuple[str, str, str]:
        """The axes of an input, of a kernel (`[*size, in, out]`) and of a result."""
        return self.axes, "DHW"[3 - len(self.size) :] + "IO", self.axes

    def check(self, call: LayerCall) -> int:
        """Return the number of channels; raise `InvalidShapeError` unless the input has the right axes."""
        names = {"N": "batch", "C": "channels", "D": "depth", "H": "height", "W": "width"}
        call.expect_rank(len(self.size) + 2, f"[{', '.join(names[letter] for letter in self.axes)}]")
        return call.inputs.shape[-1 if self.last else 1]

    def pads(self, call: LayerCall) -> list[tuple[int, int]]:
        """Return how much to pad each axis that the windows slide along, before and after.

        "same" gives `ceil(axis / stride)` results, and pads more at the end where the number is odd. "causal"
        pads the start alone, so that a result depends on nothing that comes after it.

        Raises:
            InvalidShapeError: A window does not fit in without padding.
        """
        inner = self.inner(call.inputs.shape)
        spans = [(size - 1) * gap + 1 for size, gap in zip(self.size, self.dilation, strict=True)]
        if self.padding == "same":
            results = [math.ceil(axis / step) for axis, step in zip(inner, self.strides, strict=True)]
            whole = zip(results, self.strides, spans, inner, strict=True)
            missing = [max((count - 1) * step + span - axis, 0) for count, step, span, axis in whole]
            return [(pad // 2, pad - pad // 2) for pad in missing]
        if self.padding == "causal":
            return [(span - 1, 0) for span in spans]
        if any(axis < span for axis, span in zip(inner, spans, strict=True)):
            raise call.wrong_shape(
                f"has windows of {spans}, larger than the {list(inner)} that they slide over",
                'pass padding="same", smaller windows, or a larger input',
            )
        return [(0, 0)] * len(self.size)

    def inner(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the sizes of the axes that the windows slide along."""
        return tuple(shape[1:-1] if self.last else shape[2:])

    def whole(self, inner: Iterable[Any], outer: Any) -> tuple[Any, ...]:
        """Return something for each axis of an input: `inner` for those that the windows slide along."""
        return (outer, *inner, outer) if self.last else (outer, outer, *inner)

    def add_bias(self, outputs: jax.Array, bias: jax.Array | None) -> jax.Array:
        """Return outputs with a bias for each channel, if there is one."""
        if bias is None:
            return outputs
        ones = (1,) * len(self.size)
        return outputs + bias.reshape((1, *ones, -1) if self.last else (1, -1, *ones))
