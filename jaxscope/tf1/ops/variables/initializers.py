"""`tf.*_initializer`: initial values by TensorFlow's names, over `js.initializers`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxscope as js
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.dtypes import as_dtype, canonical
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.pending import Pending
from jaxscope.tf1.base.tensor import Tensor, is_tensor, wrap
from jaxscope.tf1.ops.variables.adapting import OnArrays, shape_of, value_of
from jaxscope.tf1.ops.variables.remaking import starting_value

__all__ = ["Initializer", "initializer_of", "tf_initializer"]


@export("initializers.Initializer", "keras.initializers.Initializer")
class Initializer:
    """How a variable begins: called with a shape, it returns a tensor.

    `seed` has no meaning here: the bits come from the key of `net.init` and the variable's name.
    """

    _of_js: Any = None
    _dtype: Any = "float32"
    _config: dict[str, Any]

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Return initial values.

        Args:
            shape: The shape.
            dtype: The dtype; the initializer's if left out.
            partition_info: Without meaning here.

        Returns:
            A tensor. A variable that begins with it draws it from its own key; all else that is computed of
            it takes a key of `js.random_keys`.
        """
        law = self._of_js
        if law is None:
            raise NotImplementedError
        sizes = tuple(shape_of(shape))
        kind = canonical(self._dtype if dtype is None else dtype)
        if _draws(law):
            return wrap(
                Pending(sizes, kind.dtype, lambda key: law(key, sizes, kind.dtype)), type(self).__name__
            )
        return compute(type(self).__name__, lambda: law(jax.random.key(0), sizes, kind.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that it was made with."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initializer":
        """Return an initializer of such arguments.

        Args:
            config: What `get_config` returned.
        """
        return cls(**{name: given for name, given in config.items() if name in _arguments(cls)})

    def __eq__(self, other: object) -> bool:
        if self._of_js is None or type(other) is not type(self):
            return self is other
        return bool(self._of_js == other._of_js)

    def __hash__(self) -> int:
        return id(self) if self._of_js is None else hash(self._of_js)

    def __repr__(self) -> str:
        return f"<tf {self._of_js!r}>" if self._of_js is not None else object.__repr__(self)


def _arguments(cls: Any) -> list[str]:
    return list(inspect.signature(cls.__init__).parameters)[1:]


def _draws(law: Any) -> bool:
    return not isinstance(law, js.initializers.zeros | js.initializers.ones | js.initializers.constant)


def _plain(value: Any) -> Any:
    """Return an argument of a law as numbers of Python's or NumPy's."""
    return np.asarray(value_of(value)) if is_tensor(value) else value


def _made(name: str, aliases: str, make: Callable[..., Any], **defaults: Any) -> type[Initializer]:
    """Return a class of initializers, by the arguments of TensorFlow's in its order."""

    class Made(Initializer):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            try:
                found = alike((args, tuple(kwargs.items())))
            except TypeError:  # arguments that have no hash
                found = understood((args, tuple(kwargs.items())))
            self._config, self._dtype, self._of_js = found

    def understood(given: Any) -> tuple[dict[str, Any], Any, Any]:
        bound = signature.bind(*given[0], **dict(given[1]))
        bound.apply_defaults()
        dtype = bound.arguments.get("dtype")
        passed = {name: _plain(one) for name, one in bound.arguments.items()}
        for unused in ("seed", "dtype", "verify_shape"):
            passed.pop(unused, None)
        kind = "float32" if dtype is None else as_dtype(dtype)
        return dict(bound.arguments), kind, make(**passed)

    # Models make the same initializer for each of their layers.
    alike = functools.lru_cache(maxsize=64, typed=True)(understood)

    signature = inspect.Signature(
        [
            inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
            for key, default in defaults.items()
        ]
    )
    Made.__name__ = Made.__qualname__ = name
    Made.__doc__ = f"Begin as `js.initializers` has it under this name; made with {', '.join(defaults)}."
    Made.__init__.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *signature.parameters.values(),
        ]
    )
    return export_constant(Made, *aliases.split())


def _both(name: str) -> str:
    return f"{name}_initializer initializers.{name} keras.initializers.{name}"


I = js.initializers  # noqa: E741
_made("Zeros", f"{_both('zeros')} keras.initializers.Zeros", I.zeros, dtype="float32")
_made("Ones", f"{_both('ones')} keras.initializers.Ones", I.ones, dtype="float32")
_made(
    "Constant",
    f"{_both('constant')} keras.initializers.Constant",
    I.constant,
    value=0,
    dtype="float32",
    verify_shape=False,
)
_made(
    "RandomUniform",
    f"{_both('random_uniform')} keras.initializers.RandomUniform",
    I.random_uniform,
    minval=0,
    maxval=None,
    seed=None,
    dtype="float32",
)
_made(
    "RandomNormal",
    f"{_both('random_normal')} keras.initializers.RandomNormal",
    I.random_normal,
    mean=0.0,
    stddev=1.0,
    seed=None,
    dtype="float32",
)
_made(
    "TruncatedNormal",
    f"{_both('truncated_normal')} keras.initializers.TruncatedNormal",
    I.truncated_normal,
    mean=0.0,
    stddev=1.0,
    seed=None,
    dtype="float32",
)
_made(
    "UniformUnitScaling",
    "uniform_unit_scaling_initializer initializers.uniform_unit_scaling",
    I.uniform_unit_scaling,
    factor=1.0,
    seed=None,
    dtype="float32",
)
VarianceScaling: Any = _made(
    "VarianceScaling",
    f"{_both('variance_scaling')} keras.initializers.VarianceScaling",
    I.variance_scaling,
    scale=1.0,
    mode="fan_in",
    distribution="truncated_normal",
    seed=None,
    dtype="float32",
)
_made(
    "Orthogonal",
    f"{_both('orthogonal')} keras.initializers.Orthogonal",
    I.orthogonal,
    gain=1.0,
    seed=None,
    dtype="float32",
)
_made(
    "Identity",
    "initializers.identity keras.initializers.identity keras.initializers.Identity",
    I.identity,
    gain=1.0,
    dtype="float32",
)
GlorotUniform = _made(
    "GlorotUniform",
    f"{_both('glorot_uniform')} keras.initializers.GlorotUniform",
    I.glorot_uniform,
    seed=None,
    dtype="float32",
)
GlorotNormal = _made(
    "GlorotNormal",
    f"{_both('glorot_normal')} keras.initializers.GlorotNormal",
    I.glorot_normal,
    seed=None,
    dtype="float32",
)
for _name in ("he_normal", "he_uniform", "lecun_normal", "lecun_uniform"):
    _made(_name, f"initializers.{_name} keras.initializers.{_name}", getattr(I, _name), seed=None)


@export(
    "contrib.layers.xavier_initializer",
    "contrib.layers.xavier_initializer_conv2d",
    "contrib.slim.xavier_initializer",
)
def xavier_initializer(uniform: bool = True, seed: Any = None, dtype: Any = "float32") -> Initializer:
    """Return Glorot's initializer.

    Args:
        uniform: Whether to draw uniformly, or else normally.
        seed: Without meaning here: the key of `net.init` and the variable's name decide.
        dtype: The dtype of a direct call.

    Example:
        >>> net = js.transform(lambda: js.tf1.get_variable("w", [2, 3], initializer=xavier_initializer()))
        >>> net.init(jax.random.key(0))["w"].shape
        (2, 3)
    """
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


@export("contrib.layers.variance_scaling_initializer", "contrib.slim.variance_scaling_initializer")
def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: Any = None, dtype: Any = "float32"
) -> Initializer:
    """Return contrib's initializer of a variance of `factor` over the number of inputs.

    Args:
        factor: The factor.
        mode: "FAN_IN", "FAN_OUT" or "FAN_AVG".
        uniform: Whether to draw uniformly, or else from a truncated normal law.
        seed: Without meaning here.
        dtype: The dtype of a direct call.

    Raises:
        InitializerError: If the factor or the mode has no meaning.
    """
    law = "uniform" if uniform else "truncated_normal"
    made: Initializer = VarianceScaling(factor, mode.lower(), law, seed, dtype)
    return made


class Foreign(OnArrays):
    """An initializer of the program's own, `(shape, dtype) -> tensor`, as `js` calls one."""

    __slots__ = ()

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
        kwargs: dict[str, Any] = {"dtype": as_dtype(dtype)}
        names = _names(self.function)
        if "partition_info" in names:
            kwargs["partition_info"] = None
        if "dtype" not in names and None not in names:
            kwargs.pop("dtype")

        def draw() -> Any:
            # What it draws comes from the variable's key.
            with js.random_keys(key):
                return as_array(convert_to_tensor(self.function(list(shape), **kwargs), None))

        array = js.transform(draw).apply({})
        kind = jax.numpy.dtype(dtype)
        same_sort = jax.numpy.issubdtype(array.dtype, jax.numpy.floating) == jax.numpy.issubdtype(
            kind, jax.numpy.floating
        )
        return array.astype(kind) if same_sort else array


def _parameters(function: Any) -> list[inspect.Parameter] | None:
    """Return the parameters of a function; None where it does not tell them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _names(function: Any) -> list[Any]:
    """Return the names of a function's arguments; None among them where it takes any."""
    parameters = _parameters(function)
    if parameters is None:
        return [None]
    return [None if one.kind is one.VAR_KEYWORD else one.name for one in parameters]


def initializer_of(initializer: Any) -> Any:
    """Return an initializer as `js` takes it: a function of (key, shape, dtype), or a value."""
    if initializer is None or isinstance(initializer, str):
        return initializer
    if isinstance(initializer, type):
        make: Any = initializer
        initializer = make()
    inner = getattr(initializer, "_of_js", None)
    if inner is not None:
        return inner
    if is_tensor(initializer) or not callable(initializer):
        return starting_value(convert_to_tensor(initializer))
    names = _names(initializer)
    if isinstance(initializer, js.initializers.Initializer | Foreign) or names[:1] == ["key"]:
        return initializer
    if _needs_nothing(initializer):
        return lambda: value_of(initializer())
    return Foreign(initializer)


def _needs_nothing(function: Any) -> bool:
    """Tell whether a function can be called without arguments, and does not take a shape."""
    parameters = _parameters(function)
    return parameters is not None and all(
        one.name != "shape"
        and (one.default is not one.empty or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD))
        for one in parameters
    )


def tf_initializer(initializer: Any) -> Any:
    """Return an initializer of `js` as TensorFlow's programs call one."""
    if isinstance(initializer, type):
        initializer = initializer()
    if isinstance(initializer, Foreign):
        return initializer.function
    if isinstance(initializer, js.initializers.Initializer):
        made = Initializer()
        made._of_js, made._config = initializer, {}
        return made
    return initializer
