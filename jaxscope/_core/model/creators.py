"""Variable creators: functions that the making of a variable goes through."""

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

from jaxscope._core.base import names
from jaxscope._core.base.sites import here
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import Pass, current
from jaxscope._core.requests.arguments import (
    as_trainable,
    collections_of,
)
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope.errors import (
    CollectionError,
    GetterError,
    TemplateError,
    near,
)


@contextlib.contextmanager
def variable_creator_scope(creator: Callable[..., Any]) -> Generator[None]:
    """Send the making of variables through a function.

    Args:
        creator: `c(next_creator, **kwargs)`, which returns `next_creator(**kwargs)`, perhaps with
            other arguments: `initial_value`, `trainable`, `collections`, `name`, `shape`, `dtype`,
            `regularizer`, `constraint`. The innermost scope's runs first. For `get_variable`, `name`
            is the full name, and changing it does nothing.

    Raises:
        GetterError: `creator` is not callable.
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.variable_creator_scope`.

    Example:
        >>> import jaxscope as js
        >>> def frozen(next_creator, **kwargs):
        ...     return next_creator(**{**kwargs, "trainable": False})
        >>> @js.transform
        ... def net():
        ...     with js.variable_creator_scope(frozen):
        ...         return js.get_variable("w", [2])
        >>> net.spec()["w"].trainable
        False
    """
    run = current("variable_creator_scope")
    if not callable(creator):
        raise GetterError(
            f"a variable creator must be callable, and {creator!r} is not",
            code="creator_not_callable",
            at=here(),
            fix="pass a function c(next_creator, **kwargs) that returns next_creator(**kwargs)",
        )
    before = run.creators
    run.creators = (creator, *before)
    if run.traces.active:
        run.rekey()
    try:
        yield
    finally:
        run.creators = before
        if run.traces.active:
            run.rekey()


def through_creators(
    run: Pass, entry: Entry, explicit: bool, name: str | None, collections: Iterable[str] | None
) -> Any:
    """Make a variable through the creators (R41); those of `js.Variable` may rename it, others not."""
    made: list[Entry] = []

    def make(**kwargs: Any) -> Any:
        mark = run.name_scopes.mark()
        try:
            return make_named(**kwargs)
        except BaseException:
            run.name_scopes.undo(mark)  # R24: a name that was asked for in vain is free
            raise

    def make_named(**kwargs: Any) -> Any:
        trainable = as_trainable(kwargs.get("trainable"), entry.name)
        new = Entry(
            entry.name if entry.by_get else _own_name(run, kwargs.get("name")),
            kwargs.get("shape", entry.shape),
            kwargs.get("dtype", entry.dtype),
        )
        new.keep_in(collections_of(kwargs.get("collections"), trainable), trainable=trainable)
        new.site = entry.site
        new.by_get = entry.by_get
        new.initializer = kwargs.get("initial_value", entry.initializer)
        new.regularizer = kwargs.get("regularizer")
        new.constraint = kwargs.get("constraint")
        new.sharding = kwargs.get("partitioner")
        check_new(run, new)
        value = run.make(new, explicit)
        made.append(new)
        return value

    before = run.mark()
    try:
        step: Callable[..., Any] = make
        for creator in reversed(run.creators):
            step = _Creator(creator, step)
        step(
            initial_value=entry.initializer,
            trainable=entry.trainable,
            collections=collections,
            name=name,
            shape=entry.shape,
            dtype=entry.dtype,
            regularizer=entry.regularizer,
            constraint=entry.constraint,
            partitioner=entry.sharding,
        )
        if len(made) != 1:
            raise GetterError(  # noqa: TRY301 - undone like any other failure
                f"the variable creators made {len(made)} variables for {entry.name!r}",
                code="creator_made_none",
                at=entry.site,
                fix="call next_creator(**kwargs) once, and return what it returns",
            )
    except BaseException:
        run.undo(before)  # R24: also what was made before a creator failed
        raise
    return run.read(made[0])


class _Creator:
    __slots__ = ("_creator", "_next")

    def __init__(self, creator: Callable[..., Any], following: Callable[..., Any]) -> None:
        self._creator = creator
        self._next = following

    def __call__(self, **kwargs: Any) -> Any:
        return self._creator(self._next, **kwargs)


def check_new(run: Pass, entry: Entry) -> None:
    """Raise an error if a new variable contradicts its collections (R45) or a template (R51)."""
    if not entry.trainable and GraphKeys.TRAINABLE_VARIABLES in entry.collections:
        raise CollectionError(
            f"variable {entry.name!r} is not trainable, and is put in 'trainable_variables'",
            at=entry.site,
            scope=run.describe_scope(),
            fix="leave out that collection, or pass trainable=True",
        )
    if run.frozen:
        raise TemplateError(
            f"a template's later call would make variable {entry.name!r}",
            at=entry.site,
            scope=run.describe_scope(),
            near=near(entry.name, run.entries),
            fix="make all variables in the template's first call; only its later calls share them",
        )


def _own_name(run: Pass, name: str | None) -> str:
    """Return the full name of a new `js.Variable`, which is asked for here (R55)."""
    own = "Variable" if name is None else name
    _check_own_name(run, own)
    run.settle()
    return run.name_scopes.ask(names.join(run.name_scopes.path, own), run.entries)


def _check_own_name(run: Pass, own: Any) -> None:
    names.check_string(own, "variable", here())
    first = not run.name_scopes.path
    if not names.is_valid(own, first):
        raise names.invalid(own, "variable", here(), first=first)
