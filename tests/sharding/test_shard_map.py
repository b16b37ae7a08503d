"""jax.shard_map and state: around a call it is right; inside one, the error shows the lines that are."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.errors import StateError
from tests.sharding.meshes import KINDS, mesh_of

X = np.random.default_rng(1).normal(1, 2, (16, 4)).astype(np.float32)


@js.transform
def net(x, axis=None):
    return js.layers.batch_normalization(js.layers.dense(x, 8), training=True, axis_name=axis)


VARIABLES = net.init(jax.random.key(0), X)


@pytest.mark.parametrize("staged", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_around_a_call(kind: AxisType, staged: bool):
    """Each device has a part of the batch, and all set the same: the statistics of the whole."""
    mesh = mesh_of(kind, data=8)
    y, state = net.apply_with_state(VARIABLES, X)
    call = jax.shard_map(
        lambda variables, x: net.apply_with_state(variables, x, "data"),
        mesh=mesh,
        in_specs=(P(), P("data")),
        out_specs=(P("data"), P()),
    )
    given = jax.device_put(VARIABLES, NamedSharding(mesh, P()))
    rows = jax.device_put(X, NamedSharding(mesh, P("data")))
    y_8, state_8 = (jax.jit(call) if staged else call)(given, rows)
    assert jnp.allclose(y_8, y, atol=1e-5)
    assert all(jnp.allclose(state_8[name], state[name], atol=1e-5) for name in state)


def inside(x, *, outside: bool = True):
    """Set a mean inside of `jax.shard_map`, or outside as the error says."""
    js.get_variable("mean", [4], initializer=js.initializers.zeros, trainable=False)
    mesh = mesh_of(data=8)

    def f(x):
        new = jax.lax.pmean(x.mean(0), "data")
        if outside:
            return x - new, new
        js.set_variable("mean", new)
        return x - new

    if not outside:
        return jax.shard_map(f, mesh=mesh, in_specs=P("data"), out_specs=P("data"))(x)
    y, new = jax.shard_map(f, mesh=mesh, in_specs=P("data"), out_specs=(P("data"), P()))(x)
    js.set_variable(full_name="mean", value=new)
    return y


def test_inside_a_call():
    """The error has the two lines that set it outside; these are right."""
    call = js.transform(inside)
    given = {"mean": jnp.zeros(4)}
    ways = call.apply_with_state, jax.jit(call.apply_with_state, static_argnames="outside")
    for apply in ways:
        with pytest.raises(StateError) as caught:
            apply(given, X, outside=False)
        assert caught.value.code == "write_in_transform"
        assert re.findall(r"^    .*", caught.value.fix, re.MULTILINE) == [
            "    y, new = jax.shard_map(f, mesh=mesh, in_specs=..., out_specs=(..., P()))(x)",
            "    js.set_variable(full_name='mean', value=new)",
        ]
    for apply in ways:
        y, state = apply(given, X, outside=True)
        assert jnp.allclose(state["mean"], X.mean(0), atol=1e-5)
        assert jnp.allclose(y, X - X.mean(0), atol=1e-5)
