"""as_linen: a net as a module of Flax Linen."""

import functools
from collections.abc import Callable
from typing import Any

import jaxscope as js
from jaxscope.extras import library
from jaxscope.interop.keyed import joined, keyed


def as_linen(
    net: Callable[..., Any], name: str | None = None, *, state: str = "state", rng: str = "dropout"
) -> Any:
    """Return a net as a Flax Linen module.

    The trained variables are its parameters, nested by scope; the others are in a collection, which a call
    writes where it is mutable.

    Args:
        net: A transformed function, or one that `js.transform` takes.
        name: The module's name.
        state: The collection of variables that are not trained.
        rng: The stream of which `js.next_key` takes; none where the call is given none.

    Returns:
        A `flax.linen.Module`, whose calls take what the net takes.

    Raises:
        ImportError: Flax is not installed (`pip install 'jaxscope[flax]'`).
        TypeError: The net is no function.

    Example:
        >>> net = js.transform(lambda x: js.layers.dense(x, 2))
        >>> module = js.interop.as_linen(net)
        >>> params = module.init(jax.random.key(0), jnp.ones([1, 3]))
        >>> jax.tree.map(jnp.shape, params)
        {'params': {'dense': {'bias': (2,), 'kernel': (3, 2)}}}
    """
    made: Any = _module()(keyed(net), state, rng, name=name)
    return made


@functools.cache
def _module() -> Any:
    nn = library("flax.linen", "js.interop.as_linen")

    class JaxscopeNet(nn.Module):  # type: ignore[misc,name-defined]
        """A net of jaxscope's."""

        js_net: Any
        js_state: str
        js_rng: str

        @nn.compact  # type: ignore[untyped-decorator]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            beginning = self.is_initializing()
            key = self.make_rng(self.js_rng) if beginning or self.has_rng(self.js_rng) else None
            if beginning:
                made = self.js_net.init(self.make_rng("params"), key, args, kwargs)
                for top, value in made.trainable.nested().items():
                    self.param(top, lambda _, value=value: value)
                for top, value in made.non_trainable.nested().items():
                    self.variable(self.js_state, top, lambda value=value: value)
            there = self.variables
            trained, state = (
                js.Variables.from_nested(there.get(one, {})) for one in ("params", self.js_state)
            )
            variables = joined(trained, state)
            if not beginning and not (state and self.is_mutable_collection(self.js_state)):
                try:
                    return self.js_net.apply(variables, key, args, kwargs)
                except js.errors.StateError as problem:
                    if problem.code == "write_in_apply":
                        problem.add_note(f"In Linen, that is apply(..., mutable=[{self.js_state!r}]).")
                    raise
            result, after = self.js_net.apply_with_state(variables, key, args, kwargs)
            if not beginning:
                for top, value in after.nested().items():
                    self.put_variable(self.js_state, top, value)
            return result

    return JaxscopeNet
