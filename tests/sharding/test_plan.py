"""Plans: bytes on each device, counted one by one, and a model that no machine here could hold."""

import json
import math
import pickle
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from tests.sharding.meshes import no_devices

MESH = no_devices(data=4, model=2)


@js.transform
def net():
    with js.variable_scope("embed"):
        js.get_variable("table", [1000, 64], partitioner=P("data"))
    for number in range(3):
        with js.variable_scope(f"layer_{number}/mlp"):
            js.get_variable("kernel", [64, 256], partitioner=P("data", "model"))
            js.get_variable("bias", [256], partitioner=P("model"))
            js.get_variable("steps", [4], "int32", trainable=False)
    js.get_variable("big", [512, 512])


SPECS = net.spec()


def held(tree) -> int:
    """Return the bytes that the first device would hold of a tree with shardings."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def placed(tree, shardings):
    return jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), tree, shardings)


@pytest.mark.parametrize(
    "tx", [optax.sgd(1.0), optax.adamw(1e-3), optax.adafactor(1e-3)], ids=["sgd", "adam", "factor"]
)
def test_bytes_are_those_of_shards(tx):
    """Of parameters, gradients and any optimizer's state: what JAX says that a shard holds, summed."""
    plan = SPECS.plan(MESH, optimizer=tx)
    shardings = SPECS.shardings(MESH)
    values = placed(SPECS.shape_dtypes(), shardings)
    state = jax.eval_shape(tx.init, values.trainable)
    state = placed(state, js.sharding.like(state, shardings, shapes=SPECS))
    assert plan.parameters == held(values)
    assert plan.gradients == held(values.trainable)
    assert plan.optimizer == held(state)
    assert plan.total == held((values, values.trainable, state))
    assert plan.devices == 8


def test_the_batch():
    """What has a sharding is counted by it, all else as it is said, or whole."""
    batch = {
        "x": jax.ShapeDtypeStruct((8, 4), jnp.float32, sharding=NamedSharding(MESH, P("data", "model"))),
        "y": np.zeros(8, np.int32),
        "n": 3,
        "wide": np.zeros(8),  # float32 on a device
    }
    rows = {row.name: row.nbytes for row in SPECS.plan(MESH, batch=batch, batch_partition=P("data")).batch}
    assert rows == {"['n']": 4, "['wide']": 8, "['x']": 16, "['y']": 8}
    assert SPECS.plan(MESH, batch=batch).batch[3].nbytes == 32


def test_what_is_told():
    """What does not divide is counted as if padded, and told, like what is large and everywhere."""
    specs = SPECS.with_shardings({"layer_1/mlp/bias": P(("data", "model")), "embed": P("model", "modle")})
    specs = (
        specs.with_shardings({"embed": P("date")})
        | js.transform(lambda: js.get_variable("odd", [7, 3], partitioner=P("data"))).spec()
    )
    plan = specs.plan(MESH, optimizer=optax.adam(1e-3), large=2**20)
    assert dict(plan.problems) == {
        "embed/table": "the mesh has no axis 'date' (near: data)",
        "odd": "axis 0, of 7, is not divided by 4 ('data')",
    }
    (odd,) = (row for row in plan.variables if row.name == "odd")
    assert (odd.parameters, odd.gradients, odd.optimizer) == (7 * 3 * 4, 7 * 3 * 4, 2 * 7 * 3 * 4)
    assert plan.whole == ("big",)
    assert SPECS.plan(MESH, large=1).whole == (
        "layer_0/mlp/steps",
        "layer_1/mlp/steps",
        "layer_2/mlp/steps",
        "big",
    )
    assert SPECS.plan(no_devices(data=1)).whole == ()  # one device has everything


def test_as_text_as_table_and_as_json():
    """Layers share a line; JSON has every variable, and reads back as what there was."""
    plan = SPECS.plan(MESH, optimizer=optax.adam(1e-3), batch={"x": jnp.zeros([8, 2])})
    assert str(plan).splitlines()[0] == "8 devices (data 4, model 2), 4.3 MiB on each"
    rows = [line.split("  ") for line in plan.tabulate().splitlines()]
    cells = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert cells["layer_{}/mlp"] == ["9", "25.5 KiB", "25.5 KiB", "51.0 KiB", "102.0 KiB"]
    assert "whole on each device, though large:\n  big: 1.0 MiB" in str(plan)
    assert "batch['x']" in plan.tabulate()
    assert plan.tabulate(None).count("layer_{}/mlp/") == 3
    read = json.loads(plan.to_json())
    assert read == plan.as_dict()
    assert (
        read["bytes_per_device"]["total"]
        == plan.total
        == sum(row["parameters"] + row["gradients"] + row["optimizer"] for row in read["variables"])
        + sum(row["nbytes"] for row in read["batch"] + read["others"])
    )
    assert read["variables"][1] == {
        "name": "layer_0/mlp/kernel",
        "shape": [64, 256],
        "dtype": "float32",
        "partition": ["data", "model"],
        "copies": 1,
        "parameters": 8192,
        "gradients": 8192,
        "optimizer": 16384,
    }
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert len({plan, SPECS.plan(MESH)}) == 2
    assert plan == SPECS.plan(MESH, optimizer=optax.adam(1e-3), batch={"x": jnp.zeros([8, 2])})


def test_of_stacks():
    """Stacked or not, the bytes are the same."""
    one, other = (specs.plan(MESH, optimizer=optax.adam(1e-3)) for specs in (SPECS, SPECS.stack("layer_{}")))
    assert one.as_dict()["bytes_per_device"] == other.as_dict()["bytes_per_device"]
    assert len(other.variables) < len(one.variables)


def test_of_nothing_and_of_no_optimizer():
    assert js.VariableSpecs().plan(MESH).total == 0
    assert js.VariableSpecs().plan(MESH, optimizer=optax.adam(1e-3)).optimizer == 0
    with pytest.raises(TypeError, match="function `init`"):
        SPECS.plan(MESH, optimizer="adam")


# --- a large model ---------------------------------------------------------------------------------

LARGE = no_devices(data=1024, model=8)
RULES = {
    r".*/(query|key|value|gate|up)/kernel": P("data", "model"),
    r".*/(output|down)/kernel": P("model", "data"),
    "embed/": P("model", "data"),
    "head/": P("data", "model"),
    ...: P(),
}


def block(x):
    layers = js.layers
    y = layers.rms_norm(x, name="attention_norm")
    x = x + layers.multi_head_attention(
        y, 128, kv_heads=8, causal=True, rotary=5e5, use_bias=False, name="attention"
    )
    y = layers.rms_norm(x, name="mlp_norm")
    up = layers.dense(y, 53248, use_bias=False, name="up")
    return x + layers.dense(
        jax.nn.silu(layers.dense(y, 53248, use_bias=False, name="gate")) * up,
        16384,
        use_bias=False,
        name="down",
    )


@js.transform
def decoder(tokens):
    x = js.layers.embedding(tokens, 128256, 16384, name="embed", dtype="bfloat16")
    x = js.scan_layers(block, 126)(x)
    return js.layers.dense(js.layers.rms_norm(x, name="norm"), 128256, use_bias=False, name="head")


def test_a_model_of_405_billion_on_8192_chips():
    """Its plan takes seconds, and its step is lowered for TPUs and for Nvidia's GPUs where there are none."""
    tokens = jax.ShapeDtypeStruct((2048, 8192), np.int32)
    start = time.process_time()
    specs = decoder.spec(tokens).with_shardings(RULES).stack("layer_{}")
    tx = optax.adamw(1e-4)
    plan = specs.plan(LARGE, optimizer=tx, batch=tokens, batch_partition=P("data"))
    assert time.process_time() - start < 5
    assert 405e9 < specs.num_params < 406e9
    assert plan.devices == 8192
    assert not plan.problems
    assert 409 < plan.total / 2**20 < 410
    assert plan.whole == ("layer_{}/attention_norm/scale", "layer_{}/mlp_norm/scale")

    shardings = specs.shardings(LARGE)
    values = specs.shape_dtypes()
    state = jax.eval_shape(tx.init, values)

    def step(values, state, tokens):
        def loss(values):
            logits = decoder.apply(values, tokens).astype("float32")
            return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:]).mean()

        value, gradients = jax.value_and_grad(loss)(values)
        updates, state = tx.update(gradients, state, values)
        return optax.apply_updates(values, updates), state, value

    kept = shardings, js.sharding.like(state, shardings)
    jitted = jax.jit(step, in_shardings=(*kept, NamedSharding(LARGE, P("data"))), out_shardings=(*kept, None))
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        traced = jitted.trace(values, state, tokens)
        exported = jax.export.export(jitted, platforms=["tpu", "cuda"])(values, state, tokens)
        programs = [traced.lower(lowering_platforms=(platform,)) for platform in ("tpu", "cuda")]
    assert all('"data"=1024, "model"=8' in program.as_text() for program in programs)
    assert exported.nr_devices == 8192
