"""Reaching: every variable is an input on which the result depends, and none became a constant."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxscope._core.base import compat
from jaxscope._core.base.calls import Call
from jaxscope._core.base.describe import describe
from jaxscope._core.transform.transform import Transformed
from jaxscope._core.variables.specs import VariableSpec
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import VariablesMismatchError

P = ParamSpec("P")

__all__ = ["Report", "check", "examine"]


class Report(NamedTuple):
    """What becomes of each variable in the program that `apply` traces to.

    Attributes:
        used: Full names of the variables that the result, or a written variable, depends on.
        unused: Those on which nothing depends, though the function makes them.
        baked: Those whose value is a constant of the program, with a description of each constant.
        written: Non-trainable variables that the call gives a new value.
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]
    baked: Mapping[str, str]
    written: tuple[str, ...]


def check(net: Transformed[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Report:
    """Check that all variables of a function reach its result, as inputs and not as constants.

    The function runs a few times: it is recorded, called once with made-up values, and traced. Where an
    argument is a `jax.ShapeDtypeStruct`, it is not called, and constants are not looked for.

    Args:
        net: What `js.transform` returned.
        *args: Arguments of the function; arrays or `jax.ShapeDtypeStruct`s, and whatever else it takes.
        **kwargs: Likewise.

    Returns:
        A `Report`, in which `unused` and `baked` are empty.

    Raises:
        VariablesMismatchError: A variable does not reach the result (code `unused_variables`), or its
            value was found as a constant in the program (code `baked_variables`).
        JaxscopeError: A request breaks a rule.

    Example:
        >>> from jaxscope import testing
        >>> @js.transform
        ... def net(x):
        ...     js.get_variable("forgotten", [2])
        ...     return x @ js.get_variable("w", [3, 2])
        >>> testing.check(net, jnp.ones(3))
        Traceback (most recent call last):
        ...
        jaxscope.errors.VariablesMismatchError: 1 of 2 variables have no effect on what the function returns
          unused   forgotten float32[2] ...
          fix      use them, or do not make them; examine(net, ...) reports them without an error
    """
    report = examine(net, *args, **kwargs)
    if report.baked:
        raise VariablesMismatchError(
            f"{len(report.baked)} variables are constants of the program, so later values have no effect",
            code="baked_variables",
            constant="\n".join(f"{name}: {what}" for name, what in report.baked.items()),
            fix="ask for the variable in each call: do not keep its value in a global, a default argument,\n"
            "or an object that outlives the call",
        )
    if report.unused:
        specs = net.spec(*args, **kwargs)
        total = len(report.used) + len(report.unused)
        raise VariablesMismatchError(
            f"{len(report.unused)} of {total} variables have no effect on what the function returns",
            code="unused_variables",
            unused="\n".join(f"{name} {describe(specs[name])} {specs[name].site}" for name in report.unused),
            fix="use them, or do not make them; examine(net, ...) reports them without an error",
        )
    return report


def examine(net: Transformed[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Report:
    """Tell what becomes of each variable in the program that `apply` traces to.

    Args:
        net: What `js.transform` returned.
        *args: Arguments of the function, as in `check`.
        **kwargs: Likewise.

    Returns:
        A `Report`. What only an effect depends on (`jax.debug.print`) counts as used.

    Raises:
        JaxscopeError: A request breaks a rule.

    Example:
        >>> from jaxscope import testing
        >>> @js.transform
        ... def net(x):
        ...     n = js.get_variable("n", [], "int32", trainable=False)
        ...     js.set_variable("n", n + 1)
        ...     js.get_variable("forgotten", [2])
        ...     return jax.jit(lambda x: x @ js.get_variable("w", [3]))(x)
        >>> testing.examine(net, jnp.ones(3))
        Report(used=('n', 'w'), unused=('forgotten',), baked={}, written=('n',))
    """
    specs = net.spec(*args, **kwargs)
    call = Call(args, kwargs)
    concrete = not any(isinstance(array, jax.ShapeDtypeStruct) for array in call.arrays)
    given = specs.shape_dtypes()
    if concrete:
        made = {name: _noise(number, spec) for number, (name, spec) in enumerate(specs.items())}
        given = given.replace(made)
        # Values that the function keeps for itself are constants in later programs.
        net.apply_with_state(given, *args, **kwargs)

    apply: Callable[..., Any] = net.apply_with_state
    written: list[str] = []

    def program(variables: Variables, arrays: Any) -> Any:
        args, kwargs = call.join(arrays)
        result, state = apply(variables, *args, **kwargs)
        # What comes back as it went in proves nothing.
        changed = {name: value for name, value in state.items() if value is not variables[name]}
        written[:] = changed
        return Call(result).arrays, changed

    closed = jax.make_jaxpr(program)(given, call.arrays)
    needed = _needed(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    used = [name for name, need in zip(given, needed, strict=False) if need]
    return Report(
        tuple(used),
        tuple(name for name in given if name not in used),
        _equal(given, closed),
        tuple(sorted(written)),
    )


def _noise(number: int, spec: VariableSpec) -> Any:
    """Return an array of the spec's shape and dtype, such as no program has by accident."""
    numbers = np.random.default_rng([number, 20260])
    try:
        dtype = np.dtype(spec.dtype)
    except TypeError:  # keys
        return jax.random.split(jax.random.key(number), spec.shape)
    if jnp.issubdtype(dtype, np.complexfloating) or jnp.issubdtype(dtype, np.floating):
        return numbers.uniform(0.5, 1.5, spec.shape).astype(dtype)
    if dtype == np.bool_:
        return numbers.integers(0, 2, spec.shape).astype(dtype)
    largest = min(int(np.iinfo(dtype).max), 2**31 - 1)
    return numbers.integers(0, largest, spec.shape, endpoint=True).astype(dtype)


# --- constants ------------------------------------------------------------------------------------

#: Values of fewer bytes than this can be equal by accident.
_TELLING = 4


def _equal(given: Variables, closed: core.ClosedJaxpr) -> dict[str, str]:
    """Return the variables whose value is among the constants of a program, with a description."""
    found: dict[str, str] = {}
    constants = [np.asarray(constant) for constant in _constants(closed)]
    for name, value in given.items():
        if not isinstance(value, np.ndarray) or value.nbytes < _TELLING:
            continue
        for constant in constants:
            if (
                constant.dtype == value.dtype
                and constant.shape == value.shape
                and np.array_equal(constant, value)
            ):
                found[name] = describe(constant)
    return found


def _constants(closed: core.ClosedJaxpr) -> Iterator[Any]:
    """Yield the constants of a jaxpr and of those inside it."""
    yield from filter(_is_numeric, closed.consts)
    yield from _constants_inside(closed.jaxpr)


def _constants_inside(jaxpr: core.Jaxpr) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        for operand in equation.invars:
            if isinstance(operand, core.Literal) and _is_numeric(operand.val):
                yield operand.val
        for inner in _inside(equation.params.values()):
            if isinstance(inner, core.ClosedJaxpr):
                yield from _constants(inner)
            else:
                yield from _constants_inside(inner)


def _is_numeric(constant: Any) -> bool:
    if isinstance(constant, jax.Array):
        return not jnp.issubdtype(constant.dtype, jax.dtypes.extended)
    return isinstance(constant, (np.ndarray, np.generic, bool, int, float, complex))


def _inside(parameters: Iterable[Any]) -> Iterator[core.ClosedJaxpr | core.Jaxpr]:
    """Yield the jaxprs among an equation's parameters."""
    for parameter in parameters:
        if isinstance(parameter, (core.ClosedJaxpr, core.Jaxpr)):
            yield parameter
        elif isinstance(parameter, (tuple, list)):
            yield from _inside(cast("Iterable[Any]", parameter))


# --- what depends on what -------------------------------------------------------------------------


def _needed(jaxpr: core.Jaxpr, outputs: Sequence[bool]) -> list[bool]:
    """Tell which inputs of a jaxpr the given outputs, or any effect, depend on."""
    live: set[core.Var] = set()

    def mark(operands: Iterable[Any], needs: Iterable[bool]) -> None:
        live.update(
            operand
            for operand, need in zip(operands, needs, strict=True)
            if need and not isinstance(operand, core.Literal)
        )

    mark(jaxpr.outvars, outputs)
    for equation in reversed(jaxpr.eqns):
        results = [out in live for out in equation.outvars]
        if any(results) or equation.effects:
            mark(equation.invars, _operands_needed(equation, results))
    return [variable in live for variable in jaxpr.invars]


def _operands_needed(equation: Any, results: list[bool]) -> list[bool]:
    """Tell which operands of an equation the given results depend on; all of them where that is not known."""
    parameters = equation.params
    rule: Callable[[Any, list[bool]], list[bool]] | None = {
        "scan": _scan_needs,
        "while": _while_needs,
        "cond": _cond_needs,
    }.get(equation.primitive.name)
    if rule is not None:
        return rule(equation, results)
    inner = [_open(jaxpr) for jaxpr in _inside(parameters.values())]
    if len(inner) == 1:
        (body,) = inner
        if len(body.invars) == len(equation.invars) and len(body.outvars) == len(results):
            return _needed(body, results)
    return [True] * len(equation.invars)


def _open(jaxpr: core.ClosedJaxpr | core.Jaxpr) -> core.Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else jaxpr


def _scan_needs(equation: Any, results: list[bool]) -> list[bool]:
    body = _open(equation.params["jaxpr"])
    # Constants and what is carried go in as they are; of what is scanned over, each step gets a part.
    carried = compat.whole(equation.outvars, body.outvars)
    constants = compat.whole(equation.invars, body.invars) - carried
    while True:
        needs = _needed(body, results)
        # What a step needs of the carry, the step before must give.
        more = [
            a or b for a, b in zip(results[:carried], needs[constants : constants + carried], strict=True)
        ]
        if more == results[:carried]:
            return [*needs[:constants], *more, *needs[constants + carried :]]
        results = [*more, *results[carried:]]


def _while_needs(equation: Any, results: list[bool]) -> list[bool]:
    parameters = equation.params
    condition, body = _open(parameters["cond_jaxpr"]), _open(parameters["body_jaxpr"])
    deciding, constants = parameters["cond_nconsts"], parameters["body_nconsts"]
    asked = _needed(condition, [True])
    results = [a or b for a, b in zip(results, asked[deciding:], strict=True)]
    while True:
        needs = _needed(body, results)
        more = [a or b for a, b in zip(results, needs[constants:], strict=True)]
        if more == results:
            return [*asked[:deciding], *needs[:constants], *more]
        results = more


def _cond_needs(equation: Any, results: list[bool]) -> list[bool]:
    branches = [_needed(_open(branch), results) for branch in equation.params["branches"]]
    return [True, *(any(needs) for needs in zip(*branches, strict=True))]
