"""Parts: what of a jaxpr some results need, where else a key may enter it, and which parts are alike."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Literal, Var

from jaxscope.interop.dependencies import CALLS

#: Constants of up to so many elements are compared by value, others by identity.
_SMALL = 64


class Parted:
    """A jaxpr whose results are wanted one by one.

    Args:
        closed: The jaxpr.
    """

    def __init__(self, closed: Any) -> None:
        self.closed = closed
        self._equations: list[Any] = closed.jaxpr.eqns
        self._made = {var: at for at, equation in enumerate(self._equations) for var in equation.outvars}
        self._consts = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        self._alike: dict[int, tuple[Any, Hashable]] = {}

    def part(self, which: Collection[int], taken: Sequence[Any]) -> ClosedJaxpr:
        """Return the jaxpr of some results alone, with what it takes as given."""
        jaxpr = self.closed.jaxpr
        outs = [jaxpr.outvars[at] for at in which]
        given = set(taken)
        needed = self._needed(outs, given)
        # What is given is not computed again beside something else that is needed.
        equations = [
            equation.replace(outvars=[Var(var.aval) if var in given else var for var in equation.outvars])
            for equation in (self._equations[at] for at in needed.equations)
        ]
        constants = [pair for pair in self._consts.items() if pair[0] in needed.others]
        told = jaxpr.debug_info._replace(arg_names=("",) * len(taken), result_paths=None)
        made = jaxpr.replace(
            constvars=[var for var, _ in constants],
            invars=list(taken),
            outvars=outs,
            eqns=equations,
            effects=frozenset[Any]().union(*(equation.effects for equation in equations)),
            debug_info=told,
        )
        return ClosedJaxpr(made, [const for _, const in constants])

    def root(self, at: int, key: Any, others: Sequence[Any]) -> Any:
        """Return the last key, of those made of a key, through which all goes that a result has of it.

        A library makes a key for each value: of a name, by counting or by splitting. What it draws with that
        key is the value's own law; where the key has come from is what tells values of one model apart.

        Args:
            at: Which result.
            key: The variable of the key.
            others: The other inputs.
        """
        outs = [self.closed.jaxpr.outvars[at]]
        for number in reversed(self._needed(outs, {key, *others}).equations):
            for var in self._equations[number].outvars:
                if var.aval.dtype == key.aval.dtype and not var.aval.shape:
                    there = self._needed(outs, {var, *others})
                    if var in there.taken and key not in there.others:
                        return var
        return key

    def alike(self, at: int, taken: Sequence[Any]) -> Hashable:
        """Return what is equal for parts of one result that are the same function of what they take."""
        part = self.part([at], taken)
        return self._compared(part.jaxpr), tuple(map(_of_constant, part.consts))

    def _needed(self, outs: Sequence[Any], given: Collection[Any]) -> "_Needed":
        equations: set[int] = set()
        taken: set[Any] = set()
        others: set[Any] = set()
        waiting = [atom for atom in outs if not isinstance(atom, Literal)]
        while waiting:
            var = waiting.pop()
            if var in given:
                taken.add(var)
            elif var not in self._made:
                others.add(var)
            elif (number := self._made[var]) not in equations:
                equations.add(number)
                invars = self._equations[number].invars
                waiting += [atom for atom in invars if not isinstance(atom, Literal)]
        return _Needed(sorted(equations), taken, others)

    def _of_jaxpr(self, jaxpr: Any) -> Hashable:
        if id(jaxpr) not in self._alike:  # JAX keeps those of its functions, and of ours it is held here
            self._alike[id(jaxpr)] = jaxpr, self._compared(jaxpr)
        return self._alike[id(jaxpr)][1]

    def _compared(self, jaxpr: Any) -> Hashable:
        numbers: dict[Any, int] = {}

        def of(atom: Any) -> Hashable:
            if isinstance(atom, Literal):
                return str(atom.aval), np.asarray(atom.val).tobytes()
            if atom not in numbers:
                numbers[atom] = len(numbers)
                return numbers[atom], str(atom.aval)
            return numbers[atom]

        inputs = tuple(of(var) for var in (*jaxpr.constvars, *jaxpr.invars))
        equations = tuple(
            (
                equation.primitive,
                tuple(of(atom) for atom in equation.invars),
                self._of_params(equation.primitive.name, equation.params),
                tuple(of(var) for var in equation.outvars),
            )
            for equation in jaxpr.eqns
        )
        return inputs, equations, tuple(of(atom) for atom in jaxpr.outvars)

    def _of_params(self, name: str, params: Mapping[str, Any]) -> Hashable:
        if name.startswith("custom_") and CALLS.get(name) in params:
            # The others are rules for derivatives, which an initial value has none of.
            return self._of_param(params[CALLS[name]])
        return tuple((key, self._of_param(params[key])) for key in sorted(params))

    def _of_param(self, value: Any) -> Hashable:
        if hasattr(value, "consts"):
            return self._of_jaxpr(value.jaxpr), tuple(map(_of_constant, value.consts))
        if hasattr(value, "eqns"):
            return self._of_jaxpr(value)
        if isinstance(value, tuple | list):
            return tuple(map(self._of_param, value))
        try:
            hash(value)
        except TypeError:
            return _of_constant(value)
        found: Hashable = value
        return found


class _Needed(NamedTuple):
    """What some results need: which equations, what of that which is given, and which other variables."""

    equations: list[int]
    taken: set[Any]
    others: set[Any]


def _of_constant(value: Any) -> Hashable:
    """Return what is compared of a constant, which whoever compares keeps alive."""
    if isinstance(value, np.ndarray | np.generic | jax.Array) and not isinstance(value, Tracer):
        key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        if not key and value.size <= _SMALL:
            return str(value.dtype), value.shape, np.asarray(value).tobytes()
    return id(value)
