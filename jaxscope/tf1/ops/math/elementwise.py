"""Functions of single numbers: `tf.exp`, `tf.abs`, `tf.floor` and their like."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType
from jaxscope.tf1.base.errors import TensorTypeError, UnimplementedError
from jaxscope.tf1.base.exporting import export, export_constant
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor

__all__ = [
    "distance",
    "elementwise",
    "identity",
    "lbeta",
    "polygamma",
    "real_only",
    "round_",
    "squares",
    "zeta",
]


def elementwise(
    names: str,
    kind: str,
    function: Callable[..., Any],
    says: str,
    *,
    fold: Callable[..., Any] | None = None,
    whole: bool = False,
    complexes: bool = True,
) -> Callable[..., Tensor]:
    """Export a function of single numbers.

    Args:
        names: The names, joined by spaces.
        kind: TensorFlow's kind of operation.
        function: The function of an array.
        says: What it returns, for its docstring.
        fold: The function in NumPy, see `compute`.
        whole: Whether whole numbers may be given.
        complexes: Whether complex numbers may be.
    """

    def apply(x: Any, name: str | None = None) -> Tensor:
        tensor = convert_to_tensor(x)
        _check(kind, tensor.dtype, whole=whole, complexes=complexes)
        return compute(kind, function, tensor, fold=fold, name=name)

    apply.__name__ = apply.__qualname__ = names.split(maxsplit=1)[0].rpartition(".")[2]
    apply.__doc__ = f"""Return {says}, by element.

    Args:
        x: A tensor of {"numbers" if whole else "real or complex numbers" if complexes else "real numbers"}.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of another kind (`tensor_type`).
    """
    return export_constant(apply, *names.split())


def _check(kind: str, dtype: DType, *, whole: bool, complexes: bool) -> None:
    allowed = dtype.is_floating or (whole and dtype.is_integer) or (complexes and dtype.is_complex)
    if not allowed:
        raise TensorTypeError(f"{kind} does not take tensors of {dtype.name}", fix="tf.cast(x, tf.float32)")


def real_only(x: Any, kind: str) -> Tensor:
    """Return a value as a tensor of real numbers, or raise `TensorTypeError`."""
    tensor = convert_to_tensor(x)
    _check(kind, tensor.dtype, whole=False, complexes=False)
    return tensor


def _unimplemented_for_whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function raise for whole numbers, for which TensorFlow has the type but no kernel."""

    def apply(x: Any) -> Any:
        if x.dtype.kind in "iu":
            kind = TensorTypeError if x.dtype.kind == "u" else UnimplementedError
            raise kind(f"there is no such function of {x.dtype}", fix="tf.cast(x, tf.float32) before")
        return function(x)

    return apply


@jax.custom_jvp
def _distance(x: Any) -> jax.Array:
    return jnp.abs(x)


@_distance.defjvp
def _distance_jvp(primals: Any, tangents: Any) -> Any:
    return jnp.abs(primals[0]), jnp.sign(primals[0]) * tangents[0]


def distance(x: Any) -> Any:
    """Return the absolute values of an array; their derivative at zero is 0, where JAX's is 1."""
    return _distance(x) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.abs(x)


def squares(x: Any) -> Any:
    """Return the squares of the absolute values of an array."""
    return jnp.real(x * jnp.conj(x)) if x.dtype.kind == "c" else jnp.square(x)


square = elementwise("square math.square", "Square", lax.square, "the square", fold=np.square, whole=True)
elementwise("sqrt math.sqrt", "Sqrt", lax.sqrt, "the square root")
elementwise("rsqrt math.rsqrt", "Rsqrt", lambda x: lax.rsqrt(jnp.asarray(x)), "1 / sqrt(x)")
elementwise("exp math.exp", "Exp", lax.exp, "e to the power of it")
elementwise("expm1 math.expm1", "Expm1", jnp.expm1, "exp(x) - 1")
elementwise("log math.log", "Log", lax.log, "the natural logarithm")
elementwise("log1p math.log1p", "Log1p", jnp.log1p, "log(1 + x)")
elementwise("sin math.sin", "Sin", jnp.sin, "the sine")
elementwise("cos math.cos", "Cos", jnp.cos, "the cosine")
elementwise("sinh math.sinh", "Sinh", jnp.sinh, "the hyperbolic sine")
elementwise("cosh math.cosh", "Cosh", jnp.cosh, "the hyperbolic cosine")
elementwise("asinh math.asinh", "Asinh", jnp.arcsinh, "the inverse hyperbolic sine")
elementwise("acosh math.acosh", "Acosh", jnp.arccosh, "the inverse hyperbolic cosine")
elementwise("atanh math.atanh", "Atanh", jnp.arctanh, "the inverse hyperbolic tangent")
elementwise("tanh math.tanh nn.tanh", "Tanh", lax.tanh, "the hyperbolic tangent")
elementwise("sigmoid math.sigmoid nn.sigmoid", "Sigmoid", jax.nn.sigmoid, "1 / (1 + exp(-x))")
elementwise(
    "log_sigmoid math.log_sigmoid",
    "LogSigmoid",
    jax.nn.log_sigmoid,
    "the logarithm of its sigmoid",
    complexes=False,
)
for _names, _kind, _function, _says in (
    ("tan math.tan", "Tan", jnp.tan, "the tangent"),
    ("asin math.asin", "Asin", jnp.arcsin, "the inverse sine"),
    ("acos math.acos", "Acos", jnp.arccos, "the inverse cosine"),
    ("atan math.atan", "Atan", jnp.arctan, "the inverse tangent"),
    ("reciprocal math.reciprocal", "Reciprocal", jnp.reciprocal, "1 / x"),
):
    elementwise(_names, _kind, _unimplemented_for_whole(_function), _says, whole=True)
elementwise("erf math.erf", "Erf", jax.scipy.special.erf, "the error function", complexes=False)
elementwise("erfc math.erfc", "Erfc", jax.scipy.special.erfc, "1 - erf(x)", complexes=False)
elementwise(
    "lgamma math.lgamma", "Lgamma", jax.scipy.special.gammaln, "the logarithm of |gamma(x)|", complexes=False
)
elementwise(
    "digamma math.digamma", "Digamma", jax.scipy.special.digamma, "the derivative of lgamma", complexes=False
)
elementwise("math.bessel_i0", "BesselI0", jax.scipy.special.i0, "the Bessel function i0", complexes=False)
elementwise("math.bessel_i1", "BesselI1", jax.scipy.special.i1, "the Bessel function i1", complexes=False)
elementwise("floor math.floor", "Floor", jnp.floor, "the whole number below", complexes=False)
elementwise("ceil math.ceil", "Ceil", jnp.ceil, "the whole number above", complexes=False)
elementwise("rint math.rint", "Rint", jnp.rint, "the nearest whole number, halves to even", complexes=False)
elementwise("is_nan math.is_nan debugging.is_nan", "IsNan", jnp.isnan, "whether it is NaN", complexes=False)
elementwise(
    "is_inf math.is_inf debugging.is_inf", "IsInf", jnp.isinf, "whether it is infinite", complexes=False
)
elementwise(
    "is_finite math.is_finite debugging.is_finite",
    "IsFinite",
    jnp.isfinite,
    "whether it is finite",
    complexes=False,
)
elementwise("sign math.sign", "Sign", jnp.sign, "-1, 0 or 1, by its sign", fold=np.sign, whole=True)
absolute = elementwise(
    "abs math.abs", "Abs", distance, "its distance from zero, a real number", fold=np.abs, whole=True
)


@export("round", "math.round")
def round_(x: Any, name: str | None = None) -> Tensor:
    """Return the nearest whole numbers, halves to even, by element; whole ones as they are.

    Args:
        x: A tensor of numbers.
        name: A name for the result.

    Raises:
        TensorTypeError: If it is of truth values (`tensor_type`).
    """
    tensor = convert_to_tensor(x)
    if tensor.dtype.is_integer:
        return tensor
    _check("Round", tensor.dtype, whole=False, complexes=True)
    return compute("Round", jnp.round, tensor, name=name)


@export("lbeta", "math.lbeta")
def lbeta(x: Any, name: str | None = None) -> Tensor:
    """Return log(|Beta(x)|) over the last axis: the sum of `lgamma(x)` less `lgamma` of the sum.

    Args:
        x: A tensor of real numbers, of rank 1 or more.
        name: A name for the result.
    """

    def beta(array: Any) -> jax.Array:
        gammaln = jax.scipy.special.gammaln
        return jnp.sum(gammaln(array), -1) - gammaln(jnp.sum(array, -1))

    return compute("Lbeta", beta, real_only(x, "Lbeta"), name=name)


@export("polygamma", "math.polygamma")
def polygamma(a: Any, x: Any, name: str | None = None) -> Tensor:
    """Return the derivative of order `a` of digamma, by element.

    Args:
        a: A tensor of whole numbers in a real dtype.
        x: A tensor of the same dtype.
        name: A name for the result.
    """
    order = real_only(a, "Polygamma")
    return compute(
        "Polygamma", jax.scipy.special.polygamma, order, convert_to_tensor(x, order.dtype), name=name
    )


@export("zeta", "math.zeta")
def zeta(x: Any, q: Any, name: str | None = None) -> Tensor:
    """Return the Hurwitz zeta function, by element.

    Args:
        x: A tensor of real numbers above one.
        q: A tensor of the same dtype.
        name: A name for the result.
    """
    first = real_only(x, "Zeta")
    return compute("Zeta", jax.scipy.special.zeta, first, convert_to_tensor(q, first.dtype), name=name)


@export("identity")
def identity(input: Any, name: str | None = None) -> Tensor:
    """Return a value as a tensor.

    Args:
        input: What can be a tensor.
        name: A name for the result.
    """
    return convert_to_tensor(input, name=name)
