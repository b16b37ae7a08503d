"""Run by `test_processes`, by each of some processes: the first save together, the next go on from that."""

import os
import sys

if __name__ == "__main__":
    _, PORT, COUNT, ME, FOLDER = sys.argv
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={8 // int(COUNT)}"
    os.environ["JAX_PLATFORMS"] = "cpu"

import jax

if __name__ == "__main__" and int(COUNT) > 1:  # before anything is computed
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{PORT}", int(COUNT), int(ME))

import numpy as np
import optax
import pytest
from jax.sharding import AxisType

import jaxscope as js
from tests.checkpoint.nets import SPECS, VARIABLES

TX = optax.adam(1e-3)


def check(loaded, step):
    """Every part that this process has is right, and is where the mesh of now has it."""
    for name, value in {**loaded.variables, "": loaded.opt_state[0].mu["gpt/layer_1/kernel"]}.items():
        expected = np.asarray(VARIABLES[name]) if name else np.zeros((8, 8), "float32")
        assert len(value.sharding.device_set) == 8
        for shard in value.addressable_shards:
            np.testing.assert_array_equal(np.asarray(shard.data), expected[shard.index])
    assert loaded.step == step
    assert loaded.key == jax.random.key(step)


def main(count, folder):
    assert (jax.process_count(), jax.device_count()) == (count, 8)
    shape = {1: (1, 8), 2: (4, 2), 4: (2, 4)}[count]
    mesh = jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    like = jax.eval_shape(TX.init, VARIABLES.trainable)
    manager = js.checkpoint.Manager(os.path.join(folder, "run"), keep=2, every=2)
    with manager:
        last = manager.latest_step
        if last is None:
            variables = SPECS.init(jax.random.key(0), mesh=mesh)
            state = jax.jit(TX.init)(variables.trainable)
        else:
            loaded = manager.load(SPECS, opt_state=like, mesh=mesh)
            check(loaded, last)
            check(js.checkpoint.load(os.path.join(folder, "model"), SPECS, opt_state=like, mesh=mesh), last)
            variables, state = loaded.variables, loaded.opt_state
        first = 0 if last is None else last + 1
        for step in range(first, first + 5):
            manager.save(step, variables, opt_state=state, key=jax.random.key(step))
        manager.wait()
        last = manager.latest_step
        assert manager.steps == [last - 2, last]
    for _ in range(2):  # into the place of the one before
        js.checkpoint.save(
            os.path.join(folder, "model"), variables, opt_state=state, step=last, key=jax.random.key(last)
        )
    if count > 1:
        with pytest.raises(js.errors.CheckpointError, match="over several processes: save it into a folder"):
            js.checkpoint.save(os.path.join(folder, "model.npz"), variables)
    print("well", last)


if __name__ == "__main__":
    main(int(COUNT), FOLDER)
