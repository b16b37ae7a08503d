"""What an initializer is: a callable, a class of such, or a constant; what is known without a call."""

import inspect
import operator
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Self, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.immutable import Value
from jaxscope._core.base.sameness import UnknownError, held_by, key_of
from jaxscope.errors import InitializerError

if TYPE_CHECKING:
    from jaxscope._core.initializers.laws import Law

__all__ = [
    "Initializer",
    "Problem",
    "as_constant",
    "as_numbers",
    "callable_without_arguments",
    "canonical",
    "check_static",
    "describe",
    "holds",
    "instance_of",
    "is_constant",
    "kind_of",
    "number",
]

Shape = tuple[int, ...]
#: An error code of rules R23 to R31, and what is wrong.
Problem = tuple[str, str]


class Initializer(Value):
    """The base of jaxscope's own initializers: values that can be understood without a trace.

    A subclass overrides one of `law`, `value` and `draw`, whichever says most about it.

    Raises:
        InitializerError: An argument that the class does not take, such as TF1's `seed` and `dtype` (code
            `init_argument`).

    Example:
        >>> js.initializers.glorot_uniform(seed=1)
        Traceback (most recent call last):
            ...
        jaxscope.errors.InitializerError: glorot_uniform takes no seed
          fix      leave it out: the key given to init and the variable's name decide the bits
    """

    def __init_subclass__(cls) -> None:
        if cls.__module__.startswith("jaxscope._core."):
            cls.__module__ = "jaxscope.initializers"  # what pickles name, whether it is imported or not

    def __new__(cls, *args: Any, **options: Any) -> Self:
        # Python's own message would not say that TF1's arguments have no use here.
        names, most = _parameters(cls.__init__)
        if most is not None and len(args) > most:
            raise InitializerError(
                f"{cls.__name__} takes {most or 'no'} arguments by place, and was given {len(args)}",
                code="init_argument",
                fix=f"leave out seed and dtype, if these are TF1's: {'; '.join(_OF_THE_GRAPH.values())}. "
                f"To draw, call an instance: {cls.__name__}(...)(key, shape, dtype)",
            )
        for name in options:
            if names is not None and name not in names:
                why = _OF_THE_GRAPH.get(name)
                raise InitializerError(
                    f"{cls.__name__} takes no {name}",
                    code="init_argument",
                    fix=f"leave it out: {why}" if why else f"it takes {', '.join(names) or 'no arguments'}",
                )
        return super().__new__(cls)

    def law(self, shape: Shape, dtype: np.dtype[Any]) -> "Law | None":
        """Return the law of every element, if they are independent and alike."""
        return None

    def value(self, shape: Shape, dtype: np.dtype[Any]) -> np.ndarray | None:
        """Return the value, if no chance is in it; one element without dimensions fills the shape."""
        return None

    def draw(self, key: jax.Array, shape: Shape, dtype: np.dtype[Any]) -> jax.Array:
        """Draw the value, if it has neither a law nor a value; called inside `jax.jit`."""
        raise NotImplementedError

    def problem(self, shape: Shape | None, dtype: np.dtype[Any]) -> Problem | None:
        """Return why there can be no value of this shape (None: not known yet) and dtype, or None."""
        if jnp.issubdtype(dtype, jnp.floating):
            return None
        return "init_wrong_dtype", f"draws floating-point numbers, not {dtype.name}"

    def __call__(self, key: Any, shape: Any, dtype: Any = np.float32) -> jax.Array:
        """Return a new array.

        Args:
            key: One key; not used (and may be None) where no chance is in it.
            shape: Axis lengths, in elements.
            dtype: Element type of the result.

        Returns:
            Array of `shape` and `dtype`, the same bits inside and outside of `jax.jit`.

        Raises:
            InitializerError: There is no such value (code `init_wrong_dtype` or `init_wrong_shape`).
        """
        shape, dtype = tuple(shape), canonical(dtype)
        if (problem := self.problem(shape, dtype)) is not None:
            raise InitializerError(f"{self!r} {problem[1]}", code=problem[0])
        if (value := self.value(shape, dtype)) is not None:
            return jnp.array(np.broadcast_to(value, shape))
        if 0 in shape:
            return jnp.zeros(shape, dtype)
        if (law := self.law(shape, dtype)) is not None:
            from jaxscope._core.initializers import laws  # which `import jaxscope` has no time for

            kernel = laws.kernel(jax.random.key_impl(key), law.form, shape, dtype)
            return kernel(_data(key), laws.numbers_of(law, dtype))
        drawn: jax.Array = jax.jit(self.draw, static_argnums=(1, 2))(key, shape, dtype)
        return drawn


#: What TF1's initializers also take, and why ours do not.
_OF_THE_GRAPH = {
    "seed": "the key given to init and the variable's name decide the bits",
    "dtype": "the variable has the dtype",
}


def _parameters(constructor: Any) -> tuple[tuple[str, ...] | None, int | None]:
    """Return the names that a constructor takes, and how many arguments by place; None: any."""
    code = getattr(constructor, "__code__", None)
    if code is None:  # that of `object`
        return (), 0
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    return (
        None if code.co_flags & inspect.CO_VARKEYWORDS else names,
        None if code.co_flags & inspect.CO_VARARGS else code.co_argcount - 1,
    )


def _data(key: jax.Array) -> jax.Array:
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key


def canonical(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as JAX can hold it: without x64, float32 for float64, ...; that of keys as it is."""
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return cast("np.dtype[Any]", dtype)
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def instance_of(initializer: Any) -> Any:
    """Return the initializer itself; a class given for one is instantiated (rule R30).

    Example:
        >>> instance_of(dict), instance_of(3)
        ({}, 3)
    """
    return initializer() if isinstance(initializer, type) else initializer


def is_constant(initializer: Any) -> bool:
    """Tell whether `initializer` is a value itself, which gives shape and dtype (rule R30).

    Example:
        >>> is_constant(0.5), is_constant(jax.nn.initializers.zeros)
        (True, False)
    """
    return not callable(initializer)


def as_numbers(value: Any) -> np.ndarray | jax.Array:
    """Return a constant as an array that has every digit of it.

    Args:
        value: A number, a nested list of numbers, or a NumPy or JAX array.

    Returns:
        A NumPy array as NumPy makes it (Python's numbers are int64, float64, bool or complex128); a JAX array
        where such were given.

    Raises:
        InitializerError: Not numbers, or an integer too large for 64 bits (code `init_wrong_dtype`).

    Example:
        >>> as_numbers([0.1, 2]).tolist(), as_numbers(np.float16(1)).dtype
        ([0.1, 2.0], dtype('float16'))
    """
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__") or _holds(value, jax.Array):
        return jnp.asarray(value)
    array = np.array(value)  # a copy: later writes into an array do not show
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # files may have the other one
    if array.dtype.kind in "biufcV" and not isinstance(value, np.ma.MaskedArray):  # which would lose its mask
        return array
    if array.dtype.kind == "O" and all(isinstance(item, int) for item in array.flat):
        raise _too_long(value, 64, "pass a float")
    raise InitializerError(
        f"an initial value must be a number or an array of numbers, not {_short(value)}",
        code="init_wrong_dtype",
        fix="pass numbers, or a function (key, shape, dtype) -> array",
    )


def as_constant(value: Any) -> np.ndarray | jax.Array:
    """Return a constant as an array, which gives a variable its dtype.

    Args:
        value: A number, a nested list of numbers, or a NumPy or JAX array.

    Returns:
        Python numbers, alone or in lists, as int32, float32, bool or complex64, with x64 too; integers
        beyond 32 bits as int64 if x64 is on. Arrays with their own dtype, as far as JAX can hold it.
        A NumPy array unless JAX arrays were given.

    Raises:
        InitializerError: Not numbers, or an integer too large for 32 bits where x64 is off
            (code `init_wrong_dtype`).

    Source:
        Rule R32; `tf.constant`.

    Example:
        >>> as_constant([[1, 2], [3, 4]]).dtype, as_constant(0.5).dtype, as_constant(np.float16(1)).dtype
        (dtype('int32'), dtype('float32'), dtype('float16'))
    """
    array = as_numbers(value)
    if isinstance(array, jax.Array):
        return array
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__") or _holds(value, np.generic):
        with np.errstate(over="ignore"):
            narrow = array.astype(canonical(array.dtype), copy=False)
        if not holds(narrow, array):
            raise _too_long(value, 32, "turn on jax_enable_x64, or give numbers that fit")
        return narrow
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind == "c":
        return array.astype(np.complex64)
    if array.dtype.kind in "iu":
        small = array.astype(np.int32)
        if np.array_equal(small, array):
            return small
        if canonical(np.int64) == np.int32:
            raise _too_long(
                value, 32, "turn on jax_enable_x64, or pass a NumPy array of an unsigned or floating dtype"
            )
    return array


def holds(narrow: np.ndarray[Any, Any], wide: np.ndarray[Any, Any]) -> bool:
    """Tell whether each number is there in a narrower dtype: whole ones as they are, others rounded.

    Example:
        >>> holds(np.float32(0.1), np.float64(0.1)), holds(np.float32(np.inf), np.float64(1e300))
        (True, False)
    """
    if wide.dtype.kind in "iu":
        return bool(np.array_equal(narrow, wide))
    if wide.dtype.kind not in "fc":
        return True
    return bool(np.array_equal(np.isfinite(narrow), np.isfinite(wide)))


def _too_long(value: Any, bits: int, fix: str) -> InitializerError:
    return InitializerError(
        f"the initial value {_short(value)} does not fit into {bits} bits", code="init_wrong_dtype", fix=fix
    )


def number(value: Any) -> int | float:
    """Return a real number of any type as Python's, with every digit: a float, or an integer that is none.

    Example:
        >>> number(3), number(np.float32(0.5)), number(np.int64(2**60 + 1))
        (3.0, 0.5, 1152921504606846977)
    """
    try:
        whole = operator.index(value)
    except TypeError:
        return float(value)
    return float(whole) if float(whole) == whole else whole


def _holds(value: Any, kind: Any) -> bool:
    return isinstance(value, list | tuple) and any(
        isinstance(item, kind) or (kind is np.generic and isinstance(item, np.ndarray)) or _holds(item, kind)
        for item in value
    )


def callable_without_arguments(initializer: Any) -> bool:
    """Tell whether every parameter of a callable has a default, so that it may be called with none.

    Args:
        initializer: Any callable. False for jaxscope's own initializers, which need the shape, for
            classes, which are instantiated first, and where Python knows no signature.

    Source:
        Rule R30; `_needs_no_arguments` in TF 1.15's `variable_scope.py`.

    Example:
        >>> callable_without_arguments(lambda: 1.0), callable_without_arguments(lambda key, shape: 1.0)
        (True, False)
    """
    if isinstance(initializer, type | Initializer) or not callable(initializer):
        return False
    try:
        parameters = inspect.signature(initializer).parameters.values()
    except (TypeError, ValueError):
        return False
    open_ended = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return all(one.default is not one.empty or one.kind in open_ended for one in parameters)


def check_static(initializer: Any, dtype: Any, shape: Shape | None = None) -> Problem | None:
    """Return why one of jaxscope's own initializers, or a constant, cannot give `dtype`, without a trace.

    Args:
        initializer: An initializer; of a foreign callable nothing is known.
        dtype: Element type asked for.
        shape: Shape asked for, in elements; None: not known yet.

    Returns:
        The code of the error (`init_wrong_dtype`, `init_wrong_shape`) and what is wrong; None if nothing is
        known to be.

    Example:
        >>> check_static(np.ones(2, np.float32), "int32")
        ('init_wrong_dtype', 'is a constant of float32, not int32')
    """
    dtype = canonical(dtype)
    if isinstance(initializer, Initializer):
        return initializer.problem(shape, dtype)
    if is_constant(initializer):
        value = as_constant(initializer)
        if value.dtype != dtype:
            return "init_wrong_dtype", f"is a constant of {value.dtype.name}, not {dtype.name}"
        if shape is not None and value.shape != shape:
            return "init_wrong_shape", f"is a constant of shape {value.shape}, not {shape}"
    return None


def kind_of(initializer: Any) -> Hashable | None:
    """Return a key that is equal for initializers that are surely the same function of their arguments.

    Args:
        initializer: Any callable.

    Returns:
        The value itself for jaxscope's own; for others see `jaxscope._core.base.sameness`. None if it is
        unknown whether it, or something that it reads, changes: then nothing about it may be kept.

    Example:
        >>> kind_of(jax.nn.initializers.normal(0.02)) == kind_of(jax.nn.initializers.normal(0.02))
        True
    """
    if isinstance(initializer, Initializer):
        return initializer
    try:
        # A program would keep the arrays that it finds in a function.
        return None if held_by(initializer) else key_of(initializer)
    except UnknownError:
        return None


def describe(initializer: Any) -> str:
    """Return a short text for an initializer in messages: its repr, or a function's qualified name.

    Example:
        >>> describe(describe)
        'jaxscope._core.initializers.base.describe'
    """
    if isinstance(initializer, Initializer):
        return repr(initializer)
    name = getattr(initializer, "__qualname__", None)
    if name is None:
        return _short(initializer)
    return f"{getattr(initializer, '__module__', None) or '?'}.{name}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
