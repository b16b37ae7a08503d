"""names: a table for `js.checkpoint.load(rename=...)`: what files of the other library call each variable."""

import re
from typing import Any, cast

from jaxscope.interop.adapter import Adapter


def names(module: Adapter, /, *args: Any, scope: str | None = None, **kwargs: Any) -> dict[str, str]:
    r"""Return patterns for the names in files of a library -> full names here.

    In folders of orbax's and in safetensors, the keys on the way to an array are its name, joined by slashes
    or dots; both match. So do parameters of Linen without `params/` in front, and variables of NNX with
    `/value` behind.

    Args:
        module: What `js.interop.linen`, `nnx`, `haiku` or `equinox` has returned.
        *args: Arguments of a call, of which only shapes and dtypes count; none for NNX and Equinox.
        scope: The full name of the scope that it is called in.
        **kwargs: Further arguments.

    Returns:
        A dict of patterns, each of one name.

    Raises:
        TypeError: It is no such module.

    Example:
        >>> import flax.linen as nn
        >>> dense = js.interop.linen(nn.Dense(2), name="head")
        >>> js.interop.names(dense, jax.ShapeDtypeStruct((1, 3), "float32"), scope="model")
        {'(?:params[/.])?bias': 'model/head/bias', '(?:params[/.])?kernel': 'model/head/kernel'}
    """
    if not isinstance(cast(object, module), Adapter):
        what = type(module).__name__
        raise TypeError(f"js.interop.names takes what js.interop.linen and the like return, not {what}")
    prefix = module.prefix(scope)
    return {
        _pattern(module.library, leaf.theirs): (prefix + leaf.name).replace("\\", r"\\")
        for leaf in module.leaves(args, kwargs)
    }


def _pattern(library: str, theirs: str) -> str:
    before = after = ""
    if library == "Linen" and theirs.startswith("params/"):
        before, theirs = "(?:params[/.])?", theirs.removeprefix("params/")
    if library == "NNX":
        after = "(?:[/.]value)?"
    return before + "[/.]".join(map(re.escape, re.split(r"[/.]", theirs))) + after
