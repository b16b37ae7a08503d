"""Training on a mesh gives what one device gives, by nothing but a table of rules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from tests.sharding.gpt import SPECS, TOKENS, WAYS, loss
from tests.sharding.meshes import mesh_of, same, there

KEY = jax.random.key(0)
TX = optax.adamw(1e-2)


@pytest.fixture(autouse=True)
def _promotion():
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        yield


def step(variables, state, tokens, *, scanned=False):
    value, gradients = jax.value_and_grad(lambda v: loss(v, tokens, scanned=scanned))(variables)
    updates, state = TX.update(gradients, state, variables)
    return optax.apply_updates(variables, updates), state, value, gradients


@pytest.fixture(scope="module")
def alone():
    """Two steps on one device: the first gradients, and both losses."""
    with jax.numpy_dtype_promotion("standard"):
        variables = SPECS.init(KEY)
        jitted = jax.jit(step)
        after, state, first, gradients = jitted(variables, TX.init(variables), TOKENS)
        second = jitted(after, state, TOKENS)[2]
    return variables, gradients, first, second


def close(left, right, tolerance: float) -> bool:
    return all(
        np.allclose(
            left[name], right[name], rtol=tolerance, atol=tolerance * max(1, np.abs(right[name]).max())
        )
        for name in right
    )


@pytest.mark.parametrize("way", WAYS)
def test_one_table_of_rules(way: str, alone):
    """Values to the last bit, loss to 1e-6, gradients to 1e-5; everything lives where the rules say."""
    variables, gradients, first, second = alone
    (data, model), rules, batch = WAYS[way]
    mesh = mesh_of(data=data, model=model)
    specs = SPECS.with_shardings(rules(mesh))
    shardings = specs.shardings(mesh)
    values = specs.init(KEY, mesh=mesh)
    assert same(values, variables)
    tokens = jax.device_put(TOKENS, NamedSharding(mesh, batch))
    placed = js.sharding.like(jax.eval_shape(TX.init, values), shardings)
    state = jax.jit(TX.init, out_shardings=placed)(values)
    jitted = jax.jit(step, out_shardings=(shardings, placed, None, shardings))
    after, state, loss_1, found = jitted(values, state, tokens)
    loss_2 = jitted(after, state, tokens)[2]
    assert abs(loss_1 - first) <= 1e-6 * first
    assert abs(loss_2 - second) <= 1e-5 * second
    assert close(found, gradients, 1e-5)
    assert there(after, shardings)
    assert there(state[0].mu, shardings)
    if way == "fsdp":
        whole = SPECS.plan(mesh, optimizer=TX)
        assert specs.plan(mesh, optimizer=TX).total < 0.2 * whole.total


def test_scanned_layers(alone):
    """A scan over stacked layers, laid out by the stacked rules, gives the same."""
    variables, gradients, first, _ = alone
    (data, model), rules, batch = WAYS["fsdp and tensor parallel"]
    mesh = mesh_of(data=data, model=model)
    specs = SPECS.with_shardings(rules(mesh)).stack("layer_{}")
    values = specs.init(KEY, mesh=mesh)
    assert same(values, variables.stack("layer_{}"))
    tokens = jax.device_put(TOKENS, NamedSharding(mesh, batch))
    found = jax.jit(
        jax.value_and_grad(lambda v, t: loss(v, t, scanned=True)), out_shardings=(None, specs.shardings(mesh))
    )(values, tokens)
    assert abs(found[0] - first) <= 1e-6 * first
    assert close(found[1], gradients.stack("layer_{}"), 1e-5)


def test_explicit_axes_by_auto_axes(alone):
    """Layers leave choices to XLA: on a mesh of Explicit axes, `jax.sharding.auto_axes` lets them."""
    _, gradients, first, _ = alone
    mesh = mesh_of(AxisType.Explicit, data=2, model=4)
    specs = SPECS.with_shardings(WAYS["data and tensor parallel"][1](mesh))
    shardings = specs.shardings(mesh)
    with jax.set_mesh(mesh):
        values = specs.init(KEY, mesh=mesh)
        tokens = jax.device_put(TOKENS, NamedSharding(mesh, P("data")))
        out = (P(), jax.tree.map(lambda s: s.spec, shardings))
        both = jax.sharding.auto_axes(jax.value_and_grad(loss), out_sharding=out)
        value, found = jax.jit(both)(values, tokens)
    assert abs(value - first) <= 1e-6 * first
    assert close(found, gradients, 1e-5)
    assert there(found, shardings)


def test_bytes_on_a_device_are_those_of_the_plan():
    """What the first device holds of variables and optimizer state is what the plan said."""
    (data, model), rules, _ = WAYS["fsdp and tensor parallel"]
    mesh = mesh_of(data=data, model=model)
    specs = SPECS.with_shardings(rules(mesh))
    values = specs.init(KEY, mesh=mesh)
    placed = js.sharding.like(jax.eval_shape(TX.init, values), specs.shardings(mesh))
    state = jax.jit(TX.init, out_shardings=placed)(values)
    device = jax.devices()[0]

    def held(tree):
        shards = [shard for leaf in jax.tree.leaves(tree) for shard in leaf.addressable_shards]
        return sum(shard.data.nbytes for shard in shards if shard.device == device)

    plan = specs.plan(mesh, optimizer=TX)
    assert held(values) == plan.parameters == plan.gradients
    assert held(state) == plan.optimizer


def test_batch_norm_is_synchronised():
    """Under `jax.jit` its statistics are those of the whole batch, however that is split."""

    @js.transform
    def net(x):
        return js.layers.batch_normalization(js.layers.dense(x, 8), training=True)

    x = np.random.default_rng(0).normal(2, 3, (16, 6)).astype(np.float32)
    x[:2] += 50  # so that no part of the batch has the mean of all
    variables = net.init(KEY, x)
    y, state = net.apply_with_state(variables, x)
    for kind in AxisType.Auto, AxisType.Explicit:
        mesh = mesh_of(kind, data=8)
        placed = jax.device_put(variables, NamedSharding(mesh, P()))
        rows = jax.device_put(x, NamedSharding(mesh, P("data")))
        y_8, state_8 = jax.jit(net.apply_with_state)(placed, rows)
        assert jnp.allclose(y_8, y, atol=1e-5)
        assert close(state_8, state, 1e-5)
