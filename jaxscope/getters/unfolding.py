"""Unfolding: the variables of a model with getters, from those of the bare model."""

from collections.abc import Mapping
from typing import Any

import jax

import jaxscope as js
from jaxscope.getters.folding import Net
from jaxscope.getters.stacks import apart, together


def unfold(
    net: Net, variables: Mapping[str, Any], /, *args: Any, key: jax.Array | None = None, **kwargs: Any
) -> js.Variables:
    """Return the variables of a model with getters that belong to those of the bare model.

    What a getter's variables begin with is made of the given ones where it is made of initial values: small
    numbers and their scales, lengths, averages, singular vectors. What begins by chance or with a fixed
    number, as adapters do, is drawn.

    Args:
        net: A function, transformed or not, in which scopes have getters.
        variables: Those of the bare model, by its names, alone or in stacks; those of getters, which are kept
            as they are, may be among them.
        *args: As of `net.spec`.
        key: For what has to be drawn.
        **kwargs: As of `net.spec`.

    Returns:
        The variables of `net.spec(*args)`; those of stacks are stacked again.

    Raises:
        GetterError: Variables are missing, or the function has no use for some (code `cannot_unfold`); the
            one error lists all.
        VariablesMismatchError: Variables are of another shape or dtype.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=js.getters.weight_norm()):
        ...         return js.layers.dense(x, 2, use_bias=False)
        >>> plain = {"dense/kernel": jnp.array([[3.0, 0.0], [4.0, 1.0]])}
        >>> js.getters.unfold(net, plain, jnp.ones([1, 2]))["dense/kernel/g"]
        Array([5., 1.], dtype=float32)
    """
    given, scopes = apart(variables)
    specs = js.transform(net).spec(*args, **kwargs)
    used: set[str] = set()
    values = {name: _value(name, spec.initializer, given, used) for name, spec in specs.items()}
    missing = [name for name, value in values.items() if value is None]
    unused = [name for name in given if name not in used]
    if unused or (missing and key is None):
        raise js.errors.GetterError(
            f"these variables are not those of the bare model of {getattr(net, '__name__', net)}",
            code="cannot_unfold",
            missing="" if key is not None else "\n".join(missing),
            unused="\n".join(unused),
            fix="give the variables of the model without getters"
            + ("" if key is not None else ", and a key to draw what is missing: key=jax.random.key(0)"),
        )
    if missing and key is not None:
        values |= specs.select(lambda spec: spec.name in missing).init(key)
    return together(specs.bind(values), scopes)


def _value(name: str, initializer: Any, given: Mapping[str, Any], used: set[str]) -> Any:
    """Return the value of a variable that is given, or is made of a given one; None if it is neither."""
    if name in given:
        used.add(name)
        return given[name]
    if not isinstance(initializer, js.initializers.derived):
        return None
    source = _value(initializer.name, initializer.initializer, given, used)
    return None if source is None else initializer.of(jax.numpy.asarray(source).astype(initializer.dtype))
