"""Captured: what passed through each scope, by its name, and where the first NaN came from."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer
from jax.extend.core import Literal
from jax.tree_util import DictKey

from jaxscope.inspect import statistics
from jaxscope.inspect.leaves import type_text
from jaxscope.inspect.programs import Flow, Program, Step, place_of
from jaxscope.inspect.running import INF, NAN, Kept, note
from jaxscope.inspect.statistics import Statistics
from jaxscope.inspect.tables import Shown, Table, counted, number


class Passed(NamedTuple):
    """What passed through a scope.

    Attributes:
        inputs: The arrays that its operations take from elsewhere, variables aside, in order of computing.
        outputs: Those of its results that are used elsewhere, in this order.
        variables: The full names of the variables that its operations use.
    """

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    variables: tuple[str, ...]


class Origin(NamedTuple):
    """What made the first NaN, or the first infinite number.

    Attributes:
        kind: `"NaN"` or `"Inf"`.
        scope: The scope that was open; "" for the root.
        operation: JAX's name of the operation: `"log"`, `"jit(_where)"` for a function of JAX's own that is
            jitted; `"given"` for an argument that had it.
        at: The user's line, `"train.py:12 in net"`, or which argument it was.
        steps: In which step of each loop around it; () outside of loops.
    """

    kind: str
    scope: str
    operation: str
    at: str
    steps: tuple[int, ...]

    def __str__(self) -> str:
        if self.operation == "given":
            return f"the first {self.kind} is given: {self.at}"
        steps = "".join(f", step {step} of the loop" for step in self.steps)
        scope = f"scope {self.scope!r}" if self.scope else "the root scope"
        return f"the first {self.kind} is made by {self.operation!r} in {scope} at {self.at}{steps}"


class Frame:
    """What a `Captured` knows without its arrays: the program, what flows, and what the arguments are.

    Args:
        program: The program.
        flows: What passes through which scope, of the program and of the bodies of its loops.
        given: What each of its inputs is called in messages.
        variables: The full names of those inputs that are variables, by their number.
    """

    def __init__(
        self,
        program: Program,
        flows: Mapping[Program, Mapping[str, Flow]],
        given: tuple[str, ...],
        variables: Mapping[int, str],
    ) -> None:
        self.program, self.flows, self.given, self.variables = program, flows, given, variables
        self.programs = list(program.bodies())
        self.wanted = {
            one: {number: None for flow in flows[one].values() for number in self.kept(one, flow)}
            for one in self.programs
        }
        self.scopes: dict[str, tuple[Program, Flow]] = {}
        times: Counter[str] = Counter()
        for one, scope in program.begun():
            if scope in flows[one]:
                times[scope] += 1
                key = f"{scope} #{times[scope]}" if times[scope] > 1 else scope  # of two loops in one scope
                self.scopes[key] = one, flows[one][scope]

    def kept(self, program: Program, flow: Flow) -> list[int]:
        """Return the numbers of what is kept of a scope: all but variables."""
        outer = program is self.program
        return [one for one in (*flow.inputs, *flow.outputs) if not (outer and one in self.variables)]


class Captured(Shown, Mapping[str, Passed]):
    """What passed through each scope, by its full name, in the order in which they begin; a pytree.

    What is in a loop (`js.scan_layers`, `jax.lax.scan`) has a leading axis for its steps, and weights of its
    own are among the inputs. What gradients are computed by is called `"gpt/h0 (backward)"`.
    """

    def __init__(self, frame: Frame, kept: Kept) -> None:
        self._frame = frame
        self._values = [kept.values[one] for one in frame.programs]
        self._notes = [kept.notes[one] for one in frame.programs]

    def __getitem__(self, scope: str) -> Passed:
        program, flow = self._frame.scopes[scope]
        values = self._values[self._frame.programs.index(program)]
        variables = self._frame.variables if program is self._frame.program else {}
        return Passed(
            tuple([values[one] for one in flow.inputs if one not in variables]),
            tuple([values[one] for one in flow.outputs if one not in variables]),
            tuple([variables[one] for one in flow.inputs if one in variables]),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.scopes)

    def __len__(self) -> int:
        return len(self._frame.scopes)

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType] - Mapping says None

    # --- where it began ------------------------------------------------------------------------

    def first_nan(self) -> Origin | None:
        """Return what made the first NaN out of numbers, or which argument had one; None where there is none.

        Raises:
            TypeError: The values are traced: ask outside of `jax.jit`.
        """
        return self._first("NaN", NAN)

    def first_inf(self) -> Origin | None:
        """Return what made the first infinite number of finite ones, or which argument had one; else None.

        Masks that are made of a constant -inf are none: no operation has made it of finite numbers.

        Raises:
            TypeError: The values are traced: ask outside of `jax.jit`.
        """
        return self._first("Inf", INF)

    def _first(self, kind: str, bit: int) -> Origin | None:
        if any(isinstance(one, Tracer) for one in self._notes):
            raise TypeError("there are no values yet: return what was captured, and ask outside of jax.jit")
        program = self._frame.program
        notes: dict[Program, Any] = {}
        either: Any = np.bitwise_or
        for one, noted in zip(self._frame.programs, map(np.asarray, self._notes), strict=True):
            # Of a batch made by vmap, whose axis is the first, any example counts.
            shape = noted.shape[noted.ndim - one.depth - 1 :]
            notes[one] = either.reduce(noted.reshape(-1, *shape), axis=0)
        for place, at in zip(self._frame.given, program.inputs, strict=True):
            if notes[program][at] & bit:
                return Origin(kind, "", "given", place, ())
        return _made(program, notes, kind, bit, ())

    # --- shown ---------------------------------------------------------------------------------

    def table(self) -> Table:
        """Return the table: a line for each scope; loud are those whose outputs are not all finite."""
        lines: list[tuple[str, ...]] = []
        loud: set[int] = set()
        for at, (scope, passed) in enumerate(self.items()):
            found = _statistics(passed.outputs)
            shown = ("", "", "", "") if found is None else _numbers(found)
            if found is not None and (found.nan or found.inf):
                loud.add(at)
            lines.append((scope, _types(passed.inputs), _types(passed.outputs), *shown))
        after: list[str] = []
        if not any(isinstance(one, Tracer) for one in self._notes):
            origins = [origin for origin in (self.first_nan(), self.first_inf()) if origin is not None]
            after = list(map(str, origins)) or ["all that was computed is finite, or was infinite before"]
        return Table(
            ("scope", "inputs", "outputs", "min", "max", "NaN", "Inf"),
            lines,
            right=frozenset({3, 4, 5, 6}),
            loud=frozenset(loud),
            before=() if lines else (f"{counted(0, 'scope')}",),
            after=tuple(after),
        )

    def to_json(self) -> str:
        """Return types and statistics of what passed, and the first NaN and Inf, as JSON."""
        scopes = {
            scope: {
                "inputs": list(map(type_text, passed.inputs)),
                "outputs": list(map(type_text, passed.outputs)),
                "variables": list(passed.variables),
                "nan": found.nan if found else None,
                "inf": found.inf if found else None,
            }
            for scope, passed in self.items()
            for found in [_statistics(passed.outputs)]
        }
        first = {"first_nan": self.first_nan(), "first_inf": self.first_inf()}
        origins = {name: origin and origin._asdict() for name, origin in first.items()}
        return json.dumps({"scopes": scopes, **origins})


def _made(
    program: Program, notes: Mapping[Program, Any], kind: str, bit: int, steps: tuple[int, ...]
) -> Origin | None:
    """Return the first step of a program whose results have it, and whose operands have not."""
    for step in program.steps:
        if any(_has(one, notes[program], bit) for one in step.inputs):
            continue
        if step.body is not None:
            length = step.equation.params["length"]
            order = range(length)[::-1] if step.equation.params["reverse"] else range(length)
            for at in order:
                inside = {one: notes[one][at] for one in step.body.bodies()}
                origin = _made(step.body, inside, kind, bit, (*steps, at))
                if origin is not None:
                    return origin
        if any(notes[program][one] & bit for one in step.outputs):
            scope = step.scope
            if scope.count("{}") == len(steps):  # so each loop is one over layers
                scope = scope.format(*steps)
            return Origin(kind, scope, _operation(step), place_of(step.sources), steps)
    return None


def _operation(step: Step) -> str:
    """Return JAX's name of an operation; of a call also that of the function."""
    name, function = step.equation.primitive.name, step.equation.params.get("name")
    return f"{name}({function})" if isinstance(function, str) else name


def _has(one: Any, notes: Any, bit: int) -> bool:
    return bool((note(one.val) if isinstance(one, Literal) else notes[one]) & bit)


def _statistics(values: tuple[Any, ...]) -> Statistics | None:
    if any(isinstance(value, Tracer) for value in values):
        return None
    found = [statistics.of(value) for value in values if statistics.has_numbers(value.dtype)]
    return statistics.together(found) if found else None


def _numbers(found: Statistics) -> tuple[str, ...]:
    finite = found.elements > found.nan + found.inf
    limits = (number(found.min), number(found.max)) if finite else ("", "")
    return (*limits, f"{found.nan:,}", f"{found.inf:,}")


def _types(values: tuple[Any, ...]) -> str:
    shown = list(map(type_text, values))
    return " ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


# --- as a pytree -----------------------------------------------------------------------------------


def _flatten(captured: Captured) -> tuple[tuple[Any, ...], Frame]:
    return (captured._values, captured._notes), captured._frame


def _flatten_with_keys(captured: Captured) -> tuple[tuple[Any, ...], Frame]:
    return ((DictKey("values"), captured._values), (DictKey("notes"), captured._notes)), captured._frame


def _unflatten(frame: Frame, children: Any) -> Captured:
    made: Captured = object.__new__(Captured)
    made._frame = frame
    made._values, made._notes = children
    return made


jax.tree_util.register_pytree_with_keys(Captured, _flatten_with_keys, _unflatten, _flatten)
