"""A program's operations in a row: inner functions of `jax.jit` opened, what is not used left out."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend import core

#: Of an operation's parameters, those that do not change what it computes.
IGNORED = {
    "sharding",
    "out_sharding",
    "mode_name",
    "name",
    "accuracy",
    "unique_indices",
    "indices_are_sorted",
}


def operations(function: Callable[..., Any], *args: Any) -> list[str]:
    """Return the operations of a function: each with its inputs, by the operations that made them."""
    closed = jax.make_jaxpr(function)(*args)
    rows: list[tuple[str, str, list[Any], list[Any]]] = []
    _open(closed.jaxpr, list(closed.jaxpr.invars), rows, outs := [])
    used = {id(one) for one in outs}
    kept = []
    for row in reversed(rows):
        if any(id(out) in used for out in row[3]):
            used |= {id(one) for one in row[2]}
            kept.append(row)
    names = {id(one): f"input {i}" for i, one in enumerate(closed.jaxpr.invars)}
    for variable, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        names[id(variable)] = f"constant {np.asarray(value).tolist()}"
    found = []
    for kind, params, ins, made in reversed(kept):
        shown = [names.get(id(one)) or _literal(one) for one in ins]
        types = ", ".join(one.aval.str_short() for one in made)
        found.append(f"{kind}[{params}]({', '.join(shown)}) -> {types}")
        names |= {id(one): f"#{len(found)}.{i}" for i, one in enumerate(made)}
    return [*found, "return " + ", ".join(names.get(id(one)) or _literal(one) for one in outs)]


def _literal(one: Any) -> str:
    return f"{getattr(one, 'val', one)}:{one.aval.str_short()}"


def _open(jaxpr: Any, given: list[Any], rows: list[Any], outs: list[Any]) -> None:
    names: dict[Any, Any] = dict(zip(jaxpr.invars, given, strict=True))

    def known(atom: Any) -> Any:
        return atom if isinstance(atom, core.Literal) else names.get(atom, atom)

    for eqn in jaxpr.eqns:
        ins = [known(one) for one in eqn.invars]
        inner = eqn.params.get("jaxpr") if eqn.primitive.name in {"pjit", "jit"} else None
        if inner is not None:
            results: list[Any] = []
            _open(inner.jaxpr, ins, rows, results)
            names |= dict(zip(eqn.outvars, results, strict=True))
            continue
        params = ", ".join(
            f"{name}={value}" for name, value in sorted(eqn.params.items()) if name not in IGNORED
        )
        params = re.sub(r"np\.int64\((-?\d+)\)", r"\1", params)  # a number is a number
        rows.append((eqn.primitive.name, params, ins, list(eqn.outvars)))
    outs.extend(known(one) for one in jaxpr.outvars)
