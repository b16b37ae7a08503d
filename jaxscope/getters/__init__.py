"""Getters: casts, adapters, norms, averages and small numbers for a model whose code is not touched."""

from jaxscope.getters.adapters import lora
from jaxscope.getters.averages import ema
from jaxscope.getters.casting import cast
from jaxscope.getters.chaining import chain
from jaxscope.getters.folding import fold
from jaxscope.getters.integers import int8
from jaxscope.getters.plain import freeze, scale
from jaxscope.getters.requests import Request
from jaxscope.getters.spectral import spectral_norm
from jaxscope.getters.unfolding import unfold
from jaxscope.getters.weights import weight_norm

__all__ = [
    "Request",
    "cast",
    "chain",
    "ema",
    "fold",
    "freeze",
    "int8",
    "lora",
    "scale",
    "spectral_norm",
    "unfold",
    "weight_norm",
]
