"""The losses of regularizers, outside of a pass."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.optim.fitting import fitted
from jaxscope.optim.naming import as_array, named


def regularization_loss(specs: js.VariableSpecs, variables: Mapping[str, Any]) -> jax.Array:
    """Return the sum of the losses that the regularizers of the specs give for the variables.

    It is what `sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))` is inside of the function, less
    the losses that are no variable's: those on a layer's outputs (`activity_regularizer`), and what
    `js.add_to_collection` added.

    Args:
        specs: What `net.spec(*args)` returns. Specs without a regularizer count nothing.
        variables: At least the variables with a regularizer, alone or in stacks; others are not looked at.

    Returns:
        A scalar: 0 in float32 where there is no loss, else of the losses' dtype.

    Raises:
        VariablesMismatchError: Variables with a regularizer are missing, or have another shape (the error
            lists all of them), or no value.

    Source:
        `tf.losses.get_regularization_loss`; rule R33.

    Example:
        >>> import jaxscope as js
        >>> @js.transform
        ... def net(x):
        ...     return js.layers.dense(x, 3, kernel_regularizer=js.regularizers.l2(0.1))
        >>> specs = net.spec(jnp.ones([1, 2]))
        >>> variables = {"dense/kernel": jnp.ones([2, 3]), "dense/bias": jnp.ones(3)}
        >>> print(f"{js.optim.regularization_loss(specs, variables):.2f}")
        0.30
    """
    values = named(variables)
    found = {name: spec for name, spec in fitted(specs, values).items() if spec.regularizer is not None}
    _check(specs, found, values)
    arrays = {name: as_array(name, values[name]) for name in found}
    total: Any = None
    with jax.numpy_dtype_promotion("standard"):  # variables may be of several dtypes
        for name, spec in found.items():
            try:
                loss = spec.regularizer(arrays[name])
            except Exception as problem:
                problem.add_note(f"in the regularizer of variable {name!r}, made at {spec.site}")
                raise
            if loss is not None:
                total = loss if total is None else total + loss
    return jnp.zeros([], jnp.float32) if total is None else jnp.asarray(total)


def _check(specs: js.VariableSpecs, found: Mapping[str, js.VariableSpec], values: Mapping[str, Any]) -> None:
    """Raise unless there is a value of the right shape for each spec with a regularizer."""
    there = js.VariableSpecs(found.values()).unstack()
    wanted = specs.select(lambda spec: spec.regularizer is not None).unstack()
    missing = [name for name, spec in wanted.items() if name not in there and spec.regularizer is not None]
    shapes = {name: tuple(jnp.shape(values[name])) for name in found}
    unlike = {name: spec.shape for name, spec in found.items() if spec.shape != shapes[name]}
    wrong = [f"{name} {shapes[name]}, not {shape}" for name, shape in unlike.items()]
    if missing or wrong:
        raise js.errors.VariablesMismatchError(
            "the given variables are not those that have regularizers",
            missing="\n".join(missing),
            shape="\n".join(wrong),
            fix="pass the variables of these specs: net.init(key, ...), or what training made of them",
        )
