"""Comparing: two functions that ought to be the same have the same variables, results and gradients."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxscope._core.base.describe import describe
from jaxscope._core.base.sites import here
from jaxscope._core.transform.transform import Transformed
from jaxscope._core.variables.specs import VariableSpecs
from jaxscope._core.variables.tree import Variables
from jaxscope.errors import VariablesMismatchError

#: How much of it is added to each initial value, so that zeros and ones differ from each other, too.
_NOISE = 0.1


class Comparison(NamedTuple):
    """How far two functions are apart, where they count as the same.

    Attributes:
        variables: The full names, as the second function has them.
        results: The largest difference of a result or of a written variable, relative to the largest value in
            its array, or to 1 where that is smaller.
        gradients: Likewise, by full name, of the gradients.
    """

    variables: tuple[str, ...]
    results: float
    gradients: Mapping[str, float]


def same(
    first: Transformed[..., Any],
    second: Transformed[..., Any],
    /,
    *args: Any,
    variables: Mapping[str, Any] | None = None,
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
    seed: int = 0,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    **kwargs: Any,
) -> Comparison:
    """Check that two functions have the same variables, and compute the same results and gradients.

    It is for taking code over: the old function beside the new one, after each step.

    Args:
        first: What `js.transform` returned for one of them.
        second: Likewise, for the other.
        *args: What both are called with.
        variables: Full name -> array, as the first one has them: a checkpoint, say. By default its initial
            values, to each of which some noise is added, so that no two are alike.
        rename: Names that the second one has in the place of others: old full name -> new full name, or a
            function of the name.
        seed: Of the initial values and the noise.
        rtol: How large a difference may be, relative to the value.
        atol: Likewise, relative to the largest value in its array, or to 1 where that is smaller.
        **kwargs: What both are called with.

    Returns:
        A `Comparison`.

    Raises:
        VariablesMismatchError: They are not the same (code `not_the_same`): all that differs in names,
            shapes, dtypes and what is trainable; or, where nothing does, in results and gradients. The
            gradients are those of the sum of the sines of all results, so that each counts in another way.
        JaxscopeError: A request breaks a rule.

    Example:
        >>> from jaxscope import testing
        >>> old = js.transform(lambda x: jnp.tanh(x @ js.get_variable("w", [3, 2])))
        >>> new = js.transform(lambda x: jnp.tanh(jnp.dot(x, js.get_variable("kernel", [3, 2]))))
        >>> testing.same(old, new, jnp.ones(3), rename={"w": "kernel"}).variables
        ('kernel',)
    """
    specs = first.spec(*args, **kwargs), second.spec(*args, **kwargs)
    renamed = _renaming(rename, specs[0])
    types = _types(specs[0], renamed), _types(specs[1], lambda name: name)
    wrong = [*_differences(*types)]
    if wrong:
        raise _not_the_same("variables", wrong)
    if variables is None:
        variables = _noisy(specs[0].init(jax.random.key(seed)), seed)
    given = specs[0].bind(variables)
    ours = _run(first, given, args, kwargs)
    theirs = _run(second, given.rename(renamed), args, kwargs)
    pairs = [
        *_results(ours.results, theirs.results),
        *((f"state {name}", value, theirs.state[name]) for name, value in ours.state.rename(renamed).items()),
    ]
    slopes = {name: (value, theirs.gradients[name]) for name, value in ours.gradients.rename(renamed).items()}
    wrong = [
        *_apart(pairs, rtol, atol),
        *_apart([(f"gradient of {name}", *both) for name, both in slopes.items()], rtol, atol),
    ]
    if wrong:
        raise _not_the_same("results", wrong)
    return Comparison(
        tuple(types[1]),
        max((_distance(a, b) for _, a, b in pairs), default=0.0),
        {name: _distance(*both) for name, both in slopes.items()},
    )


def _renaming(
    rename: Mapping[str, str] | Callable[[str], str] | None, specs: VariableSpecs
) -> Callable[[str], str]:
    """Return what gives the second function's name of a variable."""
    if rename is None:
        return lambda name: name
    if not isinstance(rename, Mapping):
        return rename
    unknown = [name for name in rename if name not in specs]
    if unknown:
        raise _not_the_same("variables", [(name, "to be renamed, and not in the first") for name in unknown])
    return lambda name: rename.get(name, name)


def _types(specs: VariableSpecs, renamed: Callable[[str], str]) -> dict[str, str]:
    """Return by name, in order of making, what a variable is."""
    return {
        renamed(name): describe(spec) + ("" if spec.trainable else ", not trainable")
        for name, spec in specs.items()
    }


def _differences(first: dict[str, str], second: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, kind in first.items():
        if name not in second:
            yield name, f"{kind} in the first alone"
        elif kind != second[name]:
            yield name, f"{kind} in the first, {second[name]} in the second"
    for name, kind in second.items():
        if name not in first:
            yield name, f"{kind} in the second alone"


def _noisy(values: Variables, seed: int) -> Variables:
    noise = np.random.default_rng(seed)
    return values.replace(
        {
            name: value + (_NOISE * noise.standard_normal(value.shape)).astype(value.dtype)
            for name, value in values.items()
            if jnp.issubdtype(value.dtype, jnp.inexact)
        }
    )


class _Outcome(NamedTuple):
    results: Any
    state: Variables
    gradients: Variables


def _run(net: Transformed[..., Any], variables: Variables, args: Any, kwargs: Any) -> _Outcome:
    results, state = net.apply_with_state(variables, *args, **kwargs)
    floats = [name for name in variables.trainable if _is_float(variables[name])]

    def total(values: Any) -> Any:
        results, _ = net.apply_with_state(variables.replace(dict(values)), *args, **kwargs)
        leaves = [leaf for leaf in jax.tree.leaves(results) if _is_float(leaf)]
        return sum((jnp.sin(leaf.astype(jnp.float32)).sum() for leaf in leaves), jnp.float32(0))

    slopes = jax.grad(total)({name: variables[name] for name in floats}) if floats else {}
    return _Outcome(results, state, Variables(slopes))


def _is_float(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)


def _results(first: Any, second: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the leaves of both results in pairs, with their place in the second."""
    ours = jax.tree.leaves(first)
    theirs, _ = jax.tree_util.tree_flatten_with_path(second)
    for at in range(max(len(ours), len(theirs))):
        place = jax.tree_util.keystr(theirs[at][0]) if at < len(theirs) else f" {at}"
        one = ours[at] if at < len(ours) else None
        other = theirs[at][1] if at < len(theirs) else None
        yield f"result{place}", one, other


def _apart(pairs: Any, rtol: float, atol: float) -> Iterator[tuple[str, str]]:
    """Yield of each pair that differs where it is, and how."""
    for place, one, other in pairs:
        if one is None or other is None:
            yield place, f"in the {'first' if other is None else 'second'} alone"
            continue
        a, b = np.asarray(one), np.asarray(other)
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            yield place, f"{describe(a)} in the first, {describe(b)} in the second"
        elif not _close(a, b, rtol, atol):
            yield place, f"{describe(a)}, of which parts differ by {_distance(a, b):.2g} of the largest"


def _close(a: Any, b: Any, rtol: float, atol: float) -> bool:
    if not jnp.issubdtype(a.dtype, jnp.inexact):
        return bool(np.array_equal(a, b))
    a, b = _wide(a), _wide(b)
    return bool(np.allclose(a, b, rtol, atol * _largest(b), equal_nan=True))


def _distance(one: Any, other: Any) -> float:
    """Return the largest difference, relative to the largest finite value, or to 1 where that is smaller."""
    a, b = _wide(np.asarray(one)), _wide(np.asarray(other))
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, apart)
    return float(np.max(apart, initial=0.0) / _largest(b))


def _wide(array: Any) -> Any:
    """Return numbers of any kind as NumPy can compute with them."""
    return array.astype(np.complex128 if jnp.issubdtype(array.dtype, jnp.complexfloating) else np.float64)


def _largest(array: Any) -> float:
    size = np.abs(array)
    return float(np.max(size, where=np.isfinite(size), initial=1.0))


def _not_the_same(what: str, wrong: list[tuple[str, str]]) -> VariablesMismatchError:
    return VariablesMismatchError(
        f"the two functions are not the same: {len(wrong)} {what} differ",
        code="not_the_same",
        at=here(),
        differ="\n".join(f"{name}: {how}" for name, how in wrong),
        fix="where names differ on purpose, pass rename={...}"
        if what == "variables"
        else "compare a smaller part, or pass tolerances: same(..., rtol=1e-3)",
    )
