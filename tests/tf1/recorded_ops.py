"""Plays calls of TensorFlow 1's operations, as they were recorded, on `jaxscope.tf1`, and compares.

Calls in `cases/recorded.jsonl.gz` were thought of; those in `cases/mutated.jsonl.gz` are such with arguments
changed at random, and chains of operations put together at random. TensorFlow said what they give.
"""

import builtins
import gzip
import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
import jaxscope.tf1 as tf

CASES = Path(__file__).parent / "cases"

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "square_plus_one": lambda x: tf.square(x) + 1,
    "double": lambda x: x * 2,
    "same": lambda x: x,
    "row_sum": lambda x: tf.reduce_sum(x),
    "pair_sum": lambda ab: ab[0] + ab[1],
    "to_pair": lambda x: (x, x * 2),
    "pair_swap": lambda ab: (ab[1], ab[0]),
    "to_int": lambda x: tf.cast(x, tf.int32),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "decay": lambda a, x: 0.5 * a + x,
    "fibonacci": lambda a, _: (a[1], a[0] + a[1]),
    "pair_scan": lambda a, x: (a[0] + x[0], a[1] * x[1]),
    "tanh_cell": lambda h, x: tf.tanh(h + x),
    "sin": lambda x: tf.sin(x),
    "neg": lambda x: -x,
    "below_5": lambda i: i < 5,
    "below_5_of_2": lambda i, x: i < 5,
    "below_0_of_2": lambda i, x: i < 0,
    "norm_below_10": lambda i, x: tf.reduce_sum(x) < 10.0,
    "plus_1": lambda i: i + 1,
    "plus_1_list": lambda i: [i + 1],
    "plus_1_double": lambda i, x: (i + 1, x * 2.0),
    "plus_1_double_list": lambda i, x: [i + 1, x * 2.0],
    "newton_2": lambda i, x: (i + 1, 0.5 * (x + 2.0 / x)),
    "grow": lambda i, x: (i + 1, tf.concat([x, x], 0)),
    "pair_below": lambda p: p[0] < 4,
    "pair_next": lambda p: [(p[0] + 1, p[1] + tf.cast(p[0], tf.float32))],
    "one": lambda: tf.constant(1.0),
    "two": lambda: tf.constant(2.0),
    "two_int": lambda: tf.constant(2),
    "pair_1_2": lambda: (tf.constant(1.0), tf.constant(2.0)),
    "pair_3_4": lambda: (tf.constant(3.0), tf.constant(4.0)),
    "python_1": lambda: 1.0,
    "python_2": lambda: 2.0,
    "nothing": lambda: tf.no_op(),
    "triple": lambda: [tf.constant(1), tf.constant([2.0]), tf.constant(True)],
    "triple_2": lambda: [tf.constant(5), tf.constant([6.0]), tf.constant(False)],
}

#: dtype -> relative and absolute tolerance.
TOLERANCES = {
    "float64": (1e-8, 1e-9),
    "complex128": (1e-8, 1e-9),
    "float32": (1e-5, 1e-6),
    "complex64": (1e-5, 1e-6),
    "float16": (1e-2, 2e-3),
    "bfloat16": (3e-2, 1e-2),
}
NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}


def cases() -> list[dict[str, Any]]:
    """Return all cases."""
    return [
        json.loads(line)
        for file in sorted(CASES.glob("*.gz"))
        for line in gzip.open(file, "rt", encoding="utf-8")
    ]


def uses_64_bits(case: dict[str, Any]) -> bool:
    """Tell whether a case has types of 64 bits."""
    return any(f"{kind}64" in json.dumps(case) for kind in ("int", "float")) or "complex128" in json.dumps(
        case
    )


def attribute(path: str) -> Any:
    thing: Any = tf
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def numbers(value: dict[str, Any], key: str) -> np.ndarray:
    """Return the numbers of a recorded array, in the dtype that `key` names."""
    name = value[key]
    if name == "string":
        return np.array(value["v"], object).reshape(value["s"])
    dtype = jnp.dtype(name)
    flat = [complex(*(float(part) for part in one)) if isinstance(one, list) else one for one in value["v"]]
    flat = [float(one) if isinstance(one, str) else one for one in flat]
    return np.array(flat, dtype=dtype).reshape(value["s"])


class Call:
    """One recorded call: its float tensors are traced, all else is known."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.floats: list[np.ndarray] = []
        self._arguments([])

    def run(self, floats: list[Any]) -> Any:
        """Call the function, with arrays for the float tensors."""
        left = [tf.convert_to_tensor(array) for array in floats]
        args, kwargs = self._arguments(left)
        return self._function()(*args, **kwargs)

    def _arguments(self, left: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        args = self._decode(self.case["args"], left)
        return args, {name: self._decode(one, left) for name, one in self.case["kwargs"].items()}

    def _function(self) -> Callable[..., Any]:
        kind, _, name = self.case["fn"].partition(":")
        if kind == "snippet":
            space = {"tf": tf, "np": np}
            exec(self.case["code"], space)  # recorded source
            return space["f"]
        if kind == "method":
            return lambda self, *args, **kwargs: getattr(self, name)(*args, **kwargs)
        if kind == "op":
            builtin = {"bool": bool, "len": len, "iter": lambda x: list(iter(x))}
            return builtin.get(name) or getattr(operator, {"and": "and_", "or": "or_"}.get(name, name))
        return attribute(kind)

    def _decode(self, value: Any, left: list[Any]) -> Any:
        """Return a value; tensors of floats are noted down on the first walk, taken from `left` on others."""
        if isinstance(value, list):
            return [self._decode(one, left) for one in value]
        if not isinstance(value, dict):
            return value
        match next(iter(value), None):
            case "t":
                array = numbers(value, "t")
                if not jnp.issubdtype(array.dtype, jnp.floating):
                    return tf.convert_to_tensor(array)
                if left:
                    return left.pop(0)
                self.floats.append(array)
                return array
            case "np":
                array = numbers(value, "np")
                return array[()] if value.get("scalar") else array
            case "tuple":
                return tuple(self._decode(value["tuple"], left))
            case "slice":
                return slice(*self._decode(value["slice"], left))
            case "ellipsis":
                return ...
            case "newaxis":
                return None
            case "dtype":
                return tf.as_dtype(value["dtype"])
            case "npdtype":
                return jnp.dtype(value["npdtype"]).type
            case "shape":
                return tf.TensorShape(value["shape"])
            case "dim":
                return tf.Dimension(value["dim"])
            case "f":
                return float(value["f"])
            case "attr":
                return attribute(value["attr"])
            case "fn":
                if "over" in value:
                    given = self._decode(value["over"], left)
                    return lambda: FUNCTIONS[value["fn"]](*given)
                return FUNCTIONS[value["fn"]]
            case "dict":
                return {name: self._decode(one, left) for name, one in value["dict"].items()}
            case other:
                raise AssertionError(other)


def refused(case: dict[str, Any]) -> None:
    """Call what is to raise, with constants, as TensorFlow had them."""
    call = Call(case)
    constants = [tf.constant(array) for array in call.floats]
    if case["fn"].startswith("snippet"):
        js.transform(_with_keys(lambda: call.run(constants))).init(jax.random.key(0))
    else:
        call.run(constants)


def played(case: dict[str, Any], *, compiled: bool = True) -> tuple[Any, list[Any]]:
    """Return what comes back from a call, with arrays computed, and the gradients of its float tensors.

    Args:
        case: The case.
        compiled: Whether in one program, which takes a third of the time; not where a shape, or how often a
            loop runs, depends on floats.
    """
    call = Call(case)
    floats = [jnp.asarray(array) for array in call.floats]

    def loss(given: list[Any]) -> Any:
        out = call.run(given)
        tensors = [
            tf.convert_to_tensor(one)
            for one in jax.tree.leaves(out, is_leaf=tf.is_tensor)
            if tf.is_tensor(one)
        ]
        real = [tensor for tensor in tensors if tensor.dtype.is_floating]
        wide = jnp.float64 if any(tensor.dtype == "float64" for tensor in real) else jnp.float32
        total = sum((jnp.sin(jnp.asarray(one).astype(wide)).sum() for one in real), jnp.zeros((), wide))
        leaves, structure = jax.tree.flatten(out, is_leaf=tf.is_tensor)
        whole = {i: tf.convert_to_tensor(one) for i, one in enumerate(leaves) if tf.is_tensor(one)}
        kept = {i: one for i, one in whole.items() if one.dtype != "string"}
        plain = {i: whole.get(i, one) for i, one in enumerate(leaves) if i not in kept}
        outside.update(plain=plain, structure=structure)
        return total, kept

    outside: dict[str, Any] = {}
    jit: Any = jax.jit if compiled else lambda function: function
    grad = jit(jax.grad(loss, has_aux=True, allow_int=True))
    draws = "random" in case.get("tags", ()) or "dropout" in case["fn"] or "random" in case["fn"]
    if case["fn"].startswith("snippet") or draws:
        net = js.transform(_with_keys(grad))
        variables = jit(net.init)(jax.random.key(0), floats)
        (grads, kept), _ = jit(net.apply_with_state)(variables, floats)
    else:
        grads, kept = grad(floats)
    found = {**outside["plain"], **kept}
    return jax.tree.unflatten(outside["structure"], [found[i] for i in range(len(found))]), grads


def _with_keys(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        with js.random_keys(jax.random.key(1)):
            return function(*args)

    return call


def check(found: Any, wanted: Any, *, narrow: bool) -> None:
    """Compare a result with the one that was recorded; `narrow` where there are no 64-bit types."""
    match wanted:
        case {"op": True}:
            return
        case {"tuple": parts} | list(parts):
            assert isinstance(found, tuple if isinstance(wanted, dict) else list), found
            assert len(found) == len(parts)
            for one, other in zip(found, parts, strict=True):
                check(one, other, narrow=narrow)
        case {"dict": parts}:
            assert found.keys() == parts.keys()
            for name, part in parts.items():
                check(found[name], part, narrow=narrow)
        case {"t": name, "s": shape}:
            assert isinstance(found, tf.Tensor | jax.Array), found  # a pass returns arrays
            found = tf.convert_to_tensor(found)
            assert found.dtype.name == (NARROW.get(name, name) if narrow else name)
            assert found.shape.as_list() == shape
            close(np.asarray(jnp.asarray(found)), wanted)
        case {"np": _}:
            close(np.asarray(found), wanted)
        case {"dtype": name}:
            assert found is tf.as_dtype(NARROW.get(name, name) if narrow else name)
        case {"npdtype": name}:
            assert found == jnp.dtype(name).type
        case {"shape": sizes}:
            assert isinstance(found, tf.TensorShape)
            assert (found.as_list() if found.ndims is not None else None) == sizes
        case {"dim": size}:
            assert isinstance(found, tf.Dimension)
            assert found.value == size
        case {"f": text}:
            np.testing.assert_equal(found, float(text))
        case _:
            assert type(found) is type(wanted)
            assert found == wanted


def close(found: np.ndarray, wanted: dict[str, Any]) -> None:
    """Compare numbers: whole ones exactly, floats within tolerances, random ones with their bounds."""
    key = "t" if "t" in wanted else "np"
    if "v" not in wanted or "rule" in wanted:
        if "v" in wanted:
            other = numbers(wanted, key)
            assert np.all((found == 0) | np.isclose(found, other, rtol=1e-5))
        if "lo" in wanted:
            assert np.all(found >= wanted["lo"])
        if "hi" in wanted:
            assert np.all(found <= wanted["hi"])
        if "sorted" in wanted:
            np.testing.assert_allclose(
                np.sort(found.reshape(-1)), np.sort(np.asarray(wanted["sorted"]).reshape(-1))
            )
        return
    expected = numbers(wanted, key)
    assert found.shape == expected.shape
    if found.dtype.name not in TOLERANCES:
        np.testing.assert_array_equal(found, expected)
        return
    rtol, atol = TOLERANCES[found.dtype.name]
    wide = np.complex128 if found.dtype.kind == "c" else np.float64
    a, b = found.astype(wide), expected.astype(wide)
    largest = max([1.0, *np.abs(b[np.isfinite(b)]).ravel()])
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol * largest)


def error_of(name: str) -> tuple[type[BaseException], ...]:
    """Return the classes of which one must be raised where TensorFlow raised the error of that name."""
    if name == "InvalidArgumentError":
        return (ValueError, tf.errors.InvalidArgumentError)
    if name == "UnimplementedError":
        return (NotImplementedError, ValueError)
    return (getattr(builtins, name, None) or getattr(tf.errors, name),)
