"""js.Variable, which makes a new variable at each call, and numbers a name that is taken."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base import names
from jaxscope._core.base.sites import Site, here
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope._core.passes.entries import Entry
from jaxscope._core.requests.arguments import as_dtype, as_trainable, check_callable, refuse_others, widens
from jaxscope._core.requests.request import Request
from jaxscope._core.requests.starts import constant, dtype_conflict


def Variable(  # noqa: N802 - TF1's name
    initial_value: Any,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    *,
    name: str | None = None,
    dtype: Any = None,
    regularizer: Callable[[jax.Array], Any] | None = None,
    constraint: Any = None,
    shape: Any = None,
    partitioner: Any = None,
    **others: Any,
) -> jax.Array:
    """Return a new variable, always: a name that is taken gets a number.

    Ignores `reuse` and the scope's options; `get_variable` never finds it.

    Args:
        initial_value: An array, a number, a list, or a function without arguments that returns one.
            It may be computed from the function's arguments. With `shape`, an initializer
            `(key, shape, dtype) -> array`, whose key depends on the variable's name.
        trainable: Whether the value belongs to what gradients are taken of.
        collections: The collections to put it in, instead of `variables`.
        name: The own name, behind the path of the name scopes that are open; `Variable` if left out.
        dtype: The element type; the initial value's if left out.
        regularizer: A function of the value that returns a scalar loss.
        constraint: A function that projects a new value, for optimizers to call.
        shape: Axis lengths, in elements, where `initial_value` is an initializer.
        partitioner: A sharding annotation, as of `get_variable`.
        **others: None; TF1's arguments that steer the graph are refused, each with what to do instead.

    Returns:
        An array.

    Raises:
        InvalidNameError: The name is no string, or has characters that names may not have.
        CollectionError: `trainable_variables` is listed for a variable that is not trainable.
        TemplateError: A template's later call would make it.
        VariableNotFoundError: It is not among the variables given to `apply`.
        TraceError: The initial value is computed inside an inner trace.
        NotCallableError: The regularizer or the constraint cannot be called.
        GraphArgumentError: An argument of TF1's that steers the graph (`caching_device`, ...).
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.Variable`.

    Example:
        >>> import jaxscope as js
        >>> net = js.transform(lambda: (js.Variable(0.0, name="step"), js.Variable(0.0, name="step")))
        >>> list(net.spec())
        ['step', 'step_1']
        >>> net = js.transform(lambda: js.Variable(js.initializers.glorot_uniform(), shape=[3, 2], name="w"))
        >>> net.init(jax.random.key(0))["w"].shape
        (3, 2)
    """
    run = current("Variable")
    if others:
        refuse_others("Variable", others)
    run.absolute("js.Variable")
    run.count_names()
    own = "Variable" if name is None else name
    _check_own_name(run, own)
    check_callable(regularizer, "regularizer", own)
    check_callable(constraint, "constraint", own)
    site = here()
    request = Request(
        explicit=dtype is not None,
        shape=shape,
        dtype=as_dtype("float32" if dtype is None else dtype),
        initializer=_initial_value(own, initial_value, shape, dtype, site),
        regularizer=regularizer,
        trainable=as_trainable(trainable, own),
        collections=collections,
        partitioner=partitioner,
        constraint=constraint,
    )
    entry = Entry(own, request, None, None, None, site)
    entry.initializer, entry.shape, entry.dtype = request.start(own, site)
    entry.by_get = False
    run.check_new(entry)
    if run.around.creators:
        return cast(jax.Array, run.make_through_creators(entry, name, lambda given: _full_name(run, given)))
    mark = run.scopes.mark()
    entry.name = _full_name(run, name)
    try:
        return cast(jax.Array, run.make(entry))
    except BaseException:
        run.scopes.undo(mark)
        raise


def _initial_value(own: str, value: Any, shape: Any, dtype: Any, site: Site) -> Any:
    """Return the initializer of a request for a variable that starts from a value."""
    if callable(value):
        if dtype is None or shape is not None:
            return value
        return lambda: jnp.asarray(value(), dtype)
    array = constant(own, value, site)
    if dtype is None:
        return array
    if not widens(array.dtype, as_dtype(dtype)):
        raise dtype_conflict(own, array.dtype, as_dtype(dtype), site)
    return jnp.asarray(array, dtype) if isinstance(array, jax.Array) else np.asarray(array, as_dtype(dtype))


def _full_name(run: Pass, name: Any) -> str:
    """Return the full name of a new `js.Variable`, which is asked for here (R55)."""
    own = "Variable" if name is None else name
    _check_own_name(run, own)
    run.books.settle()
    scopes = run.scopes.names
    return scopes.ask(scopes.path, own, run.books.entries)


def _check_own_name(run: Pass, own: Any) -> None:
    names.check_string(own, "variable", here())
    first = not run.scopes.names.path
    if not names.is_valid(own, first):
        raise names.invalid(own, "variable", here(), first=first)
