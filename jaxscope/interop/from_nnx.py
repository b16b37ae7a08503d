"""nnx: a module of Flax NNX as a layer."""

from typing import Any, NamedTuple

import jax

from jaxscope.extras import library
from jaxscope.interop.adapter import Adapter
from jaxscope.interop.keys import keys, shaped
from jaxscope.interop.leaves import Leaf, Trainable, leaf_of, path_text, restructured, write
from jaxscope.interop.plans import Found, Plan, Plans, by_name, plan_of


def nnx(
    module: Any,
    name: str | None = None,
    *,
    method: Any = None,
    initial: jax.Array | None = None,
    trainable: Trainable = True,
) -> Adapter:
    """Return a Flax NNX module as a layer.

    Each `nnx.Param` is a trained variable under its own path: `layers/0/kernel`; other variables
    (`nnx.BatchStat`) are not trained. Random states are no variables: each call gets keys of `js.next_key`,
    if `js.random_keys` is open. What a parameter's metadata say of its axes is the variable's partitioner.

    Args:
        module: A function of `nnx.Rngs` that makes the module; it is called once, abstractly. Or a module,
            whose values at this moment are the initial ones.
        name: A scope of its own, in which all calls of this object share. None: the current scope.
        method: The name of another method than `__call__`, or a function of the module and the inputs.
        initial: A key, for functions: the initial values are those of `module(nnx.Rngs(initial))`, computed
            at once. None: each is drawn by the module's own initializer, with a key of (key, full name).
        trainable: False to train none of it, or a function of a parameter's own path.

    Returns:
        An `Adapter`.

    Raises:
        ImportError: Flax is not installed (`pip install 'jaxscope[flax]'`).
        TypeError: It is neither, or a module and `initial`.

    Example:
        >>> from flax import nnx
        >>> net = js.transform(js.interop.nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs), name="linear"))
        >>> list(net.spec(jnp.ones([1, 3])))
        ['linear/bias', 'linear/kernel']
    """
    flax_nnx = library("flax.nnx", "js.interop.nnx")
    if isinstance(module, flax_nnx.Module):
        if initial is not None:
            raise TypeError("a module has values: initial= is for functions that make one")
    elif not callable(module):
        raise TypeError(
            f"js.interop.nnx takes a module, or a function of nnx.Rngs, not {type(module).__name__}"
        )
    return Adapter(_Nnx(flax_nnx, module, method, initial, trainable), "NNX", name)


class _Split(NamedTuple):
    """A module, taken apart: what it is, what it draws with, and what are variables."""

    graph: Any
    random: list[tuple[Any, Any]]
    variables: list[tuple[Any, Any]]


class _Nnx:
    def __init__(self, nnx: Any, module: Any, method: Any, initial: Any, trainable: Trainable) -> None:
        self._nnx, self._method, self._initial, self._trainable = nnx, method, initial, trainable
        there = isinstance(module, nnx.Module)
        self._make: Any = None if there else module
        self._plans = Plans()
        self._given = plan_of(*self._known(module), trainable) if there else None

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plan = self._plan()
        nnx, split, values = self._nnx, plan.rest, plan.ask(self._initial)
        streams = [at for at, (_, one) in enumerate(split.random) if isinstance(one, nnx.RngKey)]
        given, refused = keys(len(streams))
        random = dict(zip(streams, given, strict=False))
        drawing = [(path, self._random(one, random.get(at))) for at, (path, one) in enumerate(split.random)]
        variables = [
            (path, one.replace(value)) for (path, one), value in zip(split.variables, values, strict=True)
        ]
        before = {path: value_of(one) for path, one in drawing}
        # Copies belong to the present trace, where alone a variable of NNX may be written.
        fresh = [(path, one.copy()) for path, one in [*drawing, *variables]]
        module = nnx.merge(split.graph, nnx.from_flat_state(fresh))
        method = self._method
        if method is None:
            result = module(*args, **kwargs)
        elif isinstance(method, str):
            result = getattr(module, method)(*args, **kwargs)
        else:
            result = method(module, *args, **kwargs)
        after = self._taken_apart(module)
        if refused is not None and any(value_of(one) is not before.get(path) for path, one in after.random):
            raise refused
        now = {path: one for path, one in after.variables if not isinstance(one, nnx.Intermediate)}
        known = {path for path, _ in split.variables}
        if known != set(now):
            raise restructured(
                "the module",
                [path_text(path) for path in known - set(now)],
                [path_text(path) for path in set(now) - known],
                "make all of the module's variables where the module is made",
            )
        write(plan.leaves, values, [value_of(now[path]) for path, _ in split.variables])
        return result

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Leaf]:
        return self._plan().leaves

    def named(self, trees: tuple[Any, ...]) -> dict[str, Any]:
        if len(trees) != 1 or not isinstance(trees[0], self._nnx.Module | self._nnx.State):
            raise TypeError("what NNX has is one module, or its nnx.State")
        state = self._nnx.state(trees[0]) if isinstance(trees[0], self._nnx.Module) else trees[0]
        found = [
            (self._leaf(path, one), value_of(one))
            for path, one in self._nnx.to_flat_state(state)
            if not isinstance(one, self._nnx.RngState)
        ]
        return by_name(found, self._trainable)

    def _plan(self) -> Plan:
        def make(key: Any, _: list[Any]) -> tuple[Found, Any]:
            return self._known(self._make(self._nnx.Rngs(key)))

        return self._given or self._plans.of((), make, (), self._trainable)

    def _taken_apart(self, module: Any) -> _Split:
        graph, state = self._nnx.split(module)
        flat = list(self._nnx.to_flat_state(state))
        is_random = [isinstance(one, self._nnx.RngState) for _, one in flat]
        pairs = list(zip(flat, is_random, strict=True))
        return _Split(
            graph, [pair for pair, flag in pairs if flag], [pair for pair, flag in pairs if not flag]
        )

    def _known(self, module: Any) -> tuple[Found, _Split]:
        """Return a leaf for each variable, its value, and what the module is, with no value in it."""
        split = self._taken_apart(module)
        found = [(self._leaf(path, one), value_of(one)) for path, one in split.variables]
        return found, _Split(split.graph, _bare(split.random), _bare(split.variables))

    def _leaf(self, path: tuple[Any, ...], one: Any) -> Leaf:
        value, text = value_of(one), path_text(path)
        trained = isinstance(one, self._nnx.Param)
        return leaf_of(text, text, value, trainable=trained, partitioner=_partitioner(one))

    def _random(self, one: Any, key: Any) -> Any:
        """Return a random state for a call: from a key, or one of which it will be seen if it is used."""
        like = value_of(one)
        if not isinstance(one, self._nnx.RngKey):
            return one.replace(jax.numpy.zeros(like.shape, like.dtype))
        return one.replace(shaped(jax.random.key(0) if key is None else key, like))


def value_of(variable: Any) -> Any:
    """Return what a variable of NNX holds."""
    return variable.get_value() if hasattr(variable, "get_value") else variable.value


def _bare(variables: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [
        (path, one.replace(jax.ShapeDtypeStruct(value_of(one).shape, value_of(one).dtype)))
        for path, one in variables
    ]


def _partitioner(variable: Any) -> Any:
    metadata = variable.get_metadata()
    axes = next(
        (metadata[name] for name in ("out_sharding", "sharding_names", "sharding") if metadata.get(name)),
        None,
    )
    if axes is None or all(axis is None for axis in axes):
        return None
    return axes if isinstance(axes, jax.sharding.PartitionSpec) else jax.sharding.PartitionSpec(*axes)
