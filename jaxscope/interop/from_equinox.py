"""equinox: a module of Equinox as a layer."""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxscope.extras import library
from jaxscope.interop.adapter import Adapter
from jaxscope.interop.keys import keys
from jaxscope.interop.leaves import Leaf, Trainable, leaf_of, path_text, restructured, write
from jaxscope.interop.plans import Found, Plan, Plans, by_name, plan_of


def equinox(
    module: Any,
    name: str | None = None,
    *,
    state: Any = None,
    method: Any = None,
    initial: jax.Array | None = None,
    trainable: Trainable = True,
) -> Adapter:
    """Return an Equinox module as a layer.

    Each array appears under its own path: `layers/0/weight`; those of whole numbers are not trained. What is
    no array (activation functions, sizes) stays in the module. The values of an `eqx.nn.State` are variables
    that are not trained, called as the `StateIndex` that stands for them; calls are given `state=`, and what
    they return second is written. Where calls take a `key=` and are given none, it is one of `js.next_key`,
    if `js.random_keys` is open.

    Args:
        module: A function of a key that makes the module, or (with `eqx.nn.make_with_state`) the module and
            its state; it is called once, abstractly. Or a module, whose values are the initial ones.
        name: A scope of its own, in which all calls of this object share. None: the current scope.
        state: The state that belongs to a module that is given.
        method: The name of another method than `__call__`, or a function of the module and the inputs, such
            as `lambda module, x: jax.vmap(module)(x)`.
        initial: A key, for functions: the initial values are those of `module(initial)`, computed at once.
            None: each is drawn as the module does it, with a key of (key, full name).
        trainable: False to train none of it, or a function of an array's own path.

    Returns:
        An `Adapter`.

    Raises:
        ImportError: Equinox is not installed (`pip install 'jaxscope[equinox]'`).
        TypeError: It is neither; or a module and `initial`, or a function and `state`.

    Example:
        >>> import equinox as eqx
        >>> mlp = js.interop.equinox(lambda key: eqx.nn.MLP(3, 2, width_size=4, depth=1, key=key), name="mlp")
        >>> net = js.transform(lambda x: jax.vmap(mlp)(x))
        >>> sorted(net.spec(jnp.ones([5, 3])))
        ['mlp/layers/0/bias', 'mlp/layers/0/weight', 'mlp/layers/1/bias', 'mlp/layers/1/weight']
    """
    eqx = library("equinox", "js.interop.equinox")
    if isinstance(module, eqx.Module):
        if initial is not None:
            raise TypeError("a module has values: initial= is for functions that make one")
    elif not callable(module):
        raise TypeError(
            f"js.interop.equinox takes a module, or a function of a key, not {type(module).__name__}"
        )
    elif state is not None:
        raise TypeError("a function returns the module and its state: state= is for modules")
    return Adapter(_Equinox(eqx, module, state, method, initial, trainable), "Equinox", name)


class _Split(NamedTuple):
    """What a module and its state are without their arrays."""

    tree: Any
    static: Any
    state_tree: Any


class _Equinox:
    def __init__(
        self, eqx: Any, module: Any, state: Any, method: Any, initial: Any, trainable: Trainable
    ) -> None:
        self._eqx, self._method, self._initial, self._trainable = eqx, method, initial, trainable
        there = isinstance(module, eqx.Module)
        self._make: Any = None if there else module
        self._plans = Plans()
        self._given = plan_of(*_taken_apart(eqx, module, state), trainable) if there else None

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plan = self._plan()
        leaves, values, split = plan.leaves, plan.ask(self._initial), plan.rest
        count = split.tree.num_leaves
        module = self._eqx.combine(jax.tree.unflatten(split.tree, values[:count]), split.static)
        function = getattr(module, self._method) if isinstance(self._method, str) else self._method
        call = module if function is None else function
        if "key" not in kwargs and "key" in _parameters(call):
            given, _ = keys(1)
            kwargs = {**kwargs, "key": given[0]} if given else kwargs
        if callable(self._method):
            args = (module, *args)
        if split.state_tree is None:
            return call(*args, **kwargs)
        state = jax.tree.unflatten(split.state_tree, values[count:])
        result = call(*args, **kwargs, state=state)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], self._eqx.nn.State):
            raise TypeError("a call of an Equinox module that has state must return (result, state)")
        result, state = result
        after, tree = jax.tree.flatten(state)
        if tree != split.state_tree:
            raise restructured("the state", (), (), "return the state that was given, with other values")
        write(leaves[count:], values[count:], after)
        return result

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Leaf]:
        return self._plan().leaves

    def named(self, trees: tuple[Any, ...]) -> dict[str, Any]:
        if not 1 <= len(trees) <= 2 or not isinstance(trees[0], self._eqx.Module):
            raise TypeError("what Equinox has is a module, or a module and its state")
        found, _ = _taken_apart(self._eqx, trees[0], trees[1] if len(trees) == 2 else None)
        return by_name(found, self._trainable)

    def _plan(self) -> Plan:
        def make(key: Any, _: list[Any]) -> tuple[Found, Any]:
            made = self._make(key)
            module, state = made if isinstance(made, tuple) else (made, None)
            return _taken_apart(self._eqx, module, state)

        return self._given or self._plans.of((), make, (), self._trainable)


def _taken_apart(eqx: Any, module: Any, state: Any) -> tuple[list[tuple[Leaf, Any]], _Split]:
    """Return a leaf for each array of a module and its state, the array itself, and the rest."""
    arrays, static = eqx.partition(module, _is_variable)
    found = [
        (leaf_of(name := path_text(path), name, value, trainable=True), value)
        for path, value in jax.tree.leaves_with_path(arrays)
    ]
    state_tree = None
    if state is not None:
        values, state_tree = jax.tree.flatten(state)
        names = _state_names(eqx, module, state_tree)
        found += [
            (leaf_of(name := names.get(at, f"state/{at}"), name, value, trainable=False), value)
            for at, value in enumerate(values)
        ]
    elif any(map(is_index := _is_index(eqx), jax.tree.leaves(module, is_leaf=is_index))):
        raise TypeError(
            "the module has state: pass eqx.nn.make_with_state(...), or state=eqx.nn.State(module)"
        )
    return found, _Split(jax.tree.structure(arrays), static, state_tree)


def _is_variable(leaf: Any) -> bool:
    """Tell whether a leaf is an array of numbers; keys stay in the module."""
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return False
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        if isinstance(leaf, Tracer):
            raise TypeError("a module that holds a key cannot be made by a function: pass the module")
        return False
    return True


def _is_index(eqx: Any) -> Any:
    return lambda node: isinstance(node, eqx.nn.StateIndex)


def _state_names(eqx: Any, module: Any, tree: Any) -> dict[int, str]:
    """Return the name of each value of a state: the path of the first index that stands for it."""
    numbers = jax.tree.unflatten(tree, range(tree.num_leaves))
    names: dict[int, str] = {}
    for path, node in jax.tree.leaves_with_path(module, is_leaf=_is_index(eqx)):
        if isinstance(node, eqx.nn.StateIndex):
            for inside, number in jax.tree.leaves_with_path(numbers.get(node)):
                names.setdefault(number, path_text([*path, *inside]))
    return names


def _parameters(function: Any) -> Any:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some built-in ones
        return {}
