"""The canonical text of a function's jaxpr and of its optimised HLO, whatever tree its variables are in.

A library may hold the same arrays in another order, which changes the order of a program's inputs and
outputs and of a scan's inputs, and nothing else. So inputs are put in the order of their first use, outputs
in the order in which they are made, and names that mean nothing are numbered anew.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend import core

# What does not change the program: bookkeeping of pjit, and functions and counts whose text has an address.
IGNORED = {
    *("name", "linear", "inline", "keep_unused", "donated_invars", "compiler_options_kvs", "ctx_mesh"),
    *("in_shardings", "out_shardings", "in_layouts", "out_layouts", "jvp_jaxpr_fun", "num_consts"),
    *("ft_in", "ft_out"),  # of a scan; `segment` tells
}


@dataclass(frozen=True)
class Canonical:
    """A jaxpr's text, and the places of its inputs and outputs in canonical order."""

    text: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def canonical(jaxpr: Any) -> Canonical:
    """Return the canonical form of a `jax.extend.core.Jaxpr`."""
    numbers: dict[Any, int] = {}
    lines: list[str] = []

    def label(atom: Any) -> str:
        if isinstance(atom, core.Literal):
            return f"{atom.val}:{atom.aval.str_short()}"
        return f"v{numbers.setdefault(atom, len(numbers))}:{atom.aval.str_short()}"

    for eqn in jaxpr.eqns:
        order = list(range(len(eqn.invars)))
        params: list[str] = []
        for name, value in sorted(eqn.params.items()):
            inner = subjaxpr(value)
            if inner is not None:
                form = canonical(inner)
                params.append(f"{name}={{\n{form.text}\n}}")
                if len(form.inputs) == len(order):
                    order = list(form.inputs)
            elif name not in IGNORED and not callable(value):
                params.append(f"{name}={value}")
        ins = " ".join(segment(eqn, i) + label(eqn.invars[i]) for i in order)
        outs = " ".join(label(v) for v in eqn.outvars)
        lines.append(f"{outs} = {eqn.primitive.name}[{', '.join(params)}] {ins}")
    places = {v: numbers.get(v, len(numbers) + i) for i, v in enumerate(jaxpr.invars)}
    inputs = sorted(range(len(jaxpr.invars)), key=lambda i: places[jaxpr.invars[i]])
    names = [label(v) for v in jaxpr.outvars]
    outputs = sorted(range(len(names)), key=lambda i: (numbers.get(jaxpr.outvars[i], -1) if not isinstance(
        jaxpr.outvars[i], core.Literal) else -1))  # fmt: skip
    lines.append("return " + " ".join(names[i] for i in outputs))
    return Canonical("\n".join(lines), tuple(inputs), tuple(outputs))


def subjaxpr(value: Any) -> Any:
    """Return the jaxpr that a parameter of an equation holds, or None."""
    if isinstance(value, core.ClosedJaxpr):
        return value.jaxpr
    return value if isinstance(value, core.Jaxpr) else None


def segment(eqn: Any, place: int) -> str:
    """Return whether a scan's input is a constant, carried or scanned: it may move among its like alone."""
    if eqn.primitive.name != "scan":
        return ""
    body = subjaxpr(eqn.params["jaxpr"])  # a stack has one axis more than what the body takes of it
    whole = [len(a.aval.shape) == len(b.aval.shape) for a, b in zip(eqn.invars, body.invars, strict=True)]
    carried = sum(
        len(a.aval.shape) == len(b.aval.shape) for a, b in zip(eqn.outvars, body.outvars, strict=True)
    )
    return "scanned " if not whole[place] else "const " if place < sum(whole) - carried else "carry "


@dataclass(frozen=True)
class Program:
    """One function's jaxpr and optimised HLO in canonical form."""

    jaxpr: str
    hlo: str


def program(apply: Callable[..., Any], variables: Any, inputs: tuple[Any, ...]) -> Program:
    """Trace and compile `apply`; its arguments are abstract."""
    leaves, tree = jax.tree.flatten((variables, inputs))
    unpacked = lambda variables, inputs: apply(variables, *inputs)  # noqa: E731
    flat = lambda *leaves: jax.tree.leaves(unpacked(*tree.unflatten(leaves)))  # noqa: E731
    form = canonical(jax.make_jaxpr(flat)(*leaves).jaxpr)

    def ordered(*used: Any) -> list[Any]:
        back = dict(zip(form.inputs, used, strict=True))
        outs = flat(*(back[i] for i in range(len(leaves))))
        return [outs[i] for i in form.outputs]

    lowered = jax.jit(ordered, keep_unused=True).lower(*(leaves[i] for i in form.inputs))
    return Program(form.text, hlo_text(lowered.compile().as_text() or ""))


def hlo_text(text: str) -> str:
    """Return HLO without source positions, and with its values numbered by first appearance."""
    start = text.find("\n%")
    entry = text.find("\nENTRY")
    body = text[min(i for i in (start, entry) if i >= 0) :]
    body = re.sub(r',? ?metadata=\{(?:"[^"]*"|[^"}])*\}', "", body)
    numbers: dict[str, str] = {}
    return re.sub(r"%[\w.\-]+", lambda m: numbers.setdefault(m[0], f"%{len(numbers)}"), body)


def compare(one: str, other: str) -> str:
    """Return "identical", "same operations" (in another order or wiring), or how many operations differ."""
    if one == other:
        return "identical"
    a, b = operations(one), operations(other)
    different = (a - b).total() + (b - a).total()
    return f"{different} operations differ" if different else "same operations"


def operations(text: str) -> Counter[str]:
    """Count the operations of a canonical jaxpr (`= add[...]`) or HLO (`= f32[2]{0} add(...)`)."""
    of_hlo = re.search(r"(?m)^ENTRY ", text)
    return Counter(re.findall(r"= .*? ([a-z][\w\-]*)\(" if of_hlo else r"= ([a-z][\w\-]*)\[", text))
