"""Optimizer state lives as its variables do, whatever the optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.errors import VariablesMismatchError
from tests.sharding.meshes import no_devices

MESH = no_devices(data=4, model=2)


@js.transform
def net():
    js.get_variable("a/kernel", [256, 128], partitioner=P("data", "model"))
    js.get_variable("a/bias", [128], partitioner=P("model"))
    js.get_variable("b/kernel", [128, 128], partitioner=P("data", "model"))
    js.get_variable("scale", [])
    js.get_variable("count", [4], trainable=False, partitioner=P("data"))


SPECS = net.spec()
SHARDINGS = SPECS.shardings(MESH)
VALUES = SPECS.shape_dtypes().trainable


def state_of(tx, values=VALUES):
    return jax.eval_shape(tx.init, values)


OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adam(1e-3),
    "adamw": optax.adamw(1e-3),
    "lamb": optax.lamb(1e-3),
    "lion": optax.lion(1e-3),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.linear_schedule(0.1, 0, 10))),
    "steps": optax.MultiSteps(optax.adam(1e-3), 4),
    "averaged": optax.chain(optax.adam(1e-3), optax.ema(0.99)),
    "injected": optax.inject_hyperparams(optax.adam)(learning_rate=1e-3),
    "finite": optax.apply_if_finite(optax.adam(1e-3), 3),
    "masked": optax.masked(optax.adam(1e-3), lambda values: js.Variables({n: "kernel" in n for n in values})),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_live_as_their_variables(name: str):
    """A leaf under a variable's name has its sharding, every other leaf is whole; the tree stays."""
    state = state_of(OPTIMIZERS[name])
    found = js.sharding.like(state, SHARDINGS)
    assert jax.tree.structure(found) == jax.tree.structure(state)
    moments = 0
    for (path, leaf), sharding in zip(
        jax.tree_util.tree_flatten_with_path(state)[0], jax.tree.leaves(found), strict=True
    ):
        own = [key.key for key in path if getattr(key, "key", None) in SHARDINGS]
        assert sharding == (SHARDINGS[own[-1]] if own else NamedSharding(MESH, P())), path
        assert sharding.shard_shape(leaf.shape) is not None
        moments += bool(own)
    assert moments == {"sgd": 0, "momentum": 4, "lion": 4, "steps": 12, "averaged": 12, "masked": 4}.get(
        name, 8
    )


def test_parts_of_variables():
    """With shapes, sums along some axes are split by the others, and histories are not split in time."""
    placed = js.sharding.like(state_of(optax.adafactor(1e-3)), SHARDINGS, shapes=SPECS)
    rows = [
        one for one in jax.tree.leaves(placed, is_leaf=lambda v: hasattr(v, "v_row")) if hasattr(one, "v_row")
    ]
    assert rows[0].v_row["a/kernel"].spec == P("model")  # of [128]: the sum along the other axis
    assert rows[0].v_col["a/kernel"].spec == P("data")
    assert rows[0].v["a/bias"].spec == P("model")
    assert rows[0].v_row["b/kernel"].spec == P()  # square: nobody can tell which axis is left
    assert rows[0].v["a/kernel"].spec == P()  # of [1], which stands for nothing
    past = js.sharding.like(state_of(optax.scale_by_lbfgs(4)), SHARDINGS, shapes=SPECS)
    assert past.diff_params_memory["a/kernel"].spec == P(None, "data", "model")
    assert past.params["a/kernel"].spec == P("data", "model")


def test_without_shapes_what_is_possible():
    """What a sharding cannot split is whole; all that is given can be split so."""
    for tx in (optax.adafactor(1e-3), optax.scale_by_lbfgs(3)):
        state = state_of(tx)
        placed = js.sharding.like(state, SHARDINGS)
        for leaf, sharding in zip(jax.tree.leaves(state), jax.tree.leaves(placed), strict=True):
            sharding.shard_shape(leaf.shape)


def test_other_trees():
    """Nested dicts, dicts of full names, single arrays by name, numbers, None and stacks."""
    nested = VALUES.nested()
    placed = js.sharding.like({"m": nested, "step": 3, "no": None, "n": np.float32(2)}, dict(SHARDINGS))
    assert placed["m"]["a"]["kernel"].spec == P("data", "model")
    assert placed["step"].spec == placed["n"].spec == P()
    assert placed["no"] is None
    assert js.sharding.like({**VALUES}, SHARDINGS)["a/bias"].spec == P("model")
    layers = js.VariableSpecs(
        js.VariableSpec(f"l_{n}/w", (4, 8), np.dtype("float32"), sharding=P(None, "model")) for n in range(3)
    ).stack("l_{}")
    state = state_of(optax.adam(1e-3), layers.shape_dtypes())
    assert js.sharding.like(state, layers.shardings(MESH))[0].mu["l_{}/w"].spec == P(None, None, "model")


def test_real_arrays_are_placed_by_it():
    """It is what `jax.device_put` and `jax.jit` take."""
    mesh = jax.make_mesh((1,), ("data",))
    specs = js.transform(lambda: js.get_variable("w", [4], partitioner=P("data"))).spec()
    shardings = specs.shardings(mesh)
    tx = optax.adam(1e-3)
    values = specs.init(jax.random.key(0), mesh=mesh)
    placed = js.sharding.like(jax.eval_shape(tx.init, values), shardings)
    state = jax.jit(tx.init, out_shardings=placed)(values)
    assert state[0].mu["w"].sharding == shardings["w"]
    assert jax.device_put(state, placed)[0].nu["w"].sharding == shardings["w"]


@pytest.mark.parametrize(
    ("tree", "unknown"),
    [
        ({"mu": {"a/kernel": jnp.ones(4), "other/kernel": jnp.ones(4)}}, "['mu']['other/kernel']"),
        ({"mu": js.Variables({"scale": jnp.ones(()), "other": jnp.ones(4)})}, "['mu']['other']"),
        (jnp.ones(10), "the tree itself"),  # of `optax.flatten`, say
        ([jnp.ones(3), 1.0], "[0]"),
        (SPECS, "the tree itself"),
        ({"mu": VALUES, "what": "text"}, "['what']"),
    ],
    ids=["name", "beside", "flat", "list", "specs", "text"],
)
def test_another_tree_is_an_error(tree, unknown: str):
    """Arrays that belong to no variable are told by their places."""
    with pytest.raises(VariablesMismatchError, match="the tree is not of the variables") as caught:
        js.sharding.like(tree, SHARDINGS)
    assert caught.value.code == "likeness"
    assert caught.value.facts["unknown"] == unknown


@pytest.mark.parametrize("shardings", [{}, {"w": P()}, VALUES])
def test_no_shardings_are_an_error(shardings):
    with pytest.raises(VariablesMismatchError, match="there are none") as caught:
        js.sharding.like({"w": jnp.ones(3)}, shardings)
    assert caught.value.code == "likeness"


def test_one_mesh():
    """What belongs to no variable has to live somewhere."""
    other = SPECS.shardings(no_devices(data=2, model=2))
    with pytest.raises(VariablesMismatchError, match="on several meshes") as caught:
        js.sharding.like({}, {**SHARDINGS, "scale": other["scale"]})
    assert caught.value.code == "likeness"


# --- fsdp ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "taken", "spec"),
    [
        ((512, 256), None, P("data")),
        ((256, 512), None, P(None, "data")),
        ((510, 256), None, P(None, "data")),
        ((510, 255), None, P()),
        ((16,), None, P()),
        ((512, 256), P(None, "model"), P("data", "model")),
        ((512, 256), P("model"), P("model", "data")),
        ((510, 256), P(None, "model"), P(None, "model")),
        ((2, 2), P("model"), P("model")),
    ],
)
def test_fsdp(shape, taken, spec: P):
    """The longest axis that can be split and is not yet, of what is large."""
    rule = js.sharding.fsdp(MESH, "data", taken)
    specs = js.transform(lambda: js.get_variable("w", shape)).spec().with_shardings({...: rule})
    assert specs.shardings(MESH)["w"].spec == spec


def test_fsdp_over_two_axes():
    rule = js.sharding.fsdp(MESH, ("data", "model"), smallest=8)
    specs = js.transform(lambda: js.get_variable("w", [16])).spec().with_shardings({...: rule})
    assert specs.shardings(MESH)["w"].spec == P(("data", "model"))


def test_fsdp_of_an_axis_that_is_not_there():
    with pytest.raises(js.errors.InvalidShapeError, match="no axis 'dta'") as caught:
        js.sharding.fsdp(MESH, "dta")
    assert (caught.value.code, caught.value.facts["near"]) == ("sharding", "data")
    for mesh, axis in ((MESH, None), (MESH, 3), ("data", "data")):
        with pytest.raises(js.errors.InvalidShapeError):
            js.sharding.fsdp(mesh, axis)
