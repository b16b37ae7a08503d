"""What the layers of contrib share: a scope that renames variables, and what follows the computation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

import jaxscope as js

#: A function of a layer's result that normalizes it.
Normalizer = Callable[..., jax.Array] | None
#: Collections for all variables of a layer, or for some, by what contrib calls them.
Collections = Iterable[str] | Mapping[str, Iterable[str]] | None

NAMES = {
    "kernel": "weights",
    "bias": "biases",
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
}


def model_scope(scope: Any, default: str, reuse: Any, collections: Collections = None) -> js.variable_scope:
    """Return a layer's scope, in which `kernel` is called `weights`, and all are model variables.

    Source:
        `_build_variable_getter` of `tf.contrib.layers`.
    """

    def getter(getter: Any, name: str, **kwargs: Any) -> Any:
        path, slash, own = name.rpartition("/")
        own = NAMES.get(own, own)
        further = collections.get(own, ()) if isinstance(collections, Mapping) else collections
        keys = [
            *(kwargs.get("collections") or [js.GraphKeys.GLOBAL_VARIABLES]),
            js.GraphKeys.MODEL_VARIABLES,
            *(further or ()),
        ]
        return getter(path + slash + own, **{**kwargs, "collections": list(dict.fromkeys(keys))})

    return js.variable_scope(scope, default, reuse=reuse, custom_getter=getter)


def finish(
    outputs: jax.Array,
    normalizer_fn: Normalizer,
    normalizer_params: Mapping[str, Any] | None,
    activation_fn: Any,
    collections: Any,
) -> jax.Array:
    """Return what a layer returns, after its normalizer and its activation."""
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    if activation_fn is not None:
        outputs = activation_fn(outputs)
    for key in [collections] if isinstance(collections, str) else collections or ():
        js.add_to_collection(key, outputs)
    return outputs


def data_format_of(name: str | None) -> str:
    """Return the layout that contrib calls NHWC or NCHW by the name it has in `tf.layers`."""
    formats = {None: "channels_last", "NHWC": "channels_last", "NCHW": "channels_first"}
    if name not in formats:
        raise ValueError(f"data_format must be 'NHWC' or 'NCHW', not {name!r}")
    return formats[name]
