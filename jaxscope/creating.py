"""Making new variables: what is checked, the variable creators, and js.Variable, which always makes one."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope import names, tables
from jaxscope.books import GLOBAL, GLOBAL_TRAINABLE, Entry, GraphKeys
from jaxscope.errors import CollectionError, GetterError, TemplateError, near
from jaxscope.initial import constant, dtype_conflict, resolve
from jaxscope.passes import Pass, current
from jaxscope.scopes import as_dtype, widens
from jaxscope.sites import here


def collections_of(given: Any, trainable: bool) -> tuple[str, ...]:
    """Return the names of the collections of a new variable, each once (R42)."""
    if isinstance(given, str) or not isinstance(given, Iterable | None):
        raise CollectionError(
            f"collections must be a list of names, not {given!r}",
            code="collections_not_a_list",
            at=here(),
            fix=f"pass [{given!r}]" if isinstance(given, str) else "pass a list of strings",
        )
    if given is None:
        return GLOBAL_TRAINABLE if trainable else GLOBAL
    unique = tuple(dict.fromkeys(given))
    if trainable and GraphKeys.TRAINABLE_VARIABLES not in unique:
        return (*unique, GraphKeys.TRAINABLE_VARIABLES)
    return unique


def as_trainable(trainable: Any, name: str) -> bool:
    """Return `trainable` as True or False; None is True, as in TF1."""
    if trainable is None:
        return True
    if isinstance(trainable, bool | np.bool_):
        return bool(trainable)
    raise CollectionError(
        f"trainable={tables.describe(trainable)} has no meaning for variable {name!r}",
        code="bad_trainable",
        at=here(),
        fix="pass True or False, known while tracing",
    )


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


def Variable(  # noqa: N802 - TF1's name
    initial_value: Any,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    regularizer: Callable[[jax.Array], Any] | None = None,
    constraint: Any = None,
) -> jax.Array:
    """Return a new variable, always: a name that is taken gets a number.

    Ignores `reuse` and the scope's options; `get_variable` never finds it.

    Args:
        initial_value: An array, a number, a list, or a function without arguments that returns one.
            It may be computed from the function's arguments.
        trainable: Whether the value belongs to what gradients are taken of.
        collections: The collections to put it in, instead of `variables`.
        name: The own name, behind the path of the name scopes that are open; `Variable` if left out.
        dtype: The element type; the initial value's if left out.
        regularizer: A function of the value that returns a scalar loss.
        constraint: A function that projects a new value, for optimizers to call.

    Returns:
        An array.

    Raises:
        InvalidNameError: The name is no string, or has characters that names may not have.
        CollectionError: `trainable_variables` is listed for a variable that is not trainable.
        TemplateError: A template's later call would make it.
        VariableNotFoundError: It is not among the variables given to `apply`.
        TraceError: The initial value is computed inside an inner trace.
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.Variable`.

    Example:
        >>> import jaxscope as js
        >>> net = js.transform(lambda: (js.Variable(0.0, name="step"), js.Variable(0.0, name="step")))
        >>> list(net.spec())
        ['step', 'step_1']
    """
    run = current("Variable")
    run.count_names()
    _check_own_name(run, "Variable" if name is None else name)
    trainable = as_trainable(trainable, name or "Variable")
    site = here()
    value: Any
    shape: tuple[int, ...] | None
    own = name or "Variable"
    if callable(initial_value):
        start = initial_value if dtype is None else lambda: jnp.asarray(initial_value(), dtype)
        value, shape, asked = resolve(own, start, None, dtype, False, site)
    else:
        value = constant(own, initial_value, site)
        if dtype is not None:
            if not widens(value.dtype, as_dtype(dtype)):
                raise dtype_conflict(own, value.dtype, as_dtype(dtype), site)
            value = (
                jnp.asarray(value, dtype)
                if isinstance(value, jax.Array)
                else np.asarray(value, as_dtype(dtype))
            )
        shape, asked = value.shape, value.dtype
    entry = Entry(own, shape, asked)
    entry.keep_in(collections_of(collections, trainable), trainable=trainable)
    entry.site = site
    entry.by_get = False
    entry.initializer, entry.regularizer, entry.constraint = value, regularizer, constraint
    check_new(run, entry)
    if run.creators:
        return cast(jax.Array, through_creators(run, entry, dtype is not None, name, collections))
    mark = run.name_scopes.mark()
    entry.name = _own_name(run, name)
    try:
        return cast(jax.Array, run.make(entry, dtype is not None))
    except BaseException:
        run.name_scopes.undo(mark)
        raise
