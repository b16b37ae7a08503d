"""Programs: a jaxpr as one list of steps, each with its scope; what of it passes through which scope.

JAX notes with each equation which named scopes were open, and variable scopes are such. So a scope's inputs
are the values that its equations take from elsewhere, and its outputs those of its values that others take.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from jaxscope.sites import is_users

#: Equations that run one jaxpr on their operands, and their parameter that has it.
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "remat2": "jaxpr", "checkpoint": "jaxpr"}
_JAX = os.path.dirname(str(jax.__file__)) + os.sep
#: What is told of scopes whose operations are those of a derivative.
BACKWARD = " (backward)"


class Step(NamedTuple):
    """One equation.

    Attributes:
        equation: The equation.
        alone: A jaxpr of it alone, whose inputs are its operands without literals.
        scope: The innermost scope that was open; "" for the root.
        sources: Where it was written: its own place, then those of the calls around it.
        inputs: What it takes: numbers of values, or literals.
        outputs: The numbers of its results.
        body: What a loop does in each of its steps.
    """

    equation: JaxprEqn
    alone: Jaxpr
    scope: str
    sources: tuple[Any, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[int, ...]
    body: "Program | None"


class Flow(NamedTuple):
    """What passes through a scope: the numbers of values, in the order of computing."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(eq=False)
class Program:
    """A jaxpr as a list of steps. Its values have numbers: the inputs, the constants, then the results.

    Attributes:
        scope: The scope of all of it.
        inputs: The numbers of its inputs.
        constants: Constants by number.
        steps: In order; those of jitted functions are among them, but for JAX's own without scopes.
        results: The numbers of its results, or literals.
        count: How many numbers there are.
        depth: How many loops are around it.
    """

    scope: str
    inputs: tuple[int, ...] = ()
    constants: dict[int, Any] = field(default_factory=dict[int, Any])
    steps: list[Step] = field(default_factory=list[Step])
    results: tuple[Any, ...] = ()
    count: int = 0
    depth: int = 0

    def flows(self) -> dict[str, Flow]:
        """Return what passes through each scope below its own, in the order in which they begin."""
        home: dict[int, str] = {}
        outs: dict[str, dict[int, None]] = {}
        ins: dict[str, dict[int, None]] = {}

        def use(number: Any, scope: str) -> None:
            if not isinstance(number, int):
                return
            made = home.get(number, self.scope)
            for inner in _between(made, scope):  # those around its making that are not around its use
                outs.setdefault(inner, {})[number] = None
            for inner in _between(scope, made):
                ins.setdefault(inner, {})[number] = None

        for step in self.steps:
            for number in step.inputs:
                use(number, step.scope)
            home.update(dict.fromkeys(step.outputs, step.scope))
        for number in self.results:
            use(number, self.scope)
        return {
            scope: Flow(tuple(sorted(ins.get(scope, ()))), tuple(sorted(outs.get(scope, ()))))
            for program, scope in self.begun()
            if program is self
        }

    def begun(self) -> Iterator[tuple["Program", str]]:
        """Yield each scope with the program, of it or of a loop in it, in the order in which they begin."""
        seen: set[str] = set()
        for step in self.steps:
            for scope in reversed(list(_between(step.scope, self.scope))):
                if scope not in seen:
                    seen.add(scope)
                    yield self, scope
            if step.body is not None:
                yield from step.body.begun()

    def last_uses(self) -> dict[int, int]:
        """Return after which step each value is needed no more."""
        return {
            number: at
            for at, step in enumerate(self.steps)
            for number in step.inputs
            if isinstance(number, int)
        }

    def bodies(self) -> Iterator["Program"]:
        """Yield it and the bodies of its loops, outer ones first."""
        yield self
        for step in self.steps:
            if step.body is not None:
                yield from step.body.bodies()


def program_of(
    closed: ClosedJaxpr, scope: str = "", sources: tuple[Any, ...] = (), depth: int = 0
) -> Program:
    """Return a jaxpr as a program."""
    made = Program(scope, depth=depth)

    def new() -> int:
        made.count += 1
        return made.count - 1

    names: dict[Any, Any] = {var: new() for var in closed.jaxpr.invars}
    made.inputs = tuple(names.values())
    for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        names[var] = number = new()
        made.constants[number] = value

    def add(jaxpr: Jaxpr, names: dict[Any, Any], scope: str, sources: tuple[Any, ...]) -> None:
        for equation in jaxpr.eqns:
            inputs = tuple([atom if isinstance(atom, Literal) else names[atom] for atom in equation.invars])
            here = _below(scope, str(equation.source_info.name_stack))
            places = (equation.source_info, *sources)
            call = _CALLS.get(equation.primitive.name)
            if call and _is_opened(inner := equation.params[call]):
                opened, constants = _opened(inner)
                inside = dict(zip(opened.invars, inputs, strict=True))
                for var, value in zip(opened.constvars, constants, strict=True):
                    inside[var] = number = new()
                    made.constants[number] = value
                add(opened, inside, here, places)
                results = [one if isinstance(one, Literal) else inside[one] for one in opened.outvars]
                names.update(zip(equation.outvars, results, strict=True))
                continue
            outputs = tuple([new() for _ in equation.outvars])
            names.update(zip(equation.outvars, outputs, strict=True))
            body = None
            if equation.primitive.name == "scan":
                body = program_of(equation.params["jaxpr"], here, places, depth + 1)
            made.steps.append(Step(equation, _alone(jaxpr, equation), here, places, inputs, outputs, body))

    add(closed.jaxpr, names, scope, sources)
    made.results = tuple([one if isinstance(one, Literal) else names[one] for one in closed.jaxpr.outvars])
    return made


def _alone(jaxpr: Jaxpr, equation: JaxprEqn) -> Jaxpr:
    inputs = list(dict.fromkeys(atom for atom in equation.invars if isinstance(atom, Var)))
    results = [Var(var.aval) for var in equation.outvars]  # some may have been ones that nobody takes
    told = jaxpr.debug_info._replace(arg_names=("",) * len(inputs), result_paths=None)
    made: Jaxpr = jaxpr.replace(
        constvars=[],
        invars=inputs,
        outvars=results,
        eqns=[equation.replace(outvars=results)],
        effects=equation.effects,
        debug_info=told,
    )
    return made


def _is_opened(jaxpr: Any) -> bool:
    """Tell whether the operations of a jitted function are told one by one.

    JAX's own functions (`_where`, `logsumexp`) say more by their name.
    """
    written = str(_opened(jaxpr)[0].debug_info.func_src_info).rpartition(" at ")[2]
    return not written.startswith(_JAX) or has_scopes(jaxpr)


def has_scopes(jaxpr: Any) -> bool:
    """Tell whether there are scopes inside of a jaxpr, or of those that it runs."""
    return any(
        str(equation.source_info.name_stack) or any(map(has_scopes, _inside(equation)))
        for equation in _opened(jaxpr)[0].eqns
    )


def _inside(equation: JaxprEqn) -> Iterator[Any]:
    for parameter in equation.params.values():
        for one in parameter if isinstance(parameter, tuple | list) else [parameter]:
            if isinstance(one, Jaxpr | ClosedJaxpr):
                yield one


def _opened(jaxpr: Any) -> tuple[Jaxpr, Sequence[Any]]:
    return (jaxpr.jaxpr, jaxpr.consts) if isinstance(jaxpr, ClosedJaxpr) else (jaxpr, ())


# --- scopes ----------------------------------------------------------------------------------------

_WRAPPER = re.compile(r"[A-Za-z_][\w.]*\(")


def scope_of(stack: str) -> str:
    """Return the scope that JAX's names of an equation tell, without the transforms around it.

    Example:
        >>> scope_of("jvp(vmap(gpt))/h0"), scope_of("transpose(jvp(gpt))/h0"), scope_of("transpose(jvp())")
        ('gpt/h0', 'gpt/h0 (backward)', '')
    """
    words = stack.split("/")
    backward = False
    start = 0
    for at, word in enumerate(words):
        if at and backward and "jvp(" in word:
            start = at  # what is computed again for a derivative has its names twice
        backward = backward or word.startswith("transpose(")
    bare = [_WRAPPER.sub("", word).rstrip(")") if "(" in word else word for word in words[start:]]
    scope = "/".join(filter(None, bare))
    return scope + BACKWARD if backward and scope else scope


def _below(scope: str, stack: str) -> str:
    inner = scope_of(stack)
    both = "/".join(filter(None, [scope.removesuffix(BACKWARD), inner.removesuffix(BACKWARD)]))
    backward = both and (scope.endswith(BACKWARD) or inner.endswith(BACKWARD))
    return both + BACKWARD if backward else both


def _between(inner: str, outer: str) -> Iterator[str]:
    """Yield the scopes around one scope, innermost first, that are not around another."""
    kind = BACKWARD if inner.endswith(BACKWARD) else ""
    words = inner.removesuffix(BACKWARD).split("/") if inner else []
    shared = 0
    if outer.endswith(BACKWARD) == bool(kind) or not outer:
        others = outer.removesuffix(BACKWARD).split("/") if outer else []
        while shared < min(len(words), len(others)) and words[shared] == others[shared]:
            shared += 1
    for count in range(len(words), shared, -1):
        yield "/".join(words[:count]) + kind


# --- places ----------------------------------------------------------------------------------------


def place_of(sources: Sequence[Any]) -> str:
    """Return the user's line behind an equation: of its own, or of a call around it; "" if none is known."""
    for source in sources:
        frames = getattr(source.traceback, "frames", None) or ()
        for frame in frames:
            file = str(frame.file_name)
            if is_users(file):
                function = str(frame.function_name).rpartition(".")[2]
                return f"{os.path.basename(file)}:{frame.line_num} in {function}"
    return source_info_util.summarize(sources[0]) if sources else ""
