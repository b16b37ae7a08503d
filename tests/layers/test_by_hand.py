"""Convolutions and pooling are what their formulas say, for options drawn at random."""

import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from tests.layers import by_hand
from tests.layers.at_once import at_once

#: How a layer is called, what it computes by hand, the axes that windows slide along, and what else it takes.
KINDS = {
    **{
        f"conv{rank}d": (lambda x, v, o: by_hand.convolution(x, v["kernel"], *o[1:]), rank, ["filters"])
        for rank in (1, 2, 3)
    },
    **{
        f"conv{rank}d_transpose": (
            lambda x, v, o: by_hand.transposed(x, v["kernel"], o[1], o[3]),
            rank,
            ["filters"],
        )
        for rank in (2, 3)
    },
    "depthwise_conv2d": (
        lambda x, v, o: by_hand.depthwise(x, v["depthwise_kernel"], *o[1:]),
        2,
        ["depth_multiplier"],
    ),
    **{
        f"separable_conv{rank}d": (
            lambda x, v, o: (
                by_hand.depthwise(x, v["depthwise_kernel"], *o[1:])
                @ v["pointwise_kernel"].squeeze((*range(len(o[0])),))
            ),
            rank,
            ["filters", "depth_multiplier"],
        )
        for rank in (1, 2)
    },
    **{
        f"max_pooling{rank}d": (lambda x, v, o: by_hand.pooled(x, o[0], o[1], o[3], np.nanmax), rank, [])
        for rank in (1, 2, 3)
    },
    **{
        f"average_pooling{rank}d": (lambda x, v, o: by_hand.pooled(x, o[0], o[1], o[3], np.nanmean), rank, [])
        for rank in (1, 2, 3)
    },
}


class Drawn:
    """One layer with options drawn at random."""

    def __init__(self, name, seed):
        rng = np.random.default_rng([seed, *name.encode()])
        self.formula, rank, further = KINDS[name]
        size, strides = (tuple(map(int, rng.integers(1, 4, rank))) for _ in range(2))
        dilation = (1,) * rank
        dilates = "conv" in name and "transpose" not in name
        if dilates and rng.integers(2):
            strides, dilation = dilation, strides
        paddings = ["valid", "same"] + ["causal"] * (dilates and rank == 1)
        padding = str(rng.choice(paddings))
        self.options = size, strides, dilation, padding
        # With padding an axis may be empty; without, a window has to fit in.
        least = [
            (n - 1) * gap + 1 if padding == "valid" and "transpose" not in name else 0
            for n, gap in zip(size, dilation, strict=True)
        ]
        inner = [int(rng.integers(low, 8)) for low in least]
        self.first = bool(rng.integers(2))
        self.x = rng.uniform(-1, 1, (int(rng.integers(0, 3)), *inner, int(rng.integers(1, 4)))).astype(
            "float32"
        )
        self.kwargs = {
            "kernel_size" if "conv" in name else "pool_size": size,
            "strides": strides,
            "padding": padding,
            "data_format": "channels_first" if self.first else "channels_last",
            "name": "layer",
            **{argument: int(rng.integers(1, 4)) for argument in further},
            **({"dilation_rate": dilation} if dilates else {}),
            **({"use_bias": bool(rng.integers(2))} if "conv" in name else {}),
        }
        self.net = js.transform(lambda x: getattr(layers, name)(x, **self.kwargs))
        self.variables = {
            n: rng.uniform(-1, 1, spec.shape).astype("float32")
            for n, spec in self.net.spec(self.given).items()
        }

    @property
    def given(self):
        return np.moveaxis(self.x, -1, 1) if self.first else self.x

    def expected(self):
        v = {name.split("/")[1]: value.astype(float) for name, value in self.variables.items()}
        y = self.formula(self.x.astype(float), v, self.options) + v.get("bias", 0)
        return np.moveaxis(y, -1, 1) if self.first else y


@pytest.mark.parametrize("name", KINDS)
def test_windows(name):
    """Sizes, strides, dilation, padding and layout mean what the formula says; axes may be odd or empty."""
    drawn = {str(seed): Drawn(name, seed) for seed in range(12)}
    found = at_once({seed: (one.net.apply, (one.variables, one.given)) for seed, one in drawn.items()})
    for seed, one in drawn.items():
        what = f"{one.kwargs} of {one.given.shape}"
        if isinstance(found[seed], Exception):
            found[seed].add_note(what)
            raise found[seed]
        np.testing.assert_allclose(found[seed], one.expected(), rtol=1e-4, atol=1e-5, err_msg=what)
