"""Arguments of requests and scopes: what each may be, and what it then is."""

import enum
import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import core

from jaxscope._core.base.describe import describe, shown
from jaxscope._core.base.sites import Site, here
from jaxscope._core.requests.graph_keys import GLOBAL, GLOBAL_TRAINABLE, GraphKeys
from jaxscope.errors import (
    CollectionError,
    GetterError,
    GraphArgumentError,
    InitializerError,
    InvalidDtypeError,
    InvalidShapeError,
    NotCallableError,
    ReuseError,
)


class ReuseMode(enum.Enum):
    """The third value of `reuse`, beside False and True."""

    AUTO_REUSE = "AUTO_REUSE"

    def __str__(self) -> str:
        return "js.AUTO_REUSE"

    __repr__ = __str__


#: As `reuse`: get the variable if this pass has it, else make it.
AUTO_REUSE = ReuseMode.AUTO_REUSE


Reuse = bool | ReuseMode


#: The keyword arguments that a custom getter receives, besides `getter`.
GETTER_ARGUMENTS = (
    "name",
    "shape",
    "dtype",
    "initializer",
    "regularizer",
    "reuse",
    "trainable",
    "collections",
    "partitioner",
    "constraint",
)


# Arguments that TF1 has and that steer the graph; what to say of each.
_OF_THE_GRAPH = {
    "caching_device": "JAX places values by their sharding (partitioner=)",
    "use_resource": "a variable is an array here",
    "validate_shape": "a variable has the shape of its value",
    "auxiliary_name_scope": "js.name_scope(path + '/') opens a name scope again",
    "synchronization": "JAX places values by their sharding (partitioner=)",
    "aggregation": "JAX places values by their sharding (partitioner=)",
    "expected_shape": "a variable has the shape of its value",
    "import_scope": "there is no graph to import",
    "variable_def": "there is no graph to import",
}


def refuse_others(function: str, others: dict[str, Any]) -> None:
    """Raise an error for keyword arguments that a function does not have; those of TF1's graph say why.

    Args:
        function: Its public name.
        others: What it was given; None means left out, as in TF1.
    """
    for name, given in others.items():
        if name not in _OF_THE_GRAPH:
            raise TypeError(f"js.{function}() got an unexpected keyword argument {name!r}")
        if given is not None:
            raise GraphArgumentError(
                f"js.{function} has no argument {name}: it steers TensorFlow's graph",
                at=here(),
                fix=f"leave it out: {_OF_THE_GRAPH[name]}",
            )


def as_dtype(dtype: Any) -> Any:
    """Return a dtype as JAX has it here: 64-bit types are 32-bit ones unless x64 is enabled.

    Raises:
        InvalidDtypeError: It is none.
    """
    try:
        known = jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)
    except TypeError:
        known = None
    if known is None or known == np.dtype(object):
        asked = getattr(dtype, "__name__", None) or shown(dtype)
        raise InvalidDtypeError(
            f"{asked} is not a dtype",
            at=here(),
            fix="pass it by keyword, initializer=... or regularizer=..., behind name, shape and dtype"
            if callable(dtype)
            else "pass a dtype that JAX knows: jnp.float32, 'int32', ...",
        )
    return known


def widens(given: Any, wanted: Any) -> bool:
    """Tell whether a number of one dtype is one of another: a boolean an integer, an integer a float."""
    kinds = "biufc"
    one, other = (jnp.dtype(dtype).kind.replace("V", "f").replace("u", "i") for dtype in (given, wanted))
    return kinds.find(one) <= kinds.find(other)


def check_reuse(reuse: Any, name: str) -> None:
    """Raise `ReuseError` unless `reuse` is None, False, True or `AUTO_REUSE` (R16)."""
    if reuse is not None and reuse is not True and reuse is not False and reuse is not AUTO_REUSE:
        raise ReuseError(
            f"reuse={shown(reuse)} has no meaning for scope {name!r}",
            at=here(),
            fix="pass True, js.AUTO_REUSE, or leave it out to inherit",
        )


def check_initializer(initializer: Any, name: str) -> None:
    """Raise `InitializerError` for an initializer that is a string (R29)."""
    if isinstance(initializer, str):
        raise InitializerError(
            f"the initializer of {name} is the string {initializer!r}",
            code="string_initializer",
            at=here(),
            fix=f"pass a function or an array: js.initializers.{initializer}, say",
        )


def check_callable(function: Any, what: str, name: str) -> None:
    """Raise an error unless a regularizer or constraint is None or can be called."""
    if function is None or callable(function):
        return
    raise NotCallableError(
        f"the {what} of {name!r} must be a function of the value, not {shown(function)}",
        code=f"{what}_not_callable",
        at=here(),
        fix=f"pass a function that takes the variable's array, or leave out {what}=",
    )


def check_getter(getter: Any) -> None:
    """Raise `GetterError` unless `getter` is None or can be called as a custom getter (R37)."""
    if getter is None:
        return
    if not callable(getter):
        raise GetterError(
            f"a custom getter must be callable, and {shown(getter)} is not",
            code="getter_not_callable",
            at=here(),
            fix="pass a function g(getter, name, **kwargs) that returns getter(name, **kwargs)",
        )
    try:
        signature = inspect.signature(getter)
    except ValueError:  # a builtin without a signature: the call will tell
        return
    try:
        _bind(signature, getter=None, **dict.fromkeys(GETTER_ARGUMENTS))
    except TypeError as problem:
        raise GetterError(
            f"custom getter {getattr(getter, '__name__', shown(getter))!r} "
            f"cannot take what it is called with: {problem}",
            at=here(),
            takes=", ".join(("getter", *GETTER_ARGUMENTS)),
            fix="take **kwargs and pass them on: g(getter, name, **kwargs), by just these names",
        ) from None


def _bind(signature: inspect.Signature, **given: Any) -> None:
    """Raise `TypeError` unless something can be called by keyword; Python 3.13's `bind` forgets positions."""
    signature.bind(**given)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"missing {parameter.name!r}, which can be given by position alone")


#: Sizes beyond this cannot be counted in 64 bits.
_LARGEST = 2**63 - 1


def as_shape(shape: Any, name: str, site: Callable[[], Site]) -> tuple[int | None, ...]:
    """Return a shape as a tuple of sizes.

    Args:
        shape: A sequence of sizes (None: not known), or one size.
        name: The full name of the variable.
        site: Returns the user's file and line.

    Returns:
        A tuple of Python ints and Nones; symbolic sizes of `jax.export` stay as they are.

    Raises:
        InvalidShapeError: A size is negative (code `negative_dimension`), too large, traced, or no
            whole number.
    """
    known = known_shape(shape)
    if known is not None:
        return known
    if isinstance(shape, jax.Array) and not isinstance(shape, core.Tracer):
        shape = np.asarray(shape)
    if isinstance(shape, (str, bytes, Mapping, set, frozenset)):
        shape = (shape,)
    try:
        sizes = tuple(shape)
    except TypeError:
        sizes = (shape,)
    return tuple(_size(size, sizes, name, site) for size in sizes)


def known_shape(shape: Any) -> tuple[int, ...] | None:
    """Return a list or tuple of plain sizes as a tuple; None for all else, which `as_shape` looks into."""
    if type(shape) is list or type(shape) is tuple:
        try:
            return _known(*shape)
        except (TypeError, ValueError):
            return None
    return None


@functools.lru_cache(maxsize=65536, typed=True)
def _known(*sizes: int) -> tuple[int, ...]:
    """Return sizes that are plain; a call of this cache costs less than looking at them again."""
    if all(type(size) is int and 0 <= size <= _LARGEST for size in sizes):
        return sizes
    raise ValueError(sizes)


def _show(size: Any) -> str:
    return shown(size)


def _size(size: Any, shape: Any, name: str, site: Callable[[], Site]) -> Any:
    if size is None or jax.export.is_symbolic_dim(size):
        return size
    code = "invalid_shape"
    if isinstance(size, core.Tracer):
        problem = "a size is traced, and shapes must be known while tracing"
    elif isinstance(size, bool) or not hasattr(size, "__index__"):
        problem = f"{shown(size)} is not a whole number"
    else:
        try:
            whole = operator.index(size)
        except TypeError:
            whole = None
        if whole is None:
            problem = f"{shown(size)} is not a whole number"
        elif whole < 0:
            problem, code = f"{whole} is negative", "negative_dimension"
        elif whole > _LARGEST:
            problem = "a size is larger than 2**63 - 1"
        else:
            return whole
    raise InvalidShapeError(
        f"the shape of {name!r} is not valid: {problem}",
        code=code,
        shape=", ".join(map(_show, shape))[:200],
        at=site(),
        fix="pass a list or tuple of whole numbers, such as x.shape[-1:] or [x.shape[-1], 64]",
    )


def collections_of(given: Any, trainable: bool) -> tuple[str, ...]:
    """Return the names of the collections of a new variable, each once (R42)."""
    if isinstance(given, str) or not isinstance(given, Iterable | None):
        raise CollectionError(
            f"collections must be a list of names, not {shown(given)}",
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
        f"trainable={describe(trainable)} has no meaning for variable {name!r}",
        code="bad_trainable",
        at=here(),
        fix="pass True or False, known while tracing",
    )
