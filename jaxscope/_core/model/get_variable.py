"""Asking for a variable by name: get_variable, get_local_variable, Variable, set_variable."""

from collections.abc import Callable, Iterable
from typing import Any

import jax

from jaxscope._core.base import compat, names
from jaxscope._core.base.describe import shape_text
from jaxscope._core.base.sites import Site, here
from jaxscope._core.model.creators import check_new, through_creators
from jaxscope._core.model.getters import NextGetter
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import Pass, current, fits
from jaxscope._core.requests.arguments import (
    GETTER_ARGUMENTS,
    Reuse,
    as_dtype,
    as_shape,
    as_trainable,
    check_getter,
    check_initializer,
    collections_of,
)
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.requests.starts import constant, dtype_conflict, is_constant, resolve
from jaxscope.errors import (
    DtypeMismatchError,
    InitializerError,
    JaxscopeError,
    ShapeMismatchError,
    VariableExistsError,
    VariableNotFoundError,
    near,
)


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Callable[[jax.Array], Any] | None = None,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    *,
    partitioner: Any = None,
    constraint: Any = None,
    custom_getter: Callable[..., Any] | None = None,
) -> jax.Array:
    """Return the variable called `name` in the current scope; make it where the scope's `reuse` says so.

    Args:
        name: The last part of the full name: `"w"` inside scope `mlp/dense` is `mlp/dense/w`.
        shape: Axis lengths, in elements. May be left out for a variable that exists, and where the
            initializer gives it.
        dtype: The element type; the scope's (float32) if left out.
        initializer: `(key, shape, dtype) -> array`, or a constant: an array, a number or a list. The
            scope's if left out; else Glorot uniform for floats and zeros for integers and booleans.
        regularizer: A function of the value that returns a scalar loss, kept in the collection
            `regularization_losses`; `js.no_regularizer` for none where the scope has one.
        trainable: Whether the value belongs to what gradients are taken of (None: it does, as in TF1); if
            not, `set_variable` may write it.
        collections: The collections to put it in, instead of `variables`.
        partitioner: A sharding annotation: a `PartitionSpec`, or a function of (shape, dtype).
        constraint: A function that projects a new value, for optimizers to call.
        custom_getter: `g(getter, name, **kwargs)` that the request goes through, in the place of the
            scope's getters.

    Returns:
        An array of that shape and dtype. Two requests for one variable give one object.

    Raises:
        InvalidNameError: The name is no string, or has characters that names may not have.
        VariableExistsError: The name is taken, and the scope's reuse is False.
        VariableNotFoundError: The scope's reuse is True and this pass has not made the name; or it is
            not among the variables given to `apply`.
        ShapeMismatchError: The variable exists with another shape.
        DtypeMismatchError: The variable exists with another dtype than the one passed.
        MissingShapeError: A new variable has no shape.
        InvalidShapeError: A size is negative, traced, or no whole number.
        InitializerError: The initializer is a string, does not fit shape or dtype, or returns others.
        GetterError: The custom getter cannot be called as one.
        CollectionError: `trainable_variables` is listed for a variable that is not trainable, or
            `trainable` is neither True nor False.
        InvalidDtypeError: The dtype is none.
        TemplateError: A template's later call would make it.
        NoPassError: Outside a transformed function.
        TypeError: The regularizer is not callable.

    Source:
        `tf.compat.v1.get_variable`.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> net = js.transform(lambda x: x @ js.get_variable("w", [x.shape[-1], 2]))
        >>> {name: v.shape for name, v in net.init(jax.random.key(0), jnp.ones(3)).items()}
        {'w': (3, 2)}
    """
    run = current("get_variable")
    # The short way: nearly all requests are like this, and each trace of a model makes all of them.
    scope = run.scope
    options = scope._options
    if (
        options.plain
        and type(name) is str
        and name in names.sound
        and (initializer is None or callable(initializer))
        and (trainable is True or trainable is False)
        and dtype is None
        and regularizer is None
        and collections is None
        and partitioner is None
        and constraint is None
        and custom_getter is None
    ):
        start = options.initializer if initializer is None else initializer
        taken = run.take(scope._prefix + name, shape, options.dtype, start, trainable)
        if taken is not None:
            return taken
    made: jax.Array = _ask(
        run,
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        trainable,
        collections,
        partitioner,
        constraint,
        custom_getter,
    )
    return made


def _ask(
    run: Pass,
    name: str,
    shape: Any,
    dtype: Any,
    initializer: Any,
    regularizer: Any,
    trainable: Any,
    collections: Any,
    partitioner: Any,
    constraint: Any,
    custom_getter: Any,
) -> Any:
    """Return a variable by its name in the current scope; the checks come in R23's order, up to (5)."""
    full = ""
    try:
        scope = run.scope
        if type(name) is not str:
            names.check_string(name, "variable", here())
        full = scope._prefix + name
        options = scope._options
        if not options.named or not names.is_valid(name, not scope._prefix):
            raise names.invalid(full if name else name, "variable", here())
        if initializer is None:
            initializer = options.initializer
        elif type(initializer) is str:
            check_initializer(initializer, f"variable {full!r}")
        elif dtype is not None and is_constant(initializer):
            given = constant(full, initializer, here()).dtype
            if given != as_dtype(dtype):
                raise dtype_conflict(full, given, as_dtype(dtype), here())
        explicit = dtype is not None
        if trainable is not True and trainable is not False:
            trainable = as_trainable(trainable, full)
        check_getter(custom_getter)
        getter = options.custom_getter if custom_getter is None else custom_getter
        dtype = as_dtype(dtype) if explicit else options.dtype
        if regularizer is None:
            regularizer = options.regularizer
        elif not callable(regularizer):
            raise TypeError(f"the regularizer of {full!r} must be a function, not {regularizer!r}")
        arguments = (
            full,
            shape,
            dtype,
            initializer,
            regularizer,
            options.reuse,
            trainable,
            collections,
            options.partitioner if partitioner is None else partitioner,
            options.constraint if constraint is None else constraint,
        )
        if getter is not None:
            return ask_through(run, getter, explicit, *arguments)
        return ask_for(run, explicit, *arguments)
    except JaxscopeError as error:
        lost = error.code == "no_shape"
        error.add(at=here(), scope=run.describe_scope(), near=near(full, run.entries) if lost else "")
        raise


def get_local_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Callable[[jax.Array], Any] | None = None,
    trainable: bool = False,
    collections: Iterable[str] | None = None,
    *,
    partitioner: Any = None,
    constraint: Any = None,
    custom_getter: Callable[..., Any] | None = None,
) -> jax.Array:
    """Return a variable as `get_variable` does: never trainable, and in `local_variables`.

    Args:
        name: As in `get_variable`, like all others but these two.
        shape: Axis lengths, in elements.
        dtype: The element type.
        initializer: `(key, shape, dtype) -> array`, or a constant.
        regularizer: A function of the value that returns a scalar loss.
        trainable: Ignored, as in TF1.
        collections: Further collections, besides `local_variables`.
        partitioner: A sharding annotation.
        constraint: A function that projects a new value.
        custom_getter: A getter in the place of the scope's.

    Returns:
        An array.

    Raises:
        JaxscopeError: As `get_variable`.

    Source:
        `tf.compat.v1.get_local_variable`.

    Example:
        >>> import jaxscope as js
        >>> net = js.transform(lambda: js.get_local_variable("count", [], "int32"))
        >>> net.spec()["count"].collections
        ('local_variables',)
    """
    del trainable
    return get_variable(
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        False,
        (*(collections or ()), GraphKeys.LOCAL_VARIABLES),
        partitioner=partitioner,
        constraint=constraint,
        custom_getter=custom_getter,
    )


def ask_through(run: Pass, getter: Callable[..., Any], explicit: bool, *arguments: Any) -> Any:
    """Return what a custom getter returns for a request, by its full name (R38)."""

    def ask(*, dtype: Any, **others: Any) -> Any:
        if run.assuming and not others["name"].startswith(arguments[0]):
            run.admit_use("a custom getter that passes on a name of its own")
        return ask_for(run, explicit, dtype=as_dtype(dtype), **others)

    run.admit_getter()
    path, run.name_scopes.path = run.name_scopes.path, ""  # R56
    try:
        return getter(NextGetter(ask), **dict(zip(GETTER_ARGUMENTS, arguments, strict=True)))
    finally:
        run.name_scopes.path = path


def ask_for(
    run: Pass,
    explicit: bool,
    name: str,
    shape: Any,
    dtype: Any,
    initializer: Any,
    regularizer: Any,
    reuse: Reuse | None,
    trainable: bool,
    collections: Iterable[str] | None,
    partitioner: Any,
    constraint: Any,
    *,
    site: Site | None = None,
) -> Any:
    """Return a variable by its full name, behind the getters; the checks come in R23's order, from (6) on.

    A new one is made at `site`, if the user's line is not on the stack.
    """
    if shape is not None:
        if initializer is not None and is_constant(initializer):
            raise InitializerError(
                f"variable {name!r} has both a shape and a constant as initializer",
                code="constant_with_shape",
                at=here(),
                shape=f"{shape}",
                fix="leave out the shape: the constant gives it",
            )
        shape = as_shape(shape, name, here)
    entry = run.entries.get(name)
    if entry is None and run.groups:
        entry = run.settled(name)
    if entry is not None and entry.by_get:
        if reuse is False and not compat.repeats_a_call():
            raise _exists(run, entry, "this scope does not share names", _SHARE)
        _check_found(run, entry, shape, dtype if explicit else None)
        return run.read(entry)
    if reuse is True and not run.assuming:
        raise VariableNotFoundError(
            f"variable {name!r} does not exist, and this scope makes none",
            at=here(),
            scope=run.describe_scope(),
            near=near(name, run.entries),
            fix="make it before, in a scope without reuse=True; or share and make with reuse=js.AUTO_REUSE",
        )
    if entry is not None:
        raise _exists(run, entry, "js.Variable made it, which is never shared", "use another name")
    if site is None and run.sites:
        site = here(2)
    start, full_shape, full_dtype = resolve(name, initializer, shape, dtype, explicit, site)
    entry = Entry(name, full_shape, full_dtype)
    if collections is not None or not trainable:
        entry.keep_in(collections_of(collections, trainable), trainable=trainable)
    entry.site = site
    entry.initializer = start
    if regularizer is not None:
        entry.regularizer = regularizer
    if constraint is not None:
        entry.constraint = constraint
    if partitioner is not None:
        entry.sharding = partitioner
    if run.assuming:
        asked = (shape, dtype, initializer, regularizer, reuse, trainable, collections)
        entry.asked = (*asked, partitioner, constraint)
    if run.frozen or not trainable:
        check_new(run, entry)
    if run.creators:
        return through_creators(run, entry, explicit, name, collections)
    return run.make(entry, explicit)


_SHARE = "to share it, open the scope with reuse=True or js.AUTO_REUSE; for a new one, use another name"


def _exists(run: Pass, entry: Entry, why: str, fix: str) -> VariableExistsError:
    made, (first, again) = run.first(entry), (entry.site, here(1))
    # Of one line that ran twice, the lines that called it say more.
    callers = (first.called, again.called)
    if callers[0] == callers[1] or str(first) != str(again):
        callers = ("", "")
    return VariableExistsError(
        f"variable {entry.name!r} already exists, and {why}",
        first=f"{made}{callers[0]}",
        again=f"{again}{callers[1]}",
        scope=run.describe_scope(),
        fix=fix,
    )


def _check_found(run: Pass, entry: Entry, shape: Any, dtype: Any) -> None:
    if shape is not None and shape != entry.shape and not fits(shape, entry.shape or ()):
        raise ShapeMismatchError(
            f"variable {entry.name!r} exists with another shape",
            first=run.first(entry),
            again=f"{shape_text(shape)}  {here()}",
            scope=run.describe_scope(),
            fix="ask for the shape that it has, or use another name",
        )
    if dtype is not None and dtype != entry.value.dtype:
        raise DtypeMismatchError(
            f"variable {entry.name!r} exists with another dtype",
            first=run.first(entry),
            again=f"{dtype}  {here()}",
            scope=run.describe_scope(),
            fix="ask for the dtype that it has, leave out dtype=, or use another name",
        )
