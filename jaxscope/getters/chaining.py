"""Chains: several getters as one."""

# ruff: noqa: N801 - getters are called as functions are
from collections.abc import Callable
from typing import Any

import jaxscope as js
from jaxscope.getters.requests import DEFAULTS


class chain:
    """Return several getters as one: the first makes what the model gets, of what the others give it.

    `chain(a, b)` is what two scopes are, that of `b` outside and that of `a` inside. Read it from the model
    to the stored variables: `chain(cast("bfloat16"), lora(8), int8())` is a cast of an adapted weight of
    small numbers.

    Args:
        *getters: Getters of `js.getters`, or functions `g(getter, name, **kwargs)`.

    Raises:
        GetterError: One cannot be called (code `getter_not_callable`).

    Example:
        >>> both = js.getters.chain(js.getters.cast("bfloat16"), js.getters.lora(2))
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=both):
        ...         return js.layers.dense(x, 2, use_bias=False)
        >>> list(net.spec(jnp.ones([1, 3], jnp.bfloat16)))
        ['dense/kernel', 'dense/kernel/lora_a', 'dense/kernel/lora_b']
    """

    def __init__(self, *getters: Callable[..., Any]) -> None:
        for getter in getters:
            if not callable(getter):
                raise js.errors.GetterError(
                    f"js.getters.chain takes getters, not {getter!r}",
                    code="getter_not_callable",
                    fix="pass functions g(getter, name, **kwargs), each by itself: chain(a, b)",
                )
        self.getters = getters

    def __call__(self, getter: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what the first getter makes of a request.

        Args:
            getter: The next getter behind the chain.
            name: The full name.
            *args: Shape, dtype and so on, in the order of `get_variable`.
            **kwargs: Likewise, by keyword.
        """
        for behind in reversed(self.getters):
            getter = _Next(behind, getter)
        return getter(name, *args, **kwargs)

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self.getters))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, chain) and self.getters == other.getters

    def __hash__(self) -> int:
        return hash((chain, self.getters))


class _Next:
    """What a getter of a chain is given as `getter`: the one behind it, and what that is given.

    Arguments that are left out have plain defaults, and `reuse` is that of the scope (R39).
    """

    def __init__(self, getter: Callable[..., Any], behind: Callable[..., Any]) -> None:
        self._getter = getter
        self._behind = behind

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(DEFAULTS, args, strict=False)), **kwargs}
        if "reuse" not in given:
            given["reuse"] = js.get_variable_scope().reuse
        return self._getter(self._behind, name, **{**DEFAULTS, **given})
