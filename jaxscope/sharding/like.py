"""like: the shardings of what lives beside variables, by structure."""

from collections.abc import Mapping
from typing import Any

import jaxscope as js


def like(tree: Any, shardings: Mapping[str, Any], *, shapes: Mapping[str, Any] | None = None) -> Any:
    """Return shardings for an optimizer's state, or any tree that has values by the names of variables.

    What belongs to a variable lives as it does: what is of its shape, several of it in one array, sums along
    some of its axes. Whatever else there is (counts, rates), is whole on each device.

    Args:
        tree: An optimizer's state, of arrays or of `jax.ShapeDtypeStruct`s. Somewhere in it are `Variables`,
            or dicts with full names, or dicts of dicts.
        shardings: Full name -> `NamedSharding`: what `specs.shardings(mesh)` returns.
        shapes: What has the variables' shapes, by full name: specs, arrays, `specs.shape_dtypes()`. Without
            it, a leaf under a variable's name has the variable's sharding wherever that is possible: right
            for all optimizers whose state is of the variables' shapes.

    Returns:
        The same tree with a `NamedSharding` in the place of each leaf: for `jax.jit`, `jax.device_put`, or to
        restore a checkpoint by.

    Raises:
        VariablesMismatchError: There are no shardings, or the tree is of other variables (code `likeness`).

    Example:
        >>> import optax
        >>> from jax.sharding import AbstractMesh, PartitionSpec as P
        >>> net = js.transform(lambda: js.get_variable("w", [8, 4], partitioner=P("data")))
        >>> specs = net.spec()
        >>> state = jax.eval_shape(optax.adam(1e-3).init, specs.shape_dtypes())
        >>> placed = js.sharding.like(state, specs.shardings(AbstractMesh((4,), ("data",))))
        >>> placed[0].mu["w"].spec == P("data"), placed[0].count.spec == P()
        (True, True)
    """
    known = shardings if isinstance(shardings, js.Variables) else js.Variables(shardings)
    return known.like(tree, shapes=shapes)
