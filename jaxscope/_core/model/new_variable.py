"""Making new variables: what is checked, the variable creators, and js.Variable, which always makes one."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.sites import here
from jaxscope._core.model.creators import _check_own_name, _own_name, check_new, through_creators
from jaxscope._core.passes.entries import Entry
from jaxscope._core.passes.running import current
from jaxscope._core.requests.arguments import as_dtype, as_trainable, collections_of, widens
from jaxscope._core.requests.starts import constant, dtype_conflict, resolve


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
