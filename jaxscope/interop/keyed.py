"""keyed: a net as a function of a key besides, of which `js.next_key` takes."""

from collections.abc import Callable
from typing import Any

import jaxscope as js


def keyed(net: Callable[..., Any]) -> Any:
    """Return a net as a transformed function of `(key, args, kwargs)`; the key may be None.

    Raises:
        TypeError: It is no function.
    """
    if not callable(net):
        raise TypeError(f"a net is what js.transform returns, or takes, not {type(net).__name__}")

    @js.transform
    def with_keys(key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with js.random_keys(key):
            return net(*args, **kwargs)

    return with_keys


def joined(trained: Any, state: Any) -> js.Variables:
    """Return variables, those of `state` as not trainable."""
    return js.Variables({**trained, **state}, non_trainable=list(state))
