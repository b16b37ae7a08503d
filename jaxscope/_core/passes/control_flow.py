"""Control flow: how branches and loops take the values of Refs in, and hand out those that they write."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Var, jaxpr_as_fun

from jaxscope._core.base import compat


class Body(Protocol):
    """A jaxpr that is written again with plain values in the place of Refs.

    Attributes:
        inputs: Its inputs, a value's variable in the place of each such Ref's.
        results: Its results, without what it writes.
        values: What each of those Refs holds at the end, by position among the inputs.
        written: The positions of those that hold another value than in the beginning.
    """

    inputs: list[Any]
    results: list[Any]
    values: dict[int, Any]
    written: tuple[int, ...]

    def nested(self, source: Any, refs: Sequence[int]) -> "Body":
        """Return an inner jaxpr, written again with values in the place of the Refs at some positions."""
        ...

    def arranged(self, inputs: Sequence[Any], results: Sequence[Any]) -> Any:
        """Return the new jaxpr, with inputs and results in a given order."""
        ...

    def closed(self, results: Sequence[Any]) -> ClosedJaxpr:
        """Return the new jaxpr, closed, with its inputs as they are and some results."""
        ...

    def returning(self, written: tuple[int, ...]) -> Any:
        """Return the new jaxpr, with what the Refs at some positions hold as its last results."""
        ...

    def operands(self, equation: JaxprEqn) -> list[Any]:
        """Return the operands of an equation, the present value in the place of each Ref."""
        ...

    def renewed(self, ref: Any) -> Any:
        """Return a new variable, which a Ref holds from now on."""
        ...

    def append(
        self, equation: JaxprEqn, operands: Sequence[Any], results: Sequence[Any], **params: Any
    ) -> None:
        """Write an equation again, with other operands and results, and some other parameters."""
        ...

    def traced(
        self, equation: JaxprEqn, function: Callable[..., Any], operands: Sequence[Any], refs: Sequence[Any]
    ) -> None:
        """Write a function's equations in the place of one: it returns its results, then what Refs hold."""
        ...

    def refuse(self, equation: JaxprEqn, why: str) -> NoReturn:
        """Raise `StateError`: an equation uses a Ref in a way that a value cannot be used."""
        ...


def branch(body: Body, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
    """Write a `cond`: what one branch writes, each of them returns."""
    refs = tuple(at - 1 for at in refs)  # the first operand is the number of the branch
    branches = [body.nested(source, refs) for source in equation.params["branches"]]
    written = tuple(at for at in refs if any(at in one.written for one in branches))
    operands = body.operands(equation)
    results = [*equation.outvars, *(body.renewed(equation.invars[at + 1]) for at in written)]
    body.append(equation, operands, results, branches=tuple(one.returning(written) for one in branches))


def scan(body: Body, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
    """Write a `scan`: it carries a Ref that it writes, and stacks what it writes to slices of one.

    It is asked of JAX anew, by `jax.lax.scan`: which of its operands are carried is told in the equation in
    other words from release to release.
    """
    params, operands = equation.params, body.operands(equation)
    step = body.nested(params["jaxpr"], refs)
    first = compat.whole(operands, step.inputs)  # the first of those that are scanned
    carry = compat.whole(equation.outvars, step.results)
    constants = first - carry
    carried = [at for at in step.written if at < constants]
    sliced = [at for at in step.written if at >= first]
    run = jaxpr_as_fun(step.closed([*step.results, *(step.values[at] for at in (*carried, *sliced))]))

    def again(*given: Any) -> list[Any]:
        values = dict(enumerate(given))

        def one(held: tuple[Any, ...], sliced: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            here = {**values, **dict(zip(moving, held, strict=True))}
            results = run(*(here[at] for at in range(first)), *sliced)
            own, written = results[: len(step.results)], results[len(step.results) :]
            new, stacked = written[: len(carried)], written[len(carried) :]
            return (*own[:carry], *new), (*own[carry:], *stacked)

        moving = [*range(constants, first), *carried]
        held, stacked = lax.scan(
            one,
            tuple(given[at] for at in moving),
            given[first:],
            length=params["length"],
            reverse=params["reverse"],
            unroll=params["unroll"],
        )
        own = len(stacked) - len(sliced)
        return [*held[:carry], *stacked[:own], *held[carry:], *stacked[own:]]

    body.traced(equation, again, operands, [equation.invars[at] for at in (*carried, *sliced)])


def loop(body: Body, equation: JaxprEqn, refs: tuple[int, ...]) -> None:
    """Write a `while`: it carries a Ref that its body writes, and its test reads what is carried."""
    params, operands = equation.params, body.operands(equation)
    first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    test = body.nested(params["cond_jaxpr"], [at for at in refs if at < first])
    step = body.nested(params["body_jaxpr"], [at - first for at in refs if at >= first])
    if test.written:
        body.refuse(equation, "the test of a loop cannot set one")
    carried = [equation.invars[first + at] for at in step.written]
    tested = [at for at in range(first) if equation.invars[at] not in carried]
    kept = [at for at in range(second - first) if at not in step.written]
    seen = {equation.invars[at]: test.inputs[at] for at in refs if at < first}
    body.append(
        equation,
        [
            *(operands[at] for at in tested),
            *(operands[first + at] for at in kept),
            *operands[second:],
            *(operands[first + at] for at in step.written),
        ],
        [*equation.outvars, *map(body.renewed, carried)],
        cond_nconsts=len(tested),
        cond_jaxpr=test.arranged(
            [
                *(test.inputs[at] for at in tested),
                *test.inputs[first:],
                *(seen.get(ref) or Var(ref.aval.inner_aval) for ref in carried),
            ],
            test.results,
        ),
        body_nconsts=len(kept),
        body_jaxpr=step.arranged(
            [
                *(step.inputs[at] for at in kept),
                *step.inputs[second - first :],
                *(step.inputs[at] for at in step.written),
            ],
            [*step.results, *(step.values[at] for at in step.written)],
        ),
    )
