"""Folding: plain variables with which the bare model computes what it computes with its getters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

import jaxscope as js
from jaxscope.getters import folds
from jaxscope.getters.requests import inside
from jaxscope.getters.stacks import apart, together

Net = Callable[..., Any]


def fold(net: Net, variables: Mapping[str, Any], /, *args: Any, **kwargs: Any) -> js.Variables:
    """Return the variables with which a model gives the same result when its getters are taken away.

    The bare model is the function without the getters of `js.getters`; your own getters belong to it.
    Adapters are added to their weights, norms are divided by, small numbers become floats, and averages take
    the place of variables where the call evaluates.

    Args:
        net: A function, transformed or not, in which scopes have getters of `js.getters`.
        variables: What it is applied to, of all its variables and no others, alone or in stacks.
        *args: Arguments of the function, with which it is called once: real arrays, or
            `jax.ShapeDtypeStruct`s, which stand for zeros.
        **kwargs: Likewise.

    Returns:
        The variables of `js.transform(bare).spec(*args)`, as trainable as they are there; those of stacks are
        stacked again.

    Raises:
        GetterError: Something cannot be folded (code `cannot_fold`): a weight that comes in a dtype in which
            the bare model does not take it, as from `cast`; one that is given in two ways in one call, or
            behind a getter of your own; a variable that the call does not ask for, or writes.
        JaxscopeError: As `net.apply`.

    Example:
        >>> def model(x):
        ...     return js.layers.dense(x, 2)
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=js.getters.lora(1)):
        ...         return model(x)
        >>> x = jnp.ones([1, 3])
        >>> variables = net.init(jax.random.key(0), x)
        >>> variables = variables.replace({"dense/kernel/lora_b": jnp.ones([1, 2])})
        >>> folded = js.getters.fold(net, variables, x)
        >>> list(folded), bool(jnp.allclose(js.transform(model).apply(folded, x), net.apply(variables, x)))
        (['dense/bias', 'dense/kernel'], True)
    """
    given, scopes = apart(variables)
    bare = js.transform(bare_of(net))
    specs = bare.spec(*args, **kwargs)
    args, kwargs = jax.tree.map(_real, (args, kwargs))
    (values, asked), state = js.transform(_asked_again(net)).apply_with_state(given, *args, **kwargs)
    unused = [name for name in given if name not in asked and name not in specs]
    wrong: dict[str, list[str]] = {"unused": unused}
    folded: dict[str, Any] = {}
    for name, spec in specs.items():
        found = values.get(name, [])
        found += [given[name]] if found and asked.get(name) else []  # which it gets as it is, too
        folded[name] = found[0] if found else given[name]
        if not _same(found):
            traced = any(isinstance(value, Tracer) for value in found)
            wrong.setdefault("traced" if traced else "several", []).append(name)
        elif found and not spec.trainable and name in state and not _same([given[name], state[name]]):
            wrong.setdefault("written", []).append(name)
        elif jnp.shape(folded[name]) != spec.shape:
            wrong.setdefault("shape", []).append(f"{name} {jnp.shape(folded[name])}, not {spec.shape}")
    if any(wrong.values()):
        raise _cannot(wrong)
    made = js.Variables(folded, non_trainable=[name for name, spec in specs.items() if not spec.trainable])
    try:
        jax.eval_shape(lambda given: bare.apply_with_state(given, *args, **kwargs)[1], made)
    except js.errors.DtypeMismatchError as problem:
        unlike = [f"{name} {folded[name].dtype}, not {spec.dtype}" for name, spec in specs.items()]
        unlike = [
            row for row, name in zip(unlike, specs, strict=True) if folded[name].dtype != specs[name].dtype
        ]
        raise _cannot({"dtype": unlike}) from problem
    return together(made, scopes)


def bare_of(net: Net) -> Net:
    """Return the function without the getters of `js.getters`."""

    def bare(*args: Any, **kwargs: Any) -> Any:
        with folds.standing_aside():
            return net(*args, **kwargs)

    return bare


def _asked_again(net: Net) -> Net:
    """Return a function that calls another, and returns what getters gave it, asked for once more.

    During the call some are asked for in traces of JAX that end before it does.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        noted: dict[str, list[Callable[[], Any]]] = {}
        names: dict[str, bool] = {}  # all that are asked for, and whether by no getter of ours

        def listen(answer: Any) -> None:
            if answer.behind:
                names[answer.name] = names.get(answer.name, False) or inside() is None
                folds.report(answer.name, answer.value)

        with js.observe(listen):
            with folds.noting(noted):
                net(*args, **kwargs)
            values: dict[str, list[Any]] = {}
            with js.variable_scope("", reuse=True), folds.reporting():
                for name, again in noted.items():
                    values[name] = [ask() for ask in again]
        return values, names

    return run


def _real(leaf: Any) -> Any:
    return jnp.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf


def _same(values: list[Any]) -> bool:
    """Tell whether values are one; where they are traced, only if they are one object."""
    first, *others = values or [None]
    for other in others:
        if other is first:
            continue
        if isinstance(first, Tracer) or isinstance(other, Tracer):
            return False
        if first.dtype != other.dtype or not np.array_equal(first, other, equal_nan=_has_nan(first)):
            return False
    return True


def _has_nan(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


_REASONS = {
    "unused": "the call does not ask for them: choose arguments with which it does, or select the others",
    "several": "the model gets several values for one name: ask for it in scopes with the same getters",
    "written": "the call writes what a getter changes: fold with the arguments of evaluation",
    "traced": "their values cannot be compared here: fold outside of jax.jit",
    "shape": "a getter gives another shape than the bare model has",
    "dtype": "the bare model insists on the dtype that it asks for: fold the function without cast, "
    "which has the same variables",
}


def _cannot(wrong: Mapping[str, list[str]]) -> js.errors.GetterError:
    facts = {kind: "\n".join(rows) for kind, rows in wrong.items() if rows}
    count = sum(map(len, wrong.values()))
    return js.errors.GetterError(
        f"{count} variable{'' if count == 1 else 's'} cannot be folded",
        code="cannot_fold",
        **facts,
        fix="\n".join(_REASONS[kind] for kind in facts),
    )
