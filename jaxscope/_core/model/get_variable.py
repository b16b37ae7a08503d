"""get_variable: the request that models are made of."""

from collections.abc import Callable, Iterable
from typing import Any

import jax

from jaxscope._core.base import names
from jaxscope._core.base.sites import here
from jaxscope._core.passes.base_pass import current
from jaxscope._core.passes.surroundings import NOTHING
from jaxscope._core.requests.arguments import known_shape, refuse_others
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.requests.request import understood
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import JaxscopeError, near

_config: Any = jax.config  # whose flags have no types


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
    **others: Any,
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
        **others: None; TF1's arguments that steer the graph are refused, each with what to do instead.

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
        NotCallableError: The regularizer or the constraint cannot be called.
        GraphArgumentError: An argument of TF1's that steers the graph (`caching_device`, ...).

    Source:
        `tf.compat.v1.get_variable`.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> net = js.transform(lambda x: x @ js.get_variable("w", [x.shape[-1], 2]))
        >>> {name: v.shape for name, v in net.init(jax.random.key(0), jnp.ones(3)).items()}
        {'w': (3, 2)}
    """
    run = current("get_variable")
    if others:
        refuse_others("get_variable", others)
    scope = run.scopes.current
    options = scope._options
    # What calls have in common that are understood alike, wherever they start from.
    alike: Any = None
    sizes: tuple[int, ...] | None = None
    if collections is None and custom_getter is None and (trainable is True or trainable is False):
        sizes = None if shape is None else known_shape(shape)
        if (shape is None or sizes is not None) and (initializer is None or callable(initializer)):
            alike = sizes, trainable
            if dtype is not None:
                alike = (*alike, dtype, _config.jax_enable_x64) if _hashable(dtype) else None
            if alike is not None and not (regularizer is partitioner is constraint is None):
                alike = *alike, id(regularizer), id(partitioner), id(constraint)
    try:
        if type(name) is not str:
            names.check_string(name, "variable", here())
        full = scope._prefix + name
        if name not in names.sound or not options.named:
            _check_name(name, scope)
        request = options.requests.get(alike)
        if request is None:
            request = understood(
                options,
                full,
                shape,
                dtype,
                initializer if alike is None else None,
                regularizer,
                trainable,
                collections,
                partitioner,
                constraint,
                custom_getter,
            )
            if alike is not None:
                options.requests[alike] = request
        if initializer is not None and alike is not None:
            request = request.starting_from(initializer, sizes)
        made: jax.Array
        if request.getter is None and run.around is NOTHING:
            made = run.answer(full, request)
        else:
            made = run.ask(full, request)
    except JaxscopeError as error:
        run.around.border.refused()
        lost = error.code == "no_shape"
        error.add(
            at=here(),
            scope=run.describe_scope(),
            near=near(f"{scope._prefix}{name}", run.books.entries) if lost else "",
        )
        raise
    return made


def _hashable(dtype: Any) -> bool:
    try:
        hash(dtype)
    except TypeError:
        return False
    return True


def _check_name(name: str, scope: VariableScope) -> None:
    if not scope._options.named or not names.is_valid(name, not scope._prefix):
        raise names.invalid(scope._prefix + name if name else name, "variable", here())


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
    **others: Any,
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
        **others: Likewise.

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
        **others,
    )
