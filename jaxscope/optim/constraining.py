"""Constraints after updates: as the last part of an optimizer, and once for values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.extras import library
from jaxscope.optim.fitting import checked, fitted
from jaxscope.optim.naming import as_array, as_tree, is_array, map_named, named

if TYPE_CHECKING:
    import optax


def constrain(specs: js.VariableSpecs) -> "optax.GradientTransformationExtraArgs":
    """Return a part of an optimizer that applies each variable's constraint after the update.

    It changes updates so that `optax.apply_updates` gives the projected values, and must be the last part of
    `optax.chain`, behind the learning rate. Where a constraint changes nothing, the update stays as it is, to
    the bit; elsewhere the new value is right to the rounding of one addition. `project` is exact.

    Args:
        specs: What `net.spec(*args)` returns: the constraints, by name.

    Returns:
        An optax transformation without state. It needs `params`: `optimizer.update(gradients, state,
        params)`. Variables may be single or in stacks; those without a constraint, or that the specs do not
        know, are left alone.

    Raises:
        ImportError: optax is not installed.
        VariablesMismatchError: `specs` are no specs; or, when it is used, a constraint gives another shape.
        VariableNotFoundError: When it is used: there are constraints, and no variable that has one.
        OptimizerError: When it is used: without `params` (code `no_params`).

    Source:
        `constraint` of `tf.get_variable`, which TF1's optimizers apply to the new value.

    Example:
        >>> import jaxscope as js, optax
        >>> @js.transform
        ... def net(x):
        ...     return x * js.get_variable("w", [2], constraint=js.optim.non_neg())
        >>> variables = js.Variables({"w": jnp.array([1.0, 2.0])})
        >>> optimizer = optax.chain(optax.sgd(1.0), js.optim.constrain(net.spec(jnp.ones(2))))
        >>> state = optimizer.init(variables)
        >>> gradients = js.Variables({"w": jnp.array([3.0, 0.5])})
        >>> updates, state = optimizer.update(gradients, state, variables)
        >>> optax.apply_updates(variables, updates)["w"]
        Array([0. , 1.5], dtype=float32)
    """
    optax = library("optax", "js.optim.constrain")
    specs = checked(specs)

    def init(params: Any) -> Any:
        _constraints(specs, named(params))
        return optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None, **_: Any) -> tuple[Any, Any]:
        if params is None:
            raise js.errors.OptimizerError(
                "constraints need the values that are updated",
                code="no_params",
                fix="pass them: optimizer.update(gradients, state, params)",
            )
        found = _constraints(specs, named(updates))

        def constrained(name: str, change: Any, value: Any) -> Any:
            if name not in found or not is_array(change) or not is_array(value):
                return change
            return _change(optax, change, value, found[name])

        return map_named(constrained, updates, params), state

    return optax.GradientTransformationExtraArgs(init, update)


def project(specs: js.VariableSpecs, variables: Any) -> Any:
    """Return variables with the constraints applied: the values that the specs allow.

    Args:
        specs: What `net.spec(*args)` returns.
        variables: Variables, single or in stacks, or some of them.

    Returns:
        A tree of the same structure, shapes and dtypes.

    Raises:
        VariableNotFoundError: There are constraints, and no variable that has one.
        VariablesMismatchError: `specs` are no specs, or a constraint gives another shape.

    Example:
        >>> import jaxscope as js
        >>> net = js.transform(lambda: js.get_variable("w", [2], constraint=js.optim.non_neg()))
        >>> js.optim.project(net.spec(), {"w": jnp.array([-1.0, 2.0])})
        {'w': Array([0., 2.], dtype=float32)}
    """
    tree = as_tree(variables)
    found = _constraints(checked(specs), named(tree))

    def projected(name: str, value: Any) -> Any:
        return _projected(value, found[name]) if name in found and is_array(value) else value

    return map_named(projected, tree)


def _constraints(specs: js.VariableSpecs, values: Mapping[str, Any]) -> dict[str, js.VariableSpec]:
    """Return the specs with constraints of what is there, by name.

    Raises:
        VariableNotFoundError: There are such specs, and no such variable: the names are surely others.
    """
    found = {name: spec for name, spec in fitted(specs, values).items() if spec.constraint is not None}
    asked = [name for name, spec in specs.items() if spec.constraint is not None]
    if asked and values and not found:
        raise js.errors.VariableNotFoundError(
            "none of the variables that have constraints is there",
            constrained="\n".join(asked),
            near="\n".join(filter(None, {js.errors.near(name, values) for name in asked})),
            fix="pass the specs of these variables, under the same names",
        )
    return found


def _change(optax: Any, change: Any, value: Any, spec: js.VariableSpec) -> Any:
    """Return the update after which a value is what its constraint allows."""
    with jax.numpy_dtype_promotion("standard"):  # updates may be of another dtype than values
        new: Any = optax.apply_updates(value, change)
        allowed = _projected(new, spec)
        needed = allowed.astype(jnp.result_type(change, value)) - value
        return jnp.where(allowed == new, change, needed)


def _projected(value: Any, spec: js.VariableSpec) -> Any:
    array = as_array(spec.name, value)
    try:
        projected = spec.constraint(array)
    except Exception as problem:
        problem.add_note(f"in the constraint of variable {spec.name!r}, made at {spec.site}")
        raise
    if jnp.shape(projected) != jnp.shape(value):
        raise js.errors.VariablesMismatchError(
            f"the constraint of {spec.name!r} returns another shape than it is given",
            given=jnp.shape(value),
            returned=jnp.shape(projected),
            first=spec.site,
            fix="let it return an array of the shape of its argument",
        )
    return jnp.asarray(projected).astype(array.dtype)
