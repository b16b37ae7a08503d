"""as_equinox: a net, and variables for it, as a module of Equinox."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jaxscope as js
from jaxscope.extras import library
from jaxscope.interop.keyed import keyed


def as_equinox(net: Callable[..., Any], variables: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a net and its variables as an Equinox module and its state.

    Args:
        net: A transformed function, or one that `js.transform` takes.
        variables: Values for it, as of `net.init`.

    Returns:
        A module, whose attribute `variables` is those that are trained, and the `eqx.nn.State` of the others.
        Calls take what the net takes, and `state=`, and return the result and the new state; `key=` is of
        what `js.next_key` takes.

    Raises:
        ImportError: Equinox is not installed (`pip install 'jaxscope[equinox]'`).
        TypeError: The net is no function.

    Example:
        >>> net = js.transform(lambda x: js.layers.dense(x, 2))
        >>> x = jnp.ones([1, 3])
        >>> module, state = js.interop.as_equinox(net, net.init(jax.random.key(0), x))
        >>> y, state = module(x, state=state)
        >>> y.shape, list(module.variables)
        ((1, 2), ['dense/bias', 'dense/kernel'])
    """
    eqx = library("equinox", "js.interop.as_equinox")
    given = variables if isinstance(variables, js.Variables) else js.Variables(variables)
    made: tuple[Any, Any] = eqx.nn.make_with_state(_module())(keyed(net), given)
    return made


@functools.cache
def _module() -> Any:
    eqx = library("equinox", "js.interop.as_equinox")

    class JaxscopeNet(eqx.Module):  # type: ignore[misc,name-defined]
        """A net of jaxscope's.

        Attributes:
            variables: Those that are trained.
            others: What stands for the others in the state.
        """

        net: Any = eqx.field(static=True)
        variables: Any
        others: Any

        def __init__(self, net: Any, variables: js.Variables) -> None:
            self.net = net
            self.variables = variables.trainable
            self.others = eqx.nn.StateIndex(variables.non_trainable)

        def __call__(self, *args: Any, state: Any, key: Any = None, **kwargs: Any) -> tuple[Any, Any]:
            others = state.get(self.others)
            variables = self.variables | others
            if not others:
                return self.net.apply(variables, key, args, kwargs), state
            result, after = self.net.apply_with_state(variables, key, args, kwargs)
            return result, state.set(self.others, others | after)

    return JaxscopeNet
