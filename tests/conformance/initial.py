"""Initializers as the model of the rules knows them: shapes, dtypes and what the values look like."""

import math
from typing import Any

from tests.conformance.objects import UserError

CODES = {
    "exists": "exists",
    "missing": "missing",
    "shape_mismatch": "shape_mismatch",
    "dtype_mismatch": "dtype_mismatch",
    "no_shape": "no_shape",
    "bad_initializer": (
        "init_needs_full_shape constant_with_shape constant_dtype_conflict no_default_for_dtype "
        "init_wrong_shape init_wrong_dtype init_call_failed string_initializer"
    ),
    "bad_name": "invalid_characters not_a_string no_scope_name template_without_name",
    "other": (
        "reuse_without_name bad_reuse_value getter_not_callable getter_signature negative_dimension "
        "trainable_conflict template_new_variable"
    ),
}
CATEGORY = {code: category for category, codes in CODES.items() for code in codes.split()}

FLOATING = {"float16", "float32", "float64"}
EXACT = {"int32", "int64", "uint8", "bool"}


class RuleError(Exception):
    """An error that the rules demand."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.category = CATEGORY[code]


def fits(asked: Any, shape: tuple[int, ...]) -> bool:
    """R25."""
    if asked is None:
        return True
    return len(asked) == len(shape) and all(a in {None, b} for a, b in zip(asked, shape, strict=True))


def _shape_of(value: Any) -> tuple[int, ...]:
    return (len(value), *_shape_of(value[0])) if isinstance(value, list) else ()


def _flat(value: Any) -> list[Any]:
    return [x for part in value for x in _flat(part)] if isinstance(value, list) else [value]


def _python_dtype(value: Any) -> str:
    """R32."""
    kinds = {type(x) for x in _flat(value)}
    if float in kinds:
        return "float32"
    return "int32" if int in kinds else "bool"


def fill(value: Any, shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    if 0 in shape:
        return {"empty": True}
    kind = {"bool": bool, "complex64": lambda x: [float(x), 0.0]}.get(dtype, int if dtype in EXACT else float)
    return {"fill": kind(value)}


def _values(value: Any, dtype: str) -> dict[str, Any]:
    flat = _flat(value)
    if len(set(flat)) == 1:
        return fill(flat[0], (), dtype)
    return {"values": flat}


def glorot_limit(shape: tuple[int, ...]) -> float:
    """R28."""
    match shape:
        case ():
            fans = 1.0, 1.0
        case (n,):
            fans = n, n
        case (*leading, last, units):
            fans = math.prod(leading) * last, math.prod(leading) * units
    return math.sqrt(6 / sum(fans))


class Initial:
    """The initializer that a node's `init` describes."""

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        self.kind, self.content = next(iter(spec.items())) if isinstance(spec, dict) else (spec, None)
        self.is_string = self.kind == "str"
        self.is_constant = self.kind in {"value", "py"}
        self.decides = self.kind == "fn0"
        self.wants_shape = not (self.is_constant or self.decides)

    @classmethod
    def by_dtype(cls, dtype: str) -> "Initial":
        """R28."""
        if dtype in FLOATING:
            return cls("glorot")
        if dtype in EXACT:
            return cls("zeros")
        raise RuleError("no_default_for_dtype")

    @property
    def own_dtype(self) -> str:
        if self.kind == "py":
            return _python_dtype(self.content)
        return self.spec.get("dtype", "float32")

    def conflicts(self, dtype: str | None) -> bool:
        return self.is_constant and dtype is not None and dtype != self.own_dtype

    def run(self, shape: tuple[int, ...] | None, dtype: str) -> tuple[tuple[int, ...], str, dict[str, Any]]:
        """The shape, dtype and value of what is made; `shape` is None where it is not fully known (R31)."""
        if self.is_constant or (self.decides and shape is None):
            own = self.own_dtype
            return _shape_of(self.content), own, _values(self.content, own)
        assert shape is not None
        match self.kind:
            case "zeros" | "zeros_class":
                value = fill(0, shape, dtype)
            case "ones":
                value = fill(1, shape, dtype)
            case "const":
                if dtype in EXACT:
                    raise RuleError("init_wrong_dtype")
                value = fill(self.content, shape, dtype)
            case "glorot":
                if dtype in EXACT:
                    raise RuleError("init_wrong_dtype")
                value = {"empty": True} if 0 in shape else {"uniform": float(f"{glorot_limit(shape):.3g}")}
            case "fn0" | "needs_arg":
                raise RuleError("init_call_failed")
            case "raises":
                raise UserError
            case "wrong_shape":
                if tuple(self.content) != shape:
                    raise RuleError("init_wrong_shape")
                value = fill(0, shape, dtype)
            case "wrong_dtype":
                if self.content != dtype:
                    raise RuleError("init_wrong_dtype")
                value = fill(0, shape, dtype)
            case kind:
                raise ValueError(kind)
        return shape, dtype, value
