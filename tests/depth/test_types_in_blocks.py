"""A block's arrays have their whole types: what varies in `jax.shard_map`, what is split over a mesh."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from tests.depth.lifts import Lift, as_it_is, ensemble, layer, loop, scanned, side_by_side
from tests.depth.same import X, assert_close


def members(block: Any) -> Any:
    return lambda x: ensemble(block)(x).mean(0)


def each_member(block: Any) -> Any:
    return lambda x: js.ensemble(block, 3, "layer_{}", in_axes=0)(jnp.stack([x, x, x])).mean(0)


def by_hand(block: Any) -> Any:
    return lambda x: side_by_side(block)(x).mean(0)


def getter(getter: Any, name: str, **kwargs: Any) -> Any:
    return 2 * getter(name, **kwargs)


LIFTS: dict[str, tuple[Lift, Lift]] = {
    "jit": (js.jit, as_it_is),
    "remat": (js.remat, as_it_is),
    "scan_layers": (scanned, loop),
    "scan_layers of jit": (lambda f: scanned(js.jit(f)), loop),
    "ensemble": (members, by_hand),
    "ensemble of its own inputs": (each_member, by_hand),
}


def compared(program: Any, x: Any) -> None:
    """Check that names, initial values, results and gradients are those of the block by hand."""
    found = []
    for lift in (program[0], program[1]):
        net = js.transform(lift)
        variables = net.init(jax.random.key(0), x)
        assert list(net.spec(x)) == list(variables)

        def loss(variables: Any, x: Any, net: Any = net) -> Any:
            return jnp.sum(jnp.sin(net.apply(variables, x)))

        found.append((variables, jax.jit(jax.value_and_grad(loss, (0, 1)))(variables, x)))
    assert_close(*found)


@pytest.mark.parametrize("surround", [None, getter])
@pytest.mark.parametrize("name", LIFTS)
def test_in_a_loop_in_shard_map(name: str, surround: Any):
    """What a step of the loop returns varies as what it was given."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))

    def program(lift: Lift) -> Any:
        def one(x: Any) -> Any:
            return jax.lax.fori_loop(0, 1, lambda _, x: lift(layer)(x), x)

        def main(x: Any) -> Any:
            with js.variable_scope("a", custom_getter=surround):
                return jax.shard_map(jax.vmap(one), mesh=mesh, in_specs=P("data"), out_specs=P("data"))(x)

        return main

    compared([program(lift) for lift in LIFTS[name]], jnp.stack([X, X / 2]))


@pytest.mark.parametrize("surround", [None, getter])
@pytest.mark.parametrize("name", LIFTS)
def test_on_explicit_axes(name: str, surround: Any):
    """An array that is split by its type is so inside the block, and what comes out of it, too."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))

    def program(lift: Lift) -> Any:
        def main(x: Any) -> Any:
            with js.variable_scope("a", custom_getter=surround):
                y = lift(layer)(x)
            assert jax.typeof(y).sharding.spec == jax.typeof(x).sharding.spec
            return x + y

        return main

    with jax.set_mesh(mesh):
        x = jax.device_put(jnp.stack([X, X / 2]), NamedSharding(mesh, P("data", None)))
        compared([program(lift) for lift in LIFTS[name]], x)
