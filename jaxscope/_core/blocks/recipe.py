"""Recipes: what a block asks for, by names relative to its scope, and how that is asked for elsewhere."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.sites import Site
from jaxscope._core.blocks.keys import Key
from jaxscope._core.model.get_variable import ask_for, ask_through
from jaxscope._core.model.random_keys import Stream, check_taking
from jaxscope._core.passes.running import Pass
from jaxscope._core.requests.arguments import Reuse
from jaxscope._core.scopes.numbering import NameScopes
from jaxscope.errors import TraceError


class CannotLiftError(BaseException):
    """Ends the recording of a block that asks for something beyond names relative to its scope."""

    def __init__(self, what: str, site: Site) -> None:
        super().__init__(what)
        self.what = what
        self.site = site

    def error(self, run: Pass, meaning: str, fix: str) -> TraceError:
        """Return the error for users: what was meant, and how to write it otherwise."""
        return TraceError(
            f"{meaning}, and the block uses {self.what}",
            code="cannot_lift",
            at=self.site,
            scope=run.describe_scope(),
            fix=f"keep that out of the block{fix}",
        )


class Request(NamedTuple):
    """One variable that a block makes, by its relative name: what it is, and how it was asked for."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    explicit: bool
    initializer: Any
    regularizer: Any
    reuse: Reuse
    trainable: bool
    collections: tuple[str, ...]
    partitioner: Any
    constraint: Any
    site: Site
    asked: tuple[Any, ...]  # the arguments of `ask_for`, from shape on
    plain: bool  # whether it may take the short way of `Pass.take`

    def ask(self, run: Pass, scope: str, getter: Callable[..., Any] | None = None) -> Any:
        """Ask for the variable in a pass, below the scope whose names begin with `scope`."""
        name = scope + self.name
        if getter is not None:
            return ask_through(run, getter, self.explicit, name, *self.asked)
        options = run.scope._options
        if self.plain and options.partitioner is options.constraint is None:
            taken = run.take(
                name, self.shape, self.dtype, self.initializer, self.trainable, self.explicit, self.site
            )
            if taken is not None:
                return taken
        # Specs show the line in the block, not the block's call.
        return ask_for(run, self.explicit, name, *self.asked, site=self.site)

    def fits(self, run: Pass, scope: str) -> bool:
        """Tell whether the variable is new, or what the block was recorded with."""
        entry = run.settled(scope + self.name)
        return entry is None or (entry.shape == self.shape and entry.dtype == self.dtype)


class CountedScopes(NameScopes):
    """Notes which name scopes a block opens."""

    def __init__(self) -> None:
        super().__init__()
        self.asks: list[tuple[str, str, str]] = []

    def ask(self, name: str, entries: Mapping[str, Any]) -> str:
        given = super().ask(name, entries)
        own = name.removeprefix(self.path + "/") if self.path else name
        self.asks.append((self.path, own, given))
        return given


class Recipe:
    """What a block asks for: variables, keys, scopes that it enters, and what it returns."""

    def __init__(
        self,
        requests: list[Request],
        keys: list[Key],
        writes: tuple[str, ...],
        entered: list[str],
        asks: tuple[tuple[str, str, str], ...],
        result: Any,
        *,
        numbers_scopes: bool,
        has_getters: bool,
    ) -> None:
        self.requests = requests
        self.keys = keys
        self.writes = writes
        self.entered = entered
        self.asks = asks  # what name scopes it opens
        self.result = result  # of shapes and dtypes
        self.numbers_scopes = numbers_scopes
        self.has_getters = has_getters
        self.program: Any = None  # the jitted block, where it is called by `js.jit`

    def enter(self, run: Pass) -> None:
        """Enter into the books, below the current scope, the scopes that the block enters."""
        run.counts.log += [run.scope._prefix + path for path in self.entered]
        if run.assuming or run.traces.memory.numbered:
            run.name_scopes.again(self.asks, run.entries)
        elif self.asks:
            run.skipped_scopes = True

    def key_arguments(self, run: Pass, stream: Stream | None, scopes: list[str]) -> tuple[Any, Any]:
        """Return words and counts of the block's keys in each of some scopes, and count them as taken.

        Args:
            run: The pass that the block is called in.
            stream: The stream that is open around the block.
            scopes: Full names of the scopes that the block runs in, one after the other.

        Returns:
            uint32[scopes, keys, 2] and uint32[scopes, keys]; None for both where the block takes no keys.
        """
        if not self.keys:
            return None, None
        if stream is not None:
            check_taking(run, stream)
        rows: list[list[tuple[Any, Any]]] = []
        for scope in scopes:
            row: list[tuple[Any, Any]] = []
            for key in self.keys:
                name = "/".join(part for part in (scope, key.scope) if part)
                own = key.own or stream is None
                row.append((run.words(name), key.number) if own else cast(Stream, stream).parts(name))
            rows.append(row)
        return _stacked(rows, 0), _stacked(rows, 1)


def _stacked(rows: list[list[tuple[Any, Any]]], part: int) -> Any:
    """Return words or counts as uint32[scopes, keys, ...]."""
    cells = [[pair[part] for pair in row] for row in rows]
    if any(isinstance(cell, jax.Array) for row in cells for cell in row):  # those of a block around this one
        return jnp.stack([jnp.stack([jnp.asarray(cell, np.uint32) for cell in row]) for row in cells])
    return np.array(cells, np.uint32)
