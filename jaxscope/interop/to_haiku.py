"""as_haiku: a net as a module of Haiku."""

import functools
from collections.abc import Callable
from typing import Any

from jaxscope.extras import library
from jaxscope.interop.keyed import joined, keyed


def as_haiku(net: Callable[..., Any], name: str | None = None) -> Any:
    """Return a net as a Haiku module, to be made inside a function that Haiku transforms.

    Each variable is a parameter of the module under its full name, or state if it is not trained.
    `js.next_key` takes of a key of Haiku's.

    Args:
        net: A transformed function, or one that `js.transform` takes.
        name: The module's name.

    Returns:
        An `hk.Module`, whose calls take what the net takes.

    Raises:
        ImportError: Haiku is not installed, or does not import with this JAX (`pip install
            'jaxscope[haiku]'`).
        TypeError: The net is no function.

    Example:
        >>> import haiku as hk
        >>> net = js.transform(lambda x: js.layers.dense(x, 2))
        >>> there = hk.transform(lambda x: js.interop.as_haiku(net, "net")(x))
        >>> sorted(there.init(jax.random.key(0), jnp.ones([1, 3]))["net"])
        ['dense/bias', 'dense/kernel']
    """
    made: Any = _module()(keyed(net), name)
    return made


@functools.cache
def _module() -> Any:
    hk = library("haiku", "js.interop.as_haiku")

    class JaxscopeNet(hk.Module):  # type: ignore[misc,name-defined]
        """A net of jaxscope's."""

        def __init__(self, net: Any, name: str | None) -> None:
            super().__init__(name)
            self._net = net

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            key = hk.maybe_next_rng_key()
            specs = self._net.spec(key, args, kwargs)
            made = self._net.init(hk.next_rng_key(), key, args, kwargs) if hk.running_init() else {}
            trained: dict[str, Any] = {}
            state: dict[str, Any] = {}
            for full, spec in specs.items():
                get, there = (hk.get_parameter, trained) if spec.trainable else (hk.get_state, state)
                there[full] = get(full, spec.shape, spec.dtype, init=lambda *_, full=full: made[full])
            variables = joined(trained, state)
            if not state:
                return self._net.apply(variables, key, args, kwargs)
            result, after = self._net.apply_with_state(variables, key, args, kwargs)
            for full, value in after.items():
                if value is not state[full]:
                    hk.set_state(full, value)
            return result

    return JaxscopeNet
