"""The body of a loop, traced once: its program, and how often it runs, where that is known while tracing."""

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

import jaxscope as js
from jaxscope.tf1.base.errors import UnimplementedError
from jaxscope.tf1.ops.variables.variable import changed_values

__all__ = ["Steps", "again", "goes_on", "loop_key", "step_keys", "trips"]

#: NumPy's functions of what counts the steps of a loop.
_COUNTING: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "not": np.invert,
}
#: More steps than these are not counted one by one in Python.
_FEW = 1 << 20


def loop_key() -> Any:
    """Return a key for what is drawn in a loop, or None where no stream of keys is open."""
    try:
        return js.next_key()
    except (js.errors.KeyStreamError, js.errors.NoPassError):
        return None


@contextlib.contextmanager
def step_keys(key: Any, step: Any) -> Generator[None]:
    """Give what is drawn inside of the block other keys in each step."""
    if key is None:
        yield
    else:
        with js.random_keys(jax.random.fold_in(key, step)):
            yield


@contextlib.contextmanager
def again() -> Generator[None]:
    """Let code that makes variables run once more: it gets those that it made."""
    try:
        scope = js.variable_scope(js.get_variable_scope(), reuse=js.AUTO_REUSE)
    except js.errors.NoPassError:
        yield
        return
    with scope:
        yield


@contextlib.contextmanager
def _nothing_trained() -> Generator[None]:
    """Refuse changes of trainable variables inside of the block, which do not leave a loop."""
    before = dict(changed_values() or {})
    yield
    now = changed_values() or {}
    names = [name for name, value in now.items() if value is not before.get(name)]
    if names:
        now.clear()
        now.update(before)
        raise UnimplementedError(
            "the body of a loop changes a trainable variable",
            names=", ".join(names),
            fix="carry the value through the loop, and assign it behind; or trainable=False",
        )


class Steps:
    """A function of arrays, traced once for arrays of given shapes; JAX's loops run what was traced.

    Attributes:
        out: The shapes and dtypes that come back.
        consts: What the program takes from outside, in the order of `jaxpr.constvars`.
    """

    def __init__(self, function: Callable[..., Sequence[Any]], examples: Sequence[Any]) -> None:
        shapes = [jax.ShapeDtypeStruct(jnp.shape(one), jnp.result_type(one)) for one in examples]
        with _nothing_trained():
            closed = jax.make_jaxpr(lambda *arrays: list(function(*arrays)))(*shapes)
        self.jaxpr = closed.jaxpr.replace(eqns=self._used(closed.jaxpr, closed.jaxpr.outvars))
        self.consts, self.out = closed.consts, closed.out_avals
        self._run = jax.extend.core.jaxpr_as_fun(jax.extend.core.ClosedJaxpr(self.jaxpr, closed.consts))

    def __call__(self, *arrays: Any) -> list[Any]:
        """Return what the function returns for these arrays."""
        return list(self._run(*arrays))

    @staticmethod
    def _used(jaxpr: Any, outvars: Sequence[Any], *, effects: bool = True) -> list[Any]:
        """Return the equations that these results need, and effects."""
        needed, kept = {id(var) for var in outvars}, list[Any]()
        for eqn in reversed(jaxpr.eqns):
            if (effects and eqn.effects) or any(id(var) in needed for var in eqn.outvars):
                needed |= {id(var) for var in eqn.invars}
                kept.append(eqn)
        return kept[::-1]

    def uses(self, outputs: Sequence[int] | None = None) -> set[int]:
        """Return which arguments some results depend on; all results, and effects, if none are named."""
        outvars = self.jaxpr.outvars if outputs is None else [self.jaxpr.outvars[i] for i in outputs]
        eqns = self.jaxpr.eqns if outputs is None else self._used(self.jaxpr, outvars, effects=False)
        needed = _read(outvars, eqns)
        return {i for i, var in enumerate(self.jaxpr.invars) if id(var) in needed}

    def part(self, outputs: Sequence[int]) -> "Part | None":
        """Return the program of some results alone, or None if it needs what is traced outside."""
        outvars = [self.jaxpr.outvars[i] for i in outputs]
        eqns = self._used(self.jaxpr, outvars, effects=False)
        if any(eqn.effects for eqn in eqns):
            return None
        needed = _read(outvars, eqns)
        consts: dict[int, Any] = {}
        for var, value in zip(self.jaxpr.constvars, self.consts, strict=True):
            if id(var) in needed:
                known = concrete(value)
                if known is None:
                    return None
                consts[id(var)] = known
        return Part(self.jaxpr, eqns, outvars, consts)


def _read(outvars: Sequence[Any], eqns: Sequence[Any]) -> set[int]:
    """Return the identities of what results and equations read."""
    return {id(var) for var in outvars} | {id(var) for eqn in eqns for var in eqn.invars}


class Part:
    """Some results of a program whose constants are known."""

    def __init__(self, jaxpr: Any, eqns: list[Any], outvars: list[Any], consts: dict[int, Any]) -> None:
        self._jaxpr, self._eqns, self._outvars, self._consts = jaxpr, eqns, outvars, consts
        scalar = all(
            not getattr(var.aval, "shape", ()) for eqn in eqns for var in (*eqn.invars, *eqn.outvars)
        )
        self.counts = scalar and all(
            eqn.primitive.name in _COUNTING
            or (eqn.primitive.name == "convert_element_type" and not eqn.params.get("weak_type"))
            for eqn in eqns
        )

    def count(self, values: dict[int, Any]) -> list[Any]:
        """Return the results for known scalars by place, computed with NumPy."""
        known = dict(self._consts)
        known.update({id(self._jaxpr.invars[i]): value for i, value in values.items()})

        def of(var: Any) -> Any:
            return known[id(var)] if id(var) in known else np.asarray(var.val, var.aval.dtype)

        for eqn in self._eqns:
            given = [of(var) for var in eqn.invars]
            if eqn.primitive.name == "convert_element_type":
                result = np.asarray(given[0]).astype(eqn.params["new_dtype"])
            else:
                result = np.asarray(_COUNTING[eqn.primitive.name](*given))
            known[id(eqn.outvars[0])] = result
        return [of(var) for var in self._outvars]

    def __call__(self, values: dict[int, Any]) -> list[Any]:
        """Return the results for arrays by place, computed with JAX."""
        constvars = [var for var in self._jaxpr.constvars if id(var) in self._consts]
        consts = [self._consts[id(var)] for var in constvars]
        rest = [
            values[i] if i in values else jnp.zeros(var.aval.shape, var.aval.dtype)
            for i, var in enumerate(self._jaxpr.invars)
        ]
        # A newer JAX takes constants without values for arguments, so none of these is read back.
        jaxpr = self._jaxpr.replace(eqns=self._eqns, outvars=self._outvars, constvars=constvars)
        return list(jax.extend.core.jaxpr_as_fun(jax.extend.core.ClosedJaxpr(jaxpr, consts))(*rest))


def concrete(value: Any) -> np.ndarray[Any, Any] | None:
    """Return the numbers of an array, if it has some: it is no tracer, or one of `jax.grad` alone."""
    if isinstance(value, np.ndarray | np.generic | int | float | bool):
        return np.asarray(value)
    if isinstance(value, Tracer):
        if not jnp.issubdtype(value.dtype, jnp.number) and value.dtype != bool:
            return None
        value = jax.lax.stop_gradient(value)
    # JAX 0.8 has constants of a program in a class of its own, which NumPy reads.
    if isinstance(value, Tracer) or not hasattr(value, "__array__"):
        return None
    return None if jnp.issubdtype(value.dtype, jax.dtypes.extended) else np.asarray(value)


def trips(cond: Steps, body: Steps, start: Sequence[Any], most: int | None) -> int | None:
    """Return how often a loop runs, or None if that depends on what is traced.

    Args:
        cond: The condition, of the step and the variables.
        body: The body, of the same; its results are the next variables.
        start: The first variables.
        most: How often the loop may run.
    """
    places = cond.uses()
    while True:  # what the condition depends on, and what that depends on
        more = places | body.uses([i - 1 for i in sorted(places) if i > 0])
        if more == places:
            break
        places = more
    needed = sorted(places - {0})
    test, step = cond.part([0]), body.part([i - 1 for i in needed])
    known = {i: concrete(start[i - 1]) for i in needed}
    if test is None or step is None or any(value is None for value in known.values()):
        return None
    if not places:
        with jax.ensure_compile_time_eval():
            holds = bool((test.count({}) if test.counts else test({}))[0])
        return most if holds else 0
    if test.counts and step.counts:
        found = _counted(test, step, needed, known, most)
        if found is not None:
            return found
    return _simulated(test, step, needed, known, most)


def goes_on(holds: Any, n: Any, most: int | None) -> Any:
    """Return the condition of a loop, of one number whatever its shape, together with the limit of steps."""
    holds = jnp.reshape(holds, ()) if holds.ndim else holds
    return holds if most is None else holds & (n < most)


def _counted(
    test: Part, step: Part, needed: list[int], known: dict[int, Any], most: int | None
) -> int | None:
    values, limit = dict(known), _FEW if most is None else min(most, _FEW)
    with np.errstate(all="ignore"):
        for n in range(limit):
            values[0] = np.asarray(n, np.int32)
            if not test.count(values)[0]:
                return n
            values = dict(zip(needed, step.count(values), strict=True))
    return most if most is not None and most <= _FEW else None


def _simulated(test: Part, step: Part, needed: list[int], known: dict[int, Any], most: int | None) -> int:
    def more(state: Any) -> Any:
        n, values = state
        return goes_on(test({0: n, **dict(zip(needed, values, strict=True))})[0], n, most)

    def advance(state: Any) -> Any:
        n, values = state
        return n + 1, step({0: n, **dict(zip(needed, values, strict=True))})

    with jax.ensure_compile_time_eval():
        first = (jnp.int32(0), [jnp.asarray(known[i]) for i in needed])
        return int(jax.lax.while_loop(more, advance, first)[0])
