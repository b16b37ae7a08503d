"""Depth: layers that run as one scan, and members of an ensemble as one vmap."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope import tables
from jaxscope.errors import InvalidNameError, InvalidShapeError, TraceError
from jaxscope.lifting import Block, Surroundings, placeholders
from jaxscope.passes import Pass, current
from jaxscope.recipes import CannotLiftError, Recipe
from jaxscope.recording import Recording
from jaxscope.scoping import variable_scope
from jaxscope.sites import here
from jaxscope.stacking import Group, stacked_values
from jaxscope.staging import Call, Result

P = ParamSpec("P")
R = TypeVar("R")


class _Layers(Generic[P, R]):
    """What `scan_layers` and `ensemble` share: one block, and variables of many scopes, stacked."""

    def __init__(self, block: Callable[P, R], length: int, name: str) -> None:
        for number in (block, length):
            if not (callable(number) if number is block else isinstance(number, int)):
                raise TypeError(
                    f"js.scan_layers and js.ensemble take a function and a number, not {number!r}"
                )
        if "{}" not in name or name.count("{}") != 1 or "/" in name:
            raise InvalidNameError(
                f"the name of layers must have one {{}} for their numbers, and no slash, unlike {name!r}",
                code="layer_name",
                at=here(),
                fix='pass name="layer_{}", say',
            )
        if length < 1:
            raise InvalidShapeError(
                f"the number of layers must be at least 1, and is {length}",
                code="layer_number",
                at=here(),
                fix="pass the number of times that the block is to run",
            )
        self._function = block
        self._block = Block(block)
        self._length = length
        self._name = name
        self.__wrapped__ = block
        self.__name__ = getattr(block, "__name__", "block")
        self.__doc__ = block.__doc__

    def _prepare(self, run: Pass, what: str, call: Call) -> "_Prepared | None":
        """Return the block's recipe in one layer, and the variables of all layers, stacked.

        None where the layers have to run one by one: where the block fails, or a rule has to see each.
        """
        mark = run.name_scopes.mark()
        with variable_scope(self._scope(0)) as scope:
            surroundings = Surroundings.of(run)
            try:
                recipe = self._block.recipe(run, call, surroundings)
            except CannotLiftError as problem:
                meaning = f"js.{what} runs its block for all layers at once"
                raise problem.error(run, meaning, ", or run the layers in a Python loop") from None
            except Exception as problem:
                if getattr(problem, "code", "") == "write_in_block":
                    raise  # what to write instead, in the block
                recipe = None  # the layers in a loop say what is wrong, by full names
            getter = scope.custom_getter
        run.name_scopes.undo(mark)
        if recipe is None or (getter is not None and recipe.writes):
            return None
        prepared = _Prepared(recipe, surroundings)
        group = Group(run.scope._prefix, self._name, self._length, recipe.requests)
        before = run.groups.get(group.pattern)
        if getter is None and isinstance(before, Group) and before.shared_by(group):
            prepared.group = before
        elif getter is None and self._at_once(run, group, recipe):
            group.values = stacked_values(run, group)
        if group.values:
            run.add_group(group)
            prepared.group = group
        if prepared.group is not None:
            prepared.values = prepared.group.values
            self._enter_all(run, recipe)
        else:
            entries = self._one_by_one(run, recipe, getter)
            if entries is None:
                return None
            prepared.entries = entries
            prepared.values = {
                name: jnp.stack([run.read(entry) if entry else value for entry, value in column])
                for name, column in entries.items()
            }
        if recipe.keys:
            scopes = [run.scope._prefix + self._scope(index) for index in range(self._length)]
            prepared.words, prepared.counts = recipe.key_arguments(run, surroundings.stream, scopes)
        return prepared

    def _scope(self, index: int) -> str:
        return self._name.replace("{}", str(index))

    def _enter_all(self, run: Pass, recipe: Recipe) -> None:
        """Enter the scopes of all layers into the books."""
        if run.assuming or run.traces.memory.numbered:
            for index in range(self._length):
                with variable_scope(self._scope(index)):
                    recipe.enter(run)
            return
        above = run.scope._prefix
        run.counts.log += [above + self._scope(index) for index in range(self._length)]
        run.skipped_scopes = True

    def _at_once(self, run: Pass, group: Group, recipe: Recipe) -> bool:
        """Tell whether no rule has to see single layers: then their entries are made when asked for."""
        return not (
            run.creators
            or run.frozen
            or run.assuming
            or (recipe.writes and not run.traces.at_root)
            or any(request.regularizer is not None or request.reuse is True for request in recipe.requests)
            or any(name.startswith(group.prefix) for name in (*run.entries, *run.groups))
        )

    def _one_by_one(self, run: Pass, recipe: Recipe, getter: Any) -> dict[str, list[Any]] | None:
        """Ask for the variables of each layer; None where one is refused, or is not like the others."""
        columns: dict[str, list[Any]] = {request.name: [] for request in recipe.requests}
        run.settle()
        before, mark = set(run.entries), run.name_scopes.mark()
        try:
            for index in range(self._length):
                with variable_scope(self._scope(index)) as scope:
                    if not all(request.fits(run, scope._prefix) for request in recipe.requests):
                        break
                    for request in recipe.requests:
                        value = request.ask(run, scope._prefix, getter)
                        entry = None if getter else run.entries[scope._prefix + request.name]
                        columns[request.name].append((entry, value))
                    recipe.enter(run)
            else:
                return columns
        except Exception:  # noqa: BLE001, S110 - it comes again in a loop over the layers, from its own line
            pass
        run.forget([name for name in run.entries if name not in before])
        run.name_scopes.undo(mark)
        return None

    def _write(self, run: Pass, prepared: "_Prepared", writes: dict[str, Any]) -> None:
        for name, values in writes.items():
            if prepared.group is not None:
                run.write(prepared.group.stacked_entry(name), values)
                continue
            for index, (entry, _) in enumerate(prepared.entries[name]):
                run.write(entry, None if values is None else values[index])
        run.changed()


class _Prepared:
    """All that a run of the layers needs."""

    group: Group | None = None
    words: Any = None
    counts: Any = None

    def __init__(self, recipe: Recipe, surroundings: Surroundings) -> None:
        self.recipe = recipe
        self.surroundings = surroundings
        self.values: dict[str, Any] = {}
        self.entries: dict[str, list[Any]] = {}

    def play(self, block: Block, values: Any, words: Any, counts: Any, args: Any, kwargs: Any) -> Any:
        """Run the block in one layer."""
        stream = self.surroundings.stream
        key = None if stream is None else stream.key
        return block.play(self.recipe, self.surroundings, values, key, words, counts, args, kwargs)


_NUMBERS = jax.Array | np.ndarray | np.generic | bool | int | float | complex


class Scanned(_Layers[P, R]):
    """Layers that run as one `jax.lax.scan`; made by `scan_layers`."""

    def __init__(self, block: Callable[P, R], length: int, name: str, unroll: int | bool, remat: Any) -> None:
        super().__init__(block, length, name)
        self._unroll = unroll
        self._remat = remat

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the layers, the first argument of each being what the one before returned.

        Raises:
            TypeError: There is no first argument.
            TraceError: The block returns another type than it takes (code `carry`), or asks for something
                that names relative to its scope cannot say (`cannot_lift`).
        """
        run = current("scan_layers")
        if not args:
            raise TypeError("the first argument, which goes from layer to layer, must be given by position")
        x, *rest = cast("tuple[Any, ...]", args)
        leaves, structure = jax.tree.flatten(x)
        if all(isinstance(leaf, _NUMBERS) for leaf in leaves):
            arrays = [leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for leaf in leaves]
            x = jax.tree.unflatten(structure, arrays)
            prepared = self._prepare(run, "scan_layers", Call((x, *rest), kwargs))
        else:
            prepared = None  # a Python value that goes from layer to layer can't go through a scan
        if prepared is None:
            for index in range(self._length):
                with variable_scope(self._scope(index)):
                    x = cast(Any, self._function)(x, *rest, **kwargs)
            return cast(R, x)
        if isinstance(run, Recording):
            _check_carry(prepared.recipe.result, x)
            self._write(run, prepared, dict.fromkeys(prepared.recipe.writes))
            return cast(R, placeholders(prepared.recipe.result))

        def layer(x: Any, xs: Any) -> Any:
            values, words, counts = xs
            return prepared.play(self._block, values, words, counts, (x, *rest), kwargs)

        if self._remat is not False and self._remat is not None:
            policy = None if self._remat is True else self._remat
            layer = jax.checkpoint(layer, policy=policy, prevent_cse=False)
        xs = (prepared.values, prepared.words, prepared.counts)
        with run.traces.neutral():  # the layers make no request of this pass
            try:
                x, writes = jax.lax.scan(layer, x, xs, length=self._length, unroll=self._unroll)
            except TypeError:
                first = jax.tree.map(lambda stack: stack[0], xs)
                _check_carry(jax.eval_shape(layer, x, first)[0], x)
                raise
        self._write(run, prepared, writes)
        return cast(R, x)


class Ensemble(_Layers[P, R]):
    """Members that run side by side as one `jax.vmap`; made by `ensemble`."""

    def __init__(self, block: Callable[P, R], size: int, name: str, in_axes: int | None) -> None:
        super().__init__(block, size, name)
        self._in_axes = in_axes

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the members; each array that they return has a leading axis of members."""
        run = current("ensemble")
        call = Call(args, kwargs)
        arrays = call.arrays
        if self._in_axes is not None:
            call.arrays = [_without_axis(array, self._in_axes, self._length) for array in arrays]
        prepared = self._prepare(run, "ensemble", call)
        kept = call.without_arrays()
        if prepared is None:
            return self._one_after_the_other(kept, arrays)
        if isinstance(run, Recording):
            self._write(run, prepared, dict.fromkeys(prepared.recipe.writes))
            return cast(R, placeholders(prepared.recipe.result, self._length))

        def member(values: Any, words: Any, counts: Any, arrays: Any) -> Any:
            args, kwargs = kept.join(arrays)
            result, writes = prepared.play(self._block, values, words, counts, args, kwargs)
            return Result(result), writes

        members = jax.vmap(member, in_axes=(0, 0, 0, self._in_axes), axis_size=self._length)
        with run.traces.neutral():  # the members make no request of this pass
            result, writes = members(prepared.values, prepared.words, prepared.counts, arrays)
        self._write(run, prepared, writes)
        return cast(R, result.value())

    def _one_after_the_other(self, call: Call, arrays: list[Any]) -> R:
        results: list[Any] = []
        for index in range(self._length):
            with variable_scope(self._scope(index)):
                own = arrays if self._in_axes is None else [jnp.take(a, index, self._in_axes) for a in arrays]
                args, kwargs = call.join(own)
                results.append(cast(Any, self._function)(*args, **kwargs))
        return cast(R, jax.tree.map(lambda *leaves: jnp.stack(leaves), *results))


def _without_axis(array: Any, axis: int, size: int) -> jax.ShapeDtypeStruct:
    shape = list(array.shape)
    if not -len(shape) <= axis < len(shape) or shape[axis] != size:
        raise InvalidShapeError(
            f"{tables.describe(array)} has no axis {axis} of {size} members",
            code="member_axis",
            at=here(),
            fix="give each array among the arguments an axis of the ensemble's members, or use in_axes=None",
        )
    del shape[axis]
    return jax.ShapeDtypeStruct(tuple(shape), array.dtype)


def _check_carry(result: Any, x: Any) -> None:
    given, returned = jax.tree.map(tables.describe, x), jax.tree.map(tables.describe, result)
    if given != returned:
        raise TraceError(
            "the block of js.scan_layers must return what its first argument is",
            code="carry",
            at=here(),
            takes=given,
            returns=returned,
            fix="cast or reshape the result to the type of the first argument, or change what goes in",
        )


def scan_layers(
    block: Callable[P, R],
    length: int,
    name: str = "layer_{}",
    *,
    unroll: int | bool = 1,
    remat: Any = False,
) -> Scanned[P, R]:
    """Return a function that runs a block `length` times as one `jax.lax.scan`, with variables for each.

    The variables are those of the loop `for i in range(length): with js.variable_scope(name.format(i)):
    x = block(x)`: the same names, the same initial bits, the same random keys, the same checkpoint. They may
    be given layer by layer, or stacked (`variables.stack(name)`), which spares `apply` the stacking.

    Args:
        block: A function of x and perhaps more that returns what x becomes, of the same shapes and dtypes.
        length: How many layers.
        name: The name of their scopes, with `{}` for the number, from 0.
        unroll: As of `jax.lax.scan`.
        remat: Whether to compute again in the backward pass what is inside a layer: True, or a policy of
            `jax.checkpoint_policies`.

    Returns:
        A function of the block's arguments. The first goes from layer to layer, the others to all.

    Raises:
        InvalidNameError: `name` has no `{}`.
        InvalidShapeError: `length` is below 1.
        TraceError: On a call: the block returns another type than it takes (code `carry`), or asks for
            something that names relative to its scope cannot say (`cannot_lift`).

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> def layer(x):
        ...     return jnp.tanh(x @ js.get_variable("w", [4, 4]))
        >>> net = js.transform(js.scan_layers(layer, 3))
        >>> variables = net.init(jax.random.key(0), jnp.ones(4))
        >>> list(variables)
        ['layer_0/w', 'layer_1/w', 'layer_2/w']
        >>> {name: v.shape for name, v in variables.stack("layer_{}").items()}
        {'layer_{}/w': (3, 4, 4)}
    """
    return Scanned(block, length, name, unroll, remat)


def ensemble(
    block: Callable[P, R], size: int, name: str = "member_{}", *, in_axes: int | None = None
) -> Ensemble[P, R]:
    """Return a function that runs a block `size` times side by side, each time with its own variables.

    The variables are those of a loop over the members' scopes, as in `scan_layers`; the members run as
    one `jax.vmap`.

    Args:
        block: A function that asks for variables.
        size: How many members.
        name: The name of their scopes, with `{}` for the number, from 0.
        in_axes: None to give all members the same arguments; 0 if each array among them has a leading
            axis of members.

    Returns:
        A function of the block's arguments, whose results have a leading axis of members.

    Raises:
        InvalidNameError: `name` has no `{}`.
        InvalidShapeError: `size` is below 1.
        TraceError: On a call: the block asks for something that relative names cannot say.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> net = js.transform(js.ensemble(lambda x: x @ js.get_variable("w", [4, 2]), 5))
        >>> variables = net.init(jax.random.key(0), jnp.ones(4))
        >>> len(variables), net.apply(variables, jnp.ones(4)).shape
        (5, (5, 2))
    """
    return Ensemble(block, size, name, in_axes)
