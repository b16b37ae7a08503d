"""Adapters: a module of another library as a layer, whose calls share its variables if it has a scope."""

import functools
from typing import Any, Protocol

import jaxscope as js
from jaxscope.interop.leaves import Leaf


class Body(Protocol):
    """What is known of one module."""

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Ask for the module's variables in the current scope, call it, and write what has changed."""
        ...

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Leaf]:
        """Return what it asks for in such a call."""
        ...

    def named(self, trees: tuple[Any, ...]) -> dict[str, Any]:
        """Return values as the library has them, by their names here."""
        ...


class Adapter:
    """A module of another library that is called like a layer; made by `js.interop.linen` and the like.

    Its variables are asked for at each call: in the current scope if it has no name of its own, by that
    scope's rules of sharing; else in a scope of that name, which all calls of the object in a pass share.

    Attributes:
        library: Whose module it is: `"Linen"`, `"NNX"`, `"Haiku"` or `"Equinox"`.

    Example:
        >>> import flax.linen as nn
        >>> dense = js.interop.linen(nn.Dense(2), name="dense")
        >>> net = js.transform(lambda a, b: dense(a) - dense(b))
        >>> list(net.spec(jnp.ones([1, 3]), jnp.ones([1, 3])))
        ['dense/bias', 'dense/kernel']
    """

    def __init__(self, body: Body, library: str, name: str | None) -> None:
        self._body, self.library, self._name = body, library, name
        # Not of a method: a template that holds its holder lives until Python looks for such circles.
        run = functools.partial(_run, body)
        self._call = js.make_template(name, run, unique_name_=name) if name else run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module returns.

        Args:
            *args: As of the module.
            **kwargs: Likewise.

        Raises:
            VariableExistsError: Something else has a name that the module asks for.
            StateError: The module writes state where that cannot be done, or has other arrays afterwards
                (code `other_state`).
            KeyStreamError: It draws, and no `js.random_keys` is open.
            InitializerError: An initial value depends on inputs and on a key (code `init_of_inputs`).
            InvalidNameError: Two of its arrays would have one name (code `same_name`).
            JaxscopeError: As of `js.get_variable`.
            NoPassError: Outside a transformed function.
        """
        return self._call(*args, **kwargs)

    def variables(self, *trees: Any, scope: str | None = None) -> js.Variables:
        """Return values that the library has as variables, by their full names.

        Args:
            *trees: What the library has: of Linen, the dict of collections; of Haiku, parameters, and
                state if there is any; of NNX, a module or its state; of Equinox, a module, and its state if
                it has one. Two of them may be one pair, as the library returns them.
            scope: The full name of the scope that the adapter is called in; its own if left out.

        Returns:
            `Variables`, the state among them as not trainable.

        Raises:
            TypeError: It is nothing that the library has.
            InvalidNameError: Two of its arrays would have one name (code `same_name`).
        """
        if len(trees) == 1 and type(trees[0]) is tuple:
            trees = trees[0]
        leaves = dict(self._body.named(trees))
        prefix = self.prefix(scope)
        frozen = [prefix + name for name, (_, trainable) in leaves.items() if not trainable]
        values = {prefix + name: value for name, (value, _) in leaves.items()}
        return js.Variables(values, non_trainable=frozen)

    def prefix(self, scope: str | None) -> str:
        """Return what full names begin with."""
        path = "/".join(filter(None, [scope, self._name]))
        return f"{path}/" if path else ""

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Leaf]:
        """Return what of the module is a variable."""
        return self._body.leaves(args, kwargs)

    def __repr__(self) -> str:
        return f"<{self.library} module {self._name or ''!r}>"


def _run(body: Body, /, *args: Any, **kwargs: Any) -> Any:
    return body.call(args, kwargs)
