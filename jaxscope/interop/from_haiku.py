"""haiku: a function or transformed function of Haiku as a layer."""

import re
from collections.abc import Mapping
from typing import Any

import jax

from jaxscope.extras import library
from jaxscope.interop.adapter import Adapter
from jaxscope.interop.calls import Call
from jaxscope.interop.keys import keys
from jaxscope.interop.leaves import Leaf, Trainable, leaf_of, path_text, restructured, write
from jaxscope.interop.plans import Found, Plan, Plans, by_name


def haiku(
    function: Any,
    name: str | None = None,
    *,
    init: Mapping[str, Any] | None = None,
    initial: jax.Array | None = None,
    state_initializer: Any = None,
    trainable: Trainable = True,
) -> Adapter:
    """Return what is written for Haiku as a layer.

    Its parameters appear under their own names: `res_net50/initial_conv/w`, without the `~` that Haiku puts
    where a method other than `__call__` makes a module. So does its state, as variables that are not trained.
    It draws with a key of `js.next_key`, if `js.random_keys` is open. The function is initialised abstractly,
    once for each kind of call of this object: what else it reads must not change.

    Args:
        function: A function that makes and calls modules, or what `hk.transform` or `hk.transform_with_state`
            made of one.
        name: A scope of its own, in which all calls of this object share. None: the current scope.
        init: What the function is initialised with by keyword, in the place of what calls say: Haiku's batch
            normalization makes its state where `is_training=True` alone.
        initial: A key: the initial values are those of `transformed.init(initial, ...)`, computed at once.
            None: each is drawn by the module's own initializer, with a key of (key, full name).
        state_initializer: An initializer for state whose first value Haiku computes from inputs (`average` of
            its moving averages), such as `js.initializers.zeros`. None computes it, too: then the function
            cannot make its variables inside of `jax.jit` and the like.
        trainable: False to train none of it, or a function of a parameter's own name.

    Returns:
        An `Adapter`.

    Raises:
        ImportError: Haiku is not installed, or does not import with this JAX (`pip install
            'jaxscope[haiku]'`).
        TypeError: It is no function.

    Example:
        >>> import haiku as hk
        >>> net = js.transform(js.interop.haiku(lambda x: hk.nets.MLP([4, 2])(x)))
        >>> list(net.spec(jnp.ones([1, 3])))
        ['mlp/linear_0/b', 'mlp/linear_0/w', 'mlp/linear_1/b', 'mlp/linear_1/w']
    """
    hk = library("haiku", "js.interop.haiku")
    if isinstance(function, hk.TransformedWithState):
        transformed = function
    elif isinstance(function, hk.Transformed):
        transformed = hk.with_empty_state(function)
    elif callable(function):
        transformed = hk.transform_with_state(function)
    else:
        raise TypeError(f"js.interop.haiku takes a function, not {type(function).__name__}")
    body = _Haiku(transformed, dict(init or {}), initial, state_initializer, trainable)
    return Adapter(body, "Haiku", name)


def own_name(module: str, name: str) -> str:
    """Return what an array of a module is called here: without Haiku's marks of methods."""
    parts = [re.sub(r"^~", "", part) for part in module.split("/")]
    return "/".join([*filter(None, parts), name])


class _Haiku:
    def __init__(
        self, transformed: Any, init: dict[str, Any], initial: Any, others: Any, trainable: Trainable
    ) -> None:
        self._transformed, self._initial, self._trainable = transformed, initial, trainable
        self._init, self._others = init, others
        self._plans = Plans()

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(args, kwargs)
        plan = self._plan(call)
        leaves, values = plan.leaves, plan.ask(self._initial, call.arrays, self._others)
        params, state = jax.tree.unflatten(plan.rest, values)
        given, refused = keys(1)
        try:
            result, after = self._transformed.apply(
                params, state, given[0] if given else None, *args, **kwargs
            )
        except ValueError as problem:
            if refused is None or type(problem).__name__ != "MissingRNGError":
                raise
            raise refused from problem
        count = len(jax.tree.leaves(params))
        mine = {leaf.theirs for leaf in leaves[count:]}
        now = {leaf.theirs: value for leaf, value in _found(after, trainable=False)}
        if mine != set(now):
            raise restructured(
                "the Haiku function",
                mine - set(now),
                set(now) - mine,
                "have `init` make all state, whatever the arguments",
            )
        write(leaves[count:], values[count:], [now[leaf.theirs] for leaf in leaves[count:]])
        return result

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Leaf]:
        return self._plan(Call(args, kwargs)).leaves

    def named(self, trees: tuple[Any, ...]) -> dict[str, Any]:
        if not 1 <= len(trees) <= 2 or not all(isinstance(tree, Mapping) for tree in trees):
            raise TypeError("what Haiku has is params, or params and state, each a dict of modules")
        found = [pair for at, tree in enumerate(trees) for pair in _found(tree, trainable=not at)]
        return by_name(found, self._trainable)

    def _plan(self, call: Call) -> Plan:
        def make(key: Any, arrays: list[Any]) -> tuple[Found, Any]:
            args, kwargs = call.with_arrays(arrays)
            params, state = self._transformed.init(key, *args, **{**kwargs, **self._init})
            found = [*_found(params, trainable=True), *_found(state, trainable=False)]
            return found, jax.tree.structure((params, state))

        return self._plans.of(call.kind, make, call.arrays, self._trainable)


def _found(tree: Mapping[str, Mapping[str, Any]], *, trainable: bool) -> list[tuple[Leaf, Any]]:
    """Return a leaf for each array of a dict of modules, in the order of JAX, and the array itself."""
    found: list[tuple[Leaf, Any]] = []
    for path, value in jax.tree.leaves_with_path(tree):
        module = path_text(path[:1])
        name = own_name(module, path_text(path[1:]))
        found.append((leaf_of(path_text(path), name, value, trainable=trainable), value))
    return found
