"""Control flow: how branches and loops take the values of Refs in, and hand out those that they write."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from jax.extend.core import JaxprEqn, Var


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
    """Write a `scan`: it carries a Ref that it writes, and stacks what it writes to slices of one."""
    params, operands = equation.params, body.operands(equation)
    constants, first = params["num_consts"], params["num_consts"] + params["num_carry"]
    step = body.nested(params["jaxpr"], refs)
    carried = [at for at in step.written if at < constants]
    sliced = [at for at in step.written if at >= first]
    order = [
        *(at for at in range(constants) if at not in carried),
        *range(constants, first),
        *carried,
        *range(first, len(operands)),
    ]

    def with_written(results: Sequence[Any], value: Callable[[int], Any]) -> list[Any]:
        before, after = results[: params["num_carry"]], results[params["num_carry"] :]
        return [*before, *map(value, carried), *after, *map(value, sliced)]

    # In JAX 0.8 each operand is linear or not.
    changed = {"linear": tuple(params["linear"][at] for at in order)} if "linear" in params else {}
    body.append(
        equation,
        [operands[at] for at in order],
        with_written(equation.outvars, lambda at: body.renewed(equation.invars[at])),
        jaxpr=step.arranged(
            [step.inputs[at] for at in order], with_written(step.results, step.values.__getitem__)
        ),
        num_consts=constants - len(carried),
        num_carry=params["num_carry"] + len(carried),
        **changed,
    )


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
