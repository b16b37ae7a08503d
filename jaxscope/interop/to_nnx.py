"""as_nnx: a net as a module of Flax NNX."""

import functools
from collections.abc import Callable
from typing import Any

from jaxscope.extras import library
from jaxscope.interop.from_nnx import value_of
from jaxscope.interop.keyed import joined, keyed


def as_nnx(net: Callable[..., Any], /, *args: Any, rngs: Any, **kwargs: Any) -> Any:
    """Return a net as a Flax NNX module.

    Its attribute `variables` has each variable by its full name: an `nnx.Param` if it is trained, else an
    `nnx.BatchStat`, which calls write.

    Args:
        net: A transformed function, or one that `js.transform` takes.
        *args: Its arguments, as of `net.init`: NNX makes what a module has before it is called.
        rngs: `nnx.Rngs`, of which `params` gives the key of the initial values.
        **kwargs: Further arguments.

    Returns:
        An `nnx.Module`, whose calls take what the net takes, and `rngs=`, of which `dropout` gives the key
        for `js.next_key`.

    Raises:
        ImportError: Flax is not installed (`pip install 'jaxscope[flax]'`).
        TypeError: The net is no function.

    Example:
        >>> from flax import nnx
        >>> net = js.transform(lambda x: js.layers.dense(x, 2))
        >>> module = js.interop.as_nnx(net, jnp.ones([1, 3]), rngs=nnx.Rngs(0))
        >>> module(jnp.ones([5, 3])).shape, sorted(module.variables)
        ((5, 2), ['dense/bias', 'dense/kernel'])
    """
    made: Any = _module()(keyed(net), args, kwargs, rngs)
    return made


@functools.cache
def _module() -> Any:
    nnx = library("flax.nnx", "js.interop.as_nnx")

    class JaxscopeNet(nnx.Module):  # type: ignore[misc,name-defined]
        """A net of jaxscope's.

        Attributes:
            variables: Its variables by full name.
        """

        def __init__(self, net: Any, args: Any, kwargs: Any, rngs: Any) -> None:
            self.net = net
            values = net.init(rngs.params(), _key(rngs), args, kwargs)
            frozen = set(values.non_trainable)
            self.variables = nnx.data(
                {
                    name: (nnx.BatchStat if name in frozen else nnx.Param)(value)
                    for name, value in values.items()
                }
            )

        def __call__(self, *args: Any, rngs: Any = None, **kwargs: Any) -> Any:
            key = None if rngs is None else _key(rngs)
            trained, state = (
                {n: value_of(v) for n, v in self.variables.items() if isinstance(v, nnx.Param) == flag}
                for flag in (True, False)
            )
            variables = joined(trained, state)
            if not state:
                return self.net.apply(variables, key, args, kwargs)
            result, after = self.net.apply_with_state(variables, key, args, kwargs)
            for name, value in after.items():
                if value is not state[name]:
                    self.variables[name][...] = value
            return result

    return JaxscopeNet


def _key(rngs: Any) -> Any:
    """Return a key of the stream `dropout`, or None where there is no such stream, nor one for all."""
    return rngs.dropout() if "dropout" in rngs or "default" in rngs else None
