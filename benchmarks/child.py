"""What must be measured in a fresh process: cold init, peak memory, the time of an import.

Run as `python -m benchmarks.child cold|memory|import ...`; prints one JSON object.
"""

import ast
import atexit
import functools
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any


def call(
    *args: str, module: str = "benchmarks.child", env: Mapping[str, str] = MappingProxyType({})
) -> dict[str, float]:
    """Run a measurement in a fresh process, with more in its environment, and return its numbers."""
    # Bytecode is kept, as it is for users: where it may not be written, each import would compile the source.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache(), **env}
    command = [sys.executable, "-m", module, *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(args)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def cache() -> str:
    """Return a folder for bytecode, which lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="benchmarks-bytecode-")
    atexit.register(folder.cleanup)
    return folder.name


def net_and_inputs(framework: str, kind: str, sizes: str) -> tuple[Any, Any]:
    """Return a net and its inputs; `sizes` is the tuple of the model's fields, as text."""
    import jax

    from benchmarks.models import mlp, shapes, transformer
    from benchmarks.net import concrete

    model = {"Mlp": mlp.Mlp, "Decoder": transformer.Decoder, "Shapes": shapes.Shapes}[kind](
        *ast.literal_eval(sizes)
    )
    module = importlib.import_module(f"benchmarks.frameworks.{framework}")
    inputs = concrete(model.inputs())
    key = jax.random.key(0)
    jax.block_until_ready((inputs, key))
    return module.BUILDERS[type(model)](model), (key, *inputs)


def cold(framework: str, kind: str, sizes: str, how: str) -> dict[str, float]:
    """Measure the first init of a process: wall and CPU seconds, programs compiled; then later ones."""
    import jax

    net, args = net_and_inputs(framework, kind, sizes)
    compiles: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiles.append(event) if event.endswith("backend_compile_duration") else None
    )
    init = jax.jit(net.init) if how == "jit" else net.init
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(jax.tree.leaves(init(*args)))
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "compiles": len(compiles)}
    warm: list[float] = []
    for _ in range(5):
        start = time.process_time()
        jax.block_until_ready(jax.tree.leaves(init(*args)))
        warm.append(time.process_time() - start)
    return {**found, "warm": min(warm)}


def memory(framework: str, kind: str, sizes: str, how: str) -> dict[str, float]:
    """Measure how far the resident set grows during the first init, over the bytes of the variables."""
    import jax
    import jax.numpy as jnp

    net, args = net_and_inputs(framework, kind, sizes)
    jax.block_until_ready(jnp.ones(8) + 1)
    before = status_kb("VmRSS")
    init = jax.jit(net.init) if how == "jit" else net.init
    leaves = jax.block_until_ready(jax.tree.leaves(init(*args)))
    size = sum(leaf.nbytes for leaf in leaves)
    return {"bytes": size, "ratio": 1024 * (status_kb("VmHWM") - before) / size}


def status_kb(field: str) -> int:
    """Return VmRSS or VmHWM of this process in KiB, from Linux's /proc.

    `ru_maxrss` would do on other systems, but on Linux a child inherits its parent's.
    """
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"{field}:\s+(\d+)", text)
    assert found, f"no {field} in /proc/self/status"
    return int(found[1])


def imported(package: str) -> dict[str, float]:
    """Measure what an import adds to `import jax`: wall and CPU seconds, modules, and whose they are."""
    start = time.process_time()
    import jax  # noqa: F401

    jax_cpu = time.process_time() - start
    before = set(sys.modules)
    wall, cpu = time.perf_counter(), time.process_time()
    importlib.import_module(package)
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "jax_cpu": jax_cpu}
    new = set(sys.modules) - before
    own = {package.partition(".")[0]}
    known = own | set(sys.stdlib_module_names) | {"jax", "jaxlib", "numpy"}
    third = {name for name in new if name.partition(".")[0] not in known}
    return {**found, "modules": len(new), "third_party": len(third)}


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    measure = {"cold": cold, "memory": memory, "import": imported}[sys.argv[1]]
    print(json.dumps(measure(*sys.argv[2:])))
