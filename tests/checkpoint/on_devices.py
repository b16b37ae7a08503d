"""Run by `test_devices` in a process of its own, with eight devices: saved on one mesh, loaded on others."""

import os
import sys
import tempfile
import threading

if __name__ == "__main__":  # before JAX is imported, and not where tests are collected
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.checkpoint import folders
from tests.checkpoint.nets import FORMATS, SPECS, VARIABLES, same

TX = optax.adam(1e-3)


def mesh_of(shape, kind):
    return jax.make_mesh(shape, ("data", "model"), axis_types=(kind, kind))


def files():
    """Each part is read where it is to live; bits and places are right, on each mesh and kind of axes."""
    home = mesh_of((4, 2), AxisType.Auto)
    variables = SPECS.init(jax.random.key(0), mesh=home)
    state = TX.init(variables.trainable)
    like = jax.eval_shape(TX.init, VARIABLES.trainable)
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            path = os.path.join(folder, name)
            js.checkpoint.save(path, variables, opt_state=state, step=3, key=jax.random.key(1))
            for kind in (AxisType.Auto, AxisType.Explicit):
                mesh = mesh_of((1, 8) if kind == AxisType.Auto else (2, 4), kind)
                for mapped in (True, False):
                    loaded = js.checkpoint.load(path, SPECS, opt_state=like, mesh=mesh, mapped=mapped)
                    same(loaded.variables, VARIABLES)
                    same(loaded.opt_state, TX.init(VARIABLES.trainable))
                    for value in (loaded["gpt/layer_0/kernel"], loaded.opt_state[0].mu["gpt/layer_0/kernel"]):
                        assert value.sharding == NamedSharding(mesh, P(None, "model")), value.sharding
                    assert loaded.opt_state[0].count.sharding == NamedSharding(mesh, P())
                    assert (loaded.step, loaded.key) == (3, jax.random.key(1))
            alone = js.checkpoint.load(path)["gpt/layer_0/kernel"]
            assert alone.sharding == SingleDeviceSharding(jax.devices()[0]), alone.sharding
            column = NamedSharding(mesh, P("model"))
            by_name = js.checkpoint.load(path, shardings={"gpt/layer_0/kernel": column})
            same(by_name.variables, VARIABLES)
            assert by_name["gpt/layer_0/kernel"].sharding == column


def stacks_and_missing():
    """Stacks of layers are split as layers are, and what is missing is drawn where it is to live."""
    mesh = mesh_of((2, 4), AxisType.Auto)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.safetensors")
        js.checkpoint.save(path, VARIABLES.stack("layer_{}"))
        stacked = js.checkpoint.load(path, SPECS, mesh=mesh)["gpt/layer_{}/kernel"]
        assert stacked.sharding == NamedSharding(mesh, P(None, None, "model")), stacked.sharding
        js.checkpoint.save(path, VARIABLES.select("gpt/(layer_1|scale|seen)"))
        loaded = js.checkpoint.load(path, SPECS, mesh=mesh, missing="init", key=jax.random.key(0))
        same(loaded.variables, VARIABLES)
        assert loaded["gpt/layer_0/kernel"].sharding == NamedSharding(mesh, P(None, "model"))
        whole = NamedSharding(mesh, P())
        loaded = js.checkpoint.load(path, SPECS, shardings=whole, missing="init", key=jax.random.key(0))
        same(loaded.variables, VARIABLES)
        assert {value.sharding for value in loaded.variables.values()} == {whole}


def wide():
    """Old files' 64 bits are converted part by part, and what does not fit is found."""
    mesh = mesh_of((2, 4), AxisType.Auto)
    split = NamedSharding(mesh, P("data", "model"))
    numbers = np.arange(64.0 * 128).reshape(64, 128)
    large = numbers.copy()
    large[63, 127] = 1e300
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            path = os.path.join(folder, name)
            js.checkpoint.save(path, {"w": numbers, "large": large})
            loaded = js.checkpoint.load(path, shardings=split)
            np.testing.assert_array_equal(loaded["w"], numbers.astype("float32"))
            assert loaded["w"].sharding == split
            with pytest.raises(js.errors.DtypeMismatchError, match="fit float32"):
                loaded["large"]


def donated():
    """What is written are the values of the moment, though each copy of an array is donated before that."""
    mesh = mesh_of((4, 2), AxisType.Auto)
    ways = [
        NamedSharding(mesh, partition) for partition in (P(), P("data"), P(None, "model"), P("data", "model"))
    ]
    given = np.arange(64 * 128, dtype="float32").reshape(64, 128)
    step = jax.jit(lambda variables: jax.tree.map(lambda x: x * 0 - 1, variables), donate_argnums=0)
    arguments = folders.arguments
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        gone = threading.Event()

        def late(*of):
            assert gone.wait(60)
            return arguments(*of)

        patched.setattr(folders, "arguments", late)
        with js.checkpoint.Manager(os.path.join(folder, "run")) as manager:
            for path in (os.path.join(folder, "model"), os.path.join(folder, "run", "0")):
                gone.clear()
                variables = {f"w{at}": jax.device_put(given, way) for at, way in enumerate(ways)}
                if path.endswith("model"):
                    saving = js.checkpoint.save(path, variables, wait=False)
                else:
                    saving = manager
                    manager.save(0, variables)
                later = step(step(variables))
                jax.block_until_ready(later)
                gone.set()
                saving.wait()
                for name, value in js.checkpoint.load(path).items():
                    np.testing.assert_array_equal(value, given, err_msg=name)


def manager():
    """A training that goes on on another mesh gives what one that was never stopped gives."""

    def train(first, last, mesh, folder):
        with js.checkpoint.Manager(folder, keep=2, every=2) as manager:
            if manager.latest_step is None:
                variables, key = SPECS.init(jax.random.key(0), mesh=mesh), jax.random.key(7)
                state = jax.device_put(TX.init(variables.trainable), NamedSharding(mesh, P()))
            else:
                loaded = manager.load(
                    SPECS, opt_state=jax.eval_shape(TX.init, VARIABLES.trainable), mesh=mesh
                )
                variables, state, key = loaded.variables, loaded.opt_state, loaded.key
                assert loaded.step == manager.latest_step == first - 1
            for step in range(first, last):
                key, now = jax.random.split(key)
                trained = variables.trainable
                noise = jax.tree.map(lambda value, now=now: jax.random.normal(now, value.shape), trained)
                gradients = jax.device_put(noise, jax.tree.map(lambda value: value.sharding, trained))
                updates, state = TX.update(gradients, state)
                variables = optax.apply_updates(trained, updates) | variables.non_trainable
                manager.save(step, variables, opt_state=state, key=key)
        return variables, key

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        expected = train(0, 9, mesh_of((4, 2), AxisType.Auto), one)
        train(0, 5, mesh_of((4, 2), AxisType.Auto), two)
        same(train(5, 9, mesh_of((1, 8), AxisType.Auto), two), expected)
        assert js.checkpoint.load(os.path.join(two, "8")).step == 8
        same(js.checkpoint.load(os.path.join(two, "8"), SPECS, extra="ignore").variables, expected[0])


if __name__ == "__main__":
    assert jax.device_count() == 8
    jnp.ones(1)
    ways = {
        "files": files,
        "stacks": stacks_and_missing,
        "wide": wide,
        "donated": donated,
        "manager": manager,
    }
    ways[sys.argv[1]]()
    print("well")
