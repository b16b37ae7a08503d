"""Alike: whether two programs surely compute the same of what they are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = ["alike"]


def alike(one: Jaxpr, other: Jaxpr) -> bool:
    """Tell whether two programs are surely the same; a function that JAX keeps is the same only as itself.

    Example:
        >>> def program(by):
        ...     return jax.make_jaxpr(lambda x: jnp.sin(x) * by)(1.0).jaxpr
        >>> alike(program(2.0), program(2.0)), alike(program(2.0), program(3.0))
        (True, False)
    """
    pairs: dict[Any, Any] = {}

    def bound(ones: Sequence[Any], others: Sequence[Any]) -> bool:
        pairs.update(zip(ones, others, strict=False))
        return [var.aval for var in ones] == [var.aval for var in others]

    def same(atom: Any, counterpart: Any) -> bool:
        if isinstance(atom, Literal):
            return isinstance(counterpart, Literal) and _same_literal(atom, counterpart)
        return pairs.get(atom) is counterpart

    def all_same(atoms: Sequence[Any], counterparts: Sequence[Any]) -> bool:
        return len(atoms) == len(counterparts) and all(map(same, atoms, counterparts))

    return (
        bound(one.constvars, other.constvars)
        and bound(one.invars, other.invars)
        and len(one.eqns) == len(other.eqns)
        and all(
            a.primitive is b.primitive
            and all_same(a.invars, b.invars)
            and a.ctx == b.ctx
            and _same_value(a.params, b.params)
            and bound(a.outvars, b.outvars)
            for a, b in zip(one.eqns, other.eqns, strict=True)
        )
        and all_same(one.outvars, other.outvars)
    )


def _same_literal(one: Any, other: Any) -> bool:
    return bool(one.aval == other.aval) and _bits(one.val) == _bits(other.val)


def _bits(value: Any) -> Any:
    array = np.asarray(value)
    return array.dtype, array.shape, array.tobytes()


def _same_value(one: Any, other: Any) -> bool:
    """Tell whether two parameters of equations are the same."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, ClosedJaxpr):
        return alike(one.jaxpr, other.jaxpr) and _same_value(list(one.consts), list(other.consts))
    if isinstance(one, Jaxpr):
        return alike(one, other)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_same_value, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same_value(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray | np.generic | float | complex):
        return bool(_bits(one) == _bits(other))
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - what cannot be compared is not surely the same
        return False
