"""Loaded: a mapping of full names to arrays, each read when it is asked for."""

import functools
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.tree_util import DictKey

import jaxscope as js
from jaxscope.checkpoint import along, beside
from jaxscope.checkpoint.plans import Plan
from jaxscope.checkpoint.reads import Read, fetched, struct_of
from jaxscope.checkpoint.report import Report
from jaxscope.errors import near


class Loaded(Mapping[str, jax.Array]):
    """Variables of a file or folder, each read when it is asked for, straight to where it is to live.

    `variables` has all of them; as a pytree, which `jax.jit` takes too, it is just those. The file is open as
    long as this object, or an array that stays in it, is there; it may be saved over or deleted meanwhile.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> saving = js.checkpoint.save(path, {"a/w": jnp.ones(3), "b": jnp.zeros(2)})
        >>> loaded = js.checkpoint.load(path)
        >>> loaded["b"]
        Array([0., 0.], dtype=float32)
    """

    def __init__(self, plan: Plan, key: jax.Array | None) -> None:
        self._stored, self._plan, self._key = plan.stored, plan, key
        # Weakly, so that what a training has gone beyond does not stay in memory.
        self._values: weakref.WeakValueDictionary[str, jax.Array] = weakref.WeakValueDictionary()
        self._names = [*plan.reads, *plan.drawn]

    def __getitem__(self, name: str) -> jax.Array:
        if name not in self:
            close = near(str(name), self)
            raise KeyError(f"no variable {name!r}" + (f"; near names: {close}" if close else ""))
        return self._read([name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._plan.reads or name in self._plan.drawn

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType] - Mapping says None

    def __repr__(self) -> str:
        return f"<Loaded {self._stored.path!r}: {len(self)} variables>"

    def _read(self, names: Iterable[str]) -> dict[str, jax.Array]:
        """Return variables: those that are alive, the others read or drawn."""
        alive = {name: value for name in names if (value := self._values.get(name)) is not None}
        found = {name: value for name, value in alive.items() if not value.is_deleted()}
        reads = {
            name: read
            for name in names
            if name not in found and (read := self._plan.reads.get(name)) is not None
        }
        with jax.ensure_compile_time_eval():  # arrays, also where a trace asks
            found |= zip(reads, fetched(self._stored, list(reads.values())), strict=True)
            drawn = [self._plan.drawn[name] for name in names if name not in found]
            if drawn:
                found |= self._drawn(js.VariableSpecs(drawn))
        self._values.update(found)
        return found

    def _drawn(self, specs: js.VariableSpecs) -> Mapping[str, jax.Array]:
        assert self._key is not None
        if self._plan.mesh is not None:
            return specs.init(self._key, mesh=self._plan.mesh)
        places = {name: place for name in specs if (place := self._plan.places[name]) is not None}
        here = js.VariableSpecs(spec for name, spec in specs.items() if name not in places)
        apart = js.VariableSpecs(specs[name] for name in places)
        frozen = [name for name, spec in apart.items() if not spec.trainable]
        made: js.Variables = jax.jit(apart.init, out_shardings=js.Variables(places, non_trainable=frozen))(
            self._key
        )
        return made | here.init(self._key)

    @property
    def variables(self) -> js.Variables:
        """All of them, as `Variables`, trainable as the specs say, or as they were when they were saved."""
        return js.Variables(self._read(self._names), non_trainable=self._plan.frozen)

    def shape_dtypes(self) -> js.Variables:
        """Return what stands for each of them, a `jax.ShapeDtypeStruct`, and read none."""
        found: dict[str, Any] = {
            name: struct_of(self._stored, read.wanted.name, None if read.impl else read.wanted.dtype)
            for name, read in self._plan.reads.items()
        }
        found |= dict(self._plan.drawn.shape_dtypes())
        return js.Variables(found, non_trainable=self._plan.frozen)

    @property
    def opt_state(self) -> Any:
        """The optimizer state, of the structure of `load`'s `opt_state`; None without that."""
        if self._plan.opt_state is None:
            return None
        leaves, tree = self._plan.opt_state
        at = [at for at, leaf in enumerate(leaves) if isinstance(leaf, Read)]
        with jax.ensure_compile_time_eval():
            values = dict(zip(at, fetched(self._stored, [leaves[one] for one in at]), strict=True))
        return jax.tree.unflatten(tree, [values.get(at, leaf) for at, leaf in enumerate(leaves)])

    @property
    def slots(self) -> dict[str, np.ndarray[Any, Any]]:
        """What a TF1 file has of its optimizer, under the names that `js.optim.from_tf1_slots` asks for.

        Slots follow their variables, whatever these are called here; scopes in which an optimizer was made
        are left out, unless two then had one name. {} for files of others.
        """
        if not self._stored.tf1:
            return {}
        names = beside.slots(self._stored.entries, self._plan.given)
        return {new: self._stored.host(name) for new, name in names.items()}

    @functools.cached_property
    def step(self) -> int | None:
        """The step that was saved, in a TF1 file `global_step`; None for none."""
        return along.step_of(self._stored)

    @functools.cached_property
    def key(self) -> jax.Array | None:
        """The key or keys that were saved, typed or legacy as they were; None for none."""
        with jax.ensure_compile_time_eval():
            return along.key_of(self._stored)

    @property
    def report(self) -> Report:
        """What was used, renamed, left, missing and cast, as one table."""
        return self._plan.report


def _flatten(loaded: Loaded) -> tuple[tuple[Any, ...], Any]:
    leaves, tree = jax.tree.flatten(loaded.variables)
    return tuple(leaves), tree


def _flatten_with_keys(loaded: Loaded) -> tuple[tuple[Any, ...], Any]:
    leaves, tree = _flatten(loaded)
    return tuple(zip(map(DictKey, loaded.variables), leaves, strict=True)), tree


def _unflatten(tree: Any, leaves: Any) -> Any:
    return jax.tree.unflatten(tree, leaves)


# What is made of it is not read from a file: it is `Variables`.
jax.tree_util.register_pytree_with_keys(Loaded, _flatten_with_keys, _unflatten, _flatten)
