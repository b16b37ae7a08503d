"""Plans: what a module asks for, where its initial values come from, and what else there is of it."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax

from jaxscope.interop.leaves import Leaf, Trainable, ask, checked
from jaxscope.interop.memory import Memory
from jaxscope.interop.program import Program

#: The arrays of a module, each with what is known of it.
Found = Sequence[tuple[Leaf, Any]]


class Plan(NamedTuple):
    """What is known of a module, with no value of a trace in it.

    Attributes:
        leaves: What of it are variables.
        rest: What else it is put together of.
        program: What gives initial values, of a module that is made; None of one that is there.
        starts: The initial values of one that is there.
    """

    leaves: list[Leaf]
    rest: Any
    program: Program | None
    starts: Sequence[Any] = ()

    def ask(self, initial: Any, arrays: Sequence[Any] = (), others: Any = None) -> list[jax.Array]:
        """Return the variables of the current scope that stand for the leaves.

        Args:
            initial: The key that all are drawn with; None: each with its own.
            arrays: The arrays of the present call.
            others: The initializer of those that depend on these arrays, and are asked for last; None: what
                the program gives.
        """
        leaves, program = self.leaves, self.program
        if program is None:
            return ask(leaves, self.starts)
        alone = program.alone
        values = dict(zip(alone, ask([leaves[at] for at in alone], program.starts(initial)), strict=True))
        last = [at for at in range(len(leaves)) if at not in values]
        starts = [others] * len(last)
        if others is None:
            starts = program.rest([leaf.name for leaf in leaves], [*values.values()], initial, arrays)
        values |= dict(zip(last, ask([leaves[at] for at in last], starts), strict=True))
        return [values[at] for at in range(len(leaves))]


class Plans:
    """The plans of a module that is made, by kind of call."""

    def __init__(self) -> None:
        self._kept: Memory[dict[Hashable, Plan]] = Memory({})

    def of(
        self,
        kind: Hashable | None,
        make: Callable[[Any, list[Any]], tuple[Found, Any]],
        arrays: Sequence[Any],
        trainable: Trainable,
    ) -> Plan:
        """Return the plan for a kind of call.

        Args:
            kind: The kind; None where it cannot be told.
            make: Makes the module, of a key and the arrays of a call; returns its arrays and the rest, which
                has no value in it. It is run abstractly.
            arrays: The arrays of the present call.
            trainable: What is trained.

        Raises:
            InvalidNameError: Two arrays would have one name (code `same_name`).
        """
        kept = self._kept.value
        if kind is not None and kind in kept:
            return kept[kind]
        noted: list[Any] = []

        def values(key: Any, arrays: list[Any]) -> list[Any]:
            found, rest = make(key, arrays)
            noted[:] = [leaf for leaf, _ in found], rest
            return [value for _, value in found]

        program = Program(values, arrays)
        found, rest = noted
        leaves = [
            leaf._replace(shape=result.shape, dtype=result.dtype)
            for leaf, result in zip(found, program.results, strict=True)
        ]
        made = Plan(checked(leaves, trainable), rest, program)
        if kind is not None and program.safe:  # what holds values of a trace serves one call
            kept[kind] = made
        return made


def plan_of(found: Found, rest: Any, trainable: Trainable) -> Plan:
    """Return the plan of a module that is there.

    Raises:
        InvalidNameError: Two arrays would have one name (code `same_name`).
    """
    leaves = checked([leaf for leaf, _ in found], trainable)
    return Plan(leaves, rest, None, [value for _, value in found])


def by_name(found: Found, trainable: Trainable) -> dict[str, tuple[Any, bool]]:
    """Return the values of what a library has by name, each with whether it is trained.

    Raises:
        InvalidNameError: Two arrays would have one name (code `same_name`).
    """
    leaves = checked([leaf for leaf, _ in found], trainable)
    return {leaf.name: (value, leaf.trainable) for leaf, (_, value) in zip(leaves, found, strict=True)}
