"""Sharded init in a fresh process with eight devices, made of one processor; prints one JSON object.

Run as `python -m benchmarks.sharded WAY SIZES`: a library's init under one `jax.jit` with `out_shardings`, or
`specs`, which is jaxscope's `specs.init(key, mesh=mesh)`. All matrices are split by rows and columns.
"""

import ast
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA, MODEL = 4, 2


def measure(way: str, sizes: str) -> dict[str, float]:
    """Measure the first init: CPU seconds by step, temporaries of a device, and the peak of the process."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import AxisType, NamedSharding

    from benchmarks.child import status_kb
    from benchmarks.models import transformer
    from benchmarks.net import concrete

    mesh = jax.make_mesh((DATA, MODEL), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    model = transformer.Decoder(*ast.literal_eval(sizes))
    library = "jaxscope" if way == "specs" else way
    net = importlib.import_module(f"benchmarks.frameworks.{library}").BUILDERS[type(model)](model)
    inputs, key = concrete(model.inputs()), jax.random.key(0)
    shapes = net.spec(*inputs)
    if library == "jaxscope":
        specs = shapes.with_shardings({...: lambda request: partition(request.shape)})
        shapes = specs.shape_dtypes()
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    jax.block_until_ready((jnp.ones(8) + 1, inputs, key))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    before = status_kb("VmRSS")
    if way == "specs":
        found, made = by_kernels(lambda: specs.init(key, mesh=mesh))
    else:
        shardings = jax.tree.map(lambda leaf: NamedSharding(mesh, partition(leaf.shape)), shapes)
        found, made = by_jit(jax.jit(net.init, out_shardings=shardings), key, inputs)
    found["peak"] = 1024 * (status_kb("VmHWM") - before) / size
    assert sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(made)) < 0.3 * size
    if way == "specs":
        found["temporaries"] = max(temporaries(specs, mesh, key))
    return found


def partition(shape: tuple[int, ...]) -> Any:
    from jax.sharding import PartitionSpec

    return PartitionSpec("data", "model") if len(shape) == 2 else PartitionSpec()


def by_jit(jitted: Any, key: Any, inputs: Any) -> tuple[dict[str, float], Any]:
    """Measure a jitted init, step by step."""
    import jax

    start = time.process_time()
    lowered = jitted.lower(key, *inputs)
    traced = time.process_time()
    compiled = lowered.compile()
    ready = time.process_time()
    made = jax.block_until_ready(compiled(key, *inputs))
    steps = {"trace": traced - start, "compile": ready - traced, "run": time.process_time() - ready}
    return {**steps, "temporaries": compiled.memory_analysis().temp_size_in_bytes}, made


def by_kernels(init: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Measure an init that compiles many programs: what a second one takes is its run, the rest compiles."""
    import jax

    start = time.process_time()
    made = jax.block_until_ready(init())
    first = time.process_time() - start
    del made
    start = time.process_time()
    made = jax.block_until_ready(init())
    run = time.process_time() - start
    return {"trace": 0.0, "compile": first - run, "run": run}, made


def temporaries(specs: Any, mesh: Any, key: Any) -> list[int]:
    """Return those of each program, of which one runs at a time: one for each kind of variable."""
    import jax

    kinds = {(spec.shape, str(spec.initializer)): name for name, spec in specs.items()}
    found: list[int] = []
    for name in kinds.values():
        one = specs.select(lambda spec, name=name: spec.name == name)
        program = jax.jit(one.init, out_shardings=one.shardings(mesh)).lower(key).compile()
        found.append(program.memory_analysis().temp_size_in_bytes)
    return found


if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    print(json.dumps(measure(*sys.argv[1:])))
