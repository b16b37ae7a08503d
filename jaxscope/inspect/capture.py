"""capture: a function like apply that also gives what passed through each scope."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxscope as js
from jaxscope.inspect.captured import Captured, Frame
from jaxscope.inspect.programs import Flow, Program, program_of
from jaxscope.inspect.running import run

#: A regular expression that scopes match at their start, or a predicate of a scope.
Where = str | Callable[[str], bool] | None


def capture(net: Any, where: Where = None) -> Callable[..., tuple[Any, Captured]]:
    """Return a function like `net.apply` that also returns what passed through each scope.

    The function is traced, as by `jax.jit`, and computed operation by operation, each followed by a look
    whether its results are finite; under `jax.jit` that is part of the program. A scope's inputs are what its
    operations take from elsewhere, its outputs what others take of its results.

    Args:
        net: A transformed function, or any function whose first argument has the variables: `net.apply`,
            `net.apply_with_state`, `jax.grad(loss)`.
        where: Of which scopes values are kept: a regular expression that they match at their start, or a
            predicate. None for all. What is not finite is noticed everywhere.

    Returns:
        A function that takes what `net.apply` takes, and returns `(result, found)`, where `found` is a
        `Captured`: scope -> inputs, outputs; `found.first_nan()`. Arrays alone are traced: booleans, strings
        and Python's numbers are passed on as they are.

    Raises:
        TypeError: `net` is no function; or, when called, the function needs values while it is traced.
        VariableNotFoundError: `where` matches no scope (code `nothing_matches`), when called.
        JaxscopeError: When called, as `net.apply`.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("first"):
        ...         x = x * js.get_variable("w", [])
        ...     with js.variable_scope("second"):
        ...         return jnp.log(x)
        >>> y, found = js.inspect.capture(net)({"first/w": jnp.float32(-1)}, jnp.float32(2))
        >>> found["second"].inputs, found.first_nan().scope
        ((Array(-2., dtype=float32),), 'second')
    """
    function = getattr(net, "apply", net) if isinstance(net, js.Transformed) else net
    if not callable(function):
        raise TypeError(f"capture takes a net or a function of variables, not {type(net).__name__}")

    def captured(variables: Any, /, *args: Any, **kwargs: Any) -> tuple[Any, Captured]:
        paths, tree = jax.tree_util.tree_flatten_with_path((variables, args, kwargs))
        at = [place for place, (_, leaf) in enumerate(paths) if _is_array(leaf)]
        leaves = [leaf for _, leaf in paths]
        static: list[Any] = []

        def flat(*arrays: Any) -> list[Any]:
            filled = list(leaves)
            for place, array in zip(at, arrays, strict=True):
                filled[place] = array
            given, args, kwargs = jax.tree.unflatten(tree, filled)
            outs, out_tree = jax.tree.flatten(function(given, *args, **kwargs))
            static[:] = [out_tree, [None if _is_array(out) else (out,) for out in outs]]
            return [out for out in outs if _is_array(out)]

        arrays = [leaves[place] for place in at]
        program = program_of(jax.make_jaxpr(flat)(*arrays))
        names = [_named(paths[place][0]) for place in at]
        frame = _frame(program, names, where)
        results, kept = run(program, arrays, frame.wanted)
        out_tree, others = static
        traced = iter(results)
        outs = [next(traced) if other is None else other[0] for other in others]
        return jax.tree.unflatten(out_tree, outs), Captured(frame, kept)

    return captured


def _frame(program: Program, names: list[tuple[str, str]], where: Where) -> Frame:
    matches = _matcher(where)
    flows: dict[Program, dict[str, Flow]] = {}
    seen: dict[str, None] = {}
    for one in program.bodies():
        found = one.flows()
        seen.update(dict.fromkeys(found))
        flows[one] = {scope: flow for scope, flow in found.items() if matches(scope)}
    if where is not None and seen and not any(flows.values()):
        raise js.errors.VariableNotFoundError(
            f"no scope matches {where!r}",
            code="nothing_matches",
            there=", ".join(list(seen)[:10]),
            fix="a pattern has to match a scope's full name at its start",
        )
    variables = {number: name for number, (name, _) in zip(program.inputs, names, strict=True) if name}
    return Frame(program, flows, tuple(text for _, text in names), variables)


def _matcher(where: Where) -> Callable[[str], bool]:
    if where is None:
        return lambda _: True
    if callable(where):
        return where
    pattern = re.compile(where)
    return lambda scope: pattern.match(scope) is not None


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _named(path: tuple[Any, ...]) -> tuple[str, str]:
    """Return the full name of an input that is a variable, and what it is called in messages."""
    first, *rest = path
    if first.idx == 0:
        name = "/".join(str(getattr(key, "key", getattr(key, "name", key))) for key in rest)
        return name, f"variable {name!r}"
    return "", ("args" if first.idx == 1 else "kwargs") + jax.tree_util.keystr(tuple(rest))
