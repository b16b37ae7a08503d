"""linen: a module of Flax Linen as a layer."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax

from jaxscope.extras import library
from jaxscope.interop.adapter import Adapter
from jaxscope.interop.calls import Call
from jaxscope.interop.keys import keys
from jaxscope.interop.leaves import Leaf, Trainable, leaf_of, path_text, restructured, write
from jaxscope.interop.plans import Found, Plan, Plans, by_name


def linen(
    module: Any,
    name: str | None = None,
    *,
    rngs: Iterable[str] = ("dropout",),
    mutable: bool | Iterable[str] = True,
    method: Any = None,
    init: Mapping[str, Any] | None = None,
    initial: jax.Array | None = None,
    trainable: Trainable = True,
) -> Adapter:
    """Return a Flax Linen module as a layer.

    Its parameters appear under their own paths: `Dense_0/kernel`. So do other collections (`batch_stats`,
    `cache`), as variables that are not trained, with the collection's name in front where a parameter has
    that path. What `nn.Partitioned` says is the variable's partitioner. The module is initialised abstractly,
    once for each kind of call of this object, so make it outside the function if it is called in many passes.

    Args:
        module: The module, not bound.
        name: A scope of its own, in which all calls of this object share. None: the current scope.
        rngs: Names of the streams that get keys, of `js.next_key`; none of them if no `js.random_keys` is
            open.
        mutable: Which collections a call may write: True for all that it has, False for none.
        method: Another method than `__call__`, as of `module.apply`.
        init: What the module is initialised with by keyword, in the place of what calls say: where a call
            with other flags makes what later ones need.
        initial: A key: the initial values are those of `module.init(initial, ...)`, computed at once. None:
            each is drawn by the module's own initializer, with a key of (key, full name).
        trainable: False to train none of it, or a function of a parameter's own path.

    Returns:
        An `Adapter`.

    Raises:
        ImportError: Flax is not installed (`pip install 'jaxscope[flax]'`).
        TypeError: It is no such module, or is bound.

    Example:
        >>> import flax.linen as nn
        >>> mlp = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("encoder"):
        ...         return js.interop.linen(mlp)(x)
        >>> list(net.spec(jnp.ones([1, 3])))[:2]
        ['encoder/layers_0/bias', 'encoder/layers_0/kernel']
    """
    nn = library("flax.linen", "js.interop.linen")
    if not isinstance(module, nn.Module):
        raise TypeError(f"js.interop.linen takes a module of flax.linen, not {type(module).__name__}")
    if module.scope is not None:
        raise TypeError("js.interop.linen takes a module that is not bound: module.clone(parent=None)")
    writes = mutable if isinstance(mutable, bool) else tuple(mutable)
    return Adapter(
        _Linen(nn, module, tuple(rngs), writes, method, dict(init or {}), initial, trainable), "Linen", name
    )


class _Linen:
    def __init__(
        self,
        nn: Any,
        module: Any,
        rngs: tuple[str, ...],
        mutable: bool | tuple[str, ...],
        method: Any,
        init: dict[str, Any],
        initial: Any,
        trainable: Trainable,
    ) -> None:
        self._nn, self._module, self._rngs, self._mutable = nn, module, rngs, mutable
        self._method, self._initial, self._trainable = method, initial, trainable
        self._init = init
        self._plans = Plans()

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(args, kwargs)
        plan = self._plan(call)
        leaves, values = plan.leaves, plan.ask(self._initial, call.arrays)
        given = jax.tree.unflatten(plan.rest, values)
        written = [name for name in given if name != "params" and self._writes(name)]
        streams, refused = keys(len(self._rngs))
        try:
            result = self._module.apply(
                given,
                *args,
                rngs=dict(zip(self._rngs, streams, strict=False)),
                mutable=written or False,
                method=self._method,
                **kwargs,
            )
        except _errors().InvalidRngError as problem:
            if refused is None:
                raise
            raise refused from problem
        if not written:
            return result
        result, after = result
        self._write(leaves, values, written, {leaf.theirs: value for leaf, value in self._found(after)})
        return result

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Leaf]:
        return self._plan(Call(args, kwargs)).leaves

    def named(self, trees: tuple[Any, ...]) -> dict[str, Any]:
        given = trees[0] if len(trees) == 1 else None
        # Parameters alone would pass for collections that are called like modules.
        if not isinstance(given, Mapping) or (given and "params" not in given):
            raise TypeError('what Linen has is one dict of collections: {"params": ..., "batch_stats": ...}')
        found = self._found(given)
        return by_name(found, self._trainable)

    def _writes(self, collection: str) -> bool:
        return self._mutable if isinstance(self._mutable, bool) else collection in self._mutable

    def _plan(self, call: Call) -> Plan:
        def make(key: Any, arrays: list[Any]) -> tuple[Found, Any]:
            args, kwargs = call.with_arrays(arrays)
            variables = self._module.init(key, *args, method=self._method, **{**kwargs, **self._init})
            return self._found(variables), jax.tree.structure(variables, is_leaf=self._is_box)

        return self._plans.of(call.kind, make, call.arrays, self._trainable)

    def _is_box(self, value: Any) -> bool:
        return isinstance(value, self._nn.meta.AxisMetadata)

    def _found(self, variables: Any) -> list[tuple[Leaf, Any]]:
        """Return a leaf for each array of a dict of collections, and the array itself."""
        found: list[tuple[Leaf, Any]] = []
        for path, boxed in jax.tree.leaves_with_path(variables, is_leaf=self._is_box):
            value, partitioner = boxed, None
            if self._is_box(boxed):
                spec = self._nn.get_partition_spec({"": boxed})[""]
                partitioner = spec if any(axis is not None for axis in spec) else None
                while self._is_box(value):
                    value = value.value if hasattr(value, "value") else value.unbox()
            theirs = path_text(path)
            collection, _, name = theirs.partition("/")
            leaf = leaf_of(theirs, name, value, trainable=collection == "params", partitioner=partitioner)
            found.append((leaf, value))
        params = {leaf.name for leaf, _ in found if leaf.theirs.startswith("params/")}
        return [
            (leaf._replace(name=leaf.theirs), value)
            if leaf.name in params and not leaf.theirs.startswith("params/")
            else (leaf, value)
            for leaf, value in found
        ]

    def _write(
        self, leaves: list[Leaf], values: list[Any], written: list[str], after: dict[str, Any]
    ) -> None:
        state = [
            (leaf, value)
            for leaf, value in zip(leaves, values, strict=True)
            if leaf.theirs.partition("/")[0] in written
        ]
        known = {leaf.theirs for leaf, _ in state}
        if known != set(after):
            raise restructured(
                type(self._module).__name__,
                known - set(after),
                set(after) - known,
                "leave collections that grow (`sow`) out of what is written: mutable=[...]",
            )
        write(
            [leaf for leaf, _ in state], [old for _, old in state], [after[leaf.theirs] for leaf, _ in state]
        )


def _errors() -> Any:
    return library("flax.errors", "js.interop.linen")
