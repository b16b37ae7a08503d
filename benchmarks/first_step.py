"""The first train step of a fresh process; prints one JSON object.

Run as `python -m benchmarks.first_step LIBRARY WAY MODEL SIZES`: the column of a library's module in
`benchmarks.layered`, and a model's class with its fields as a tuple.
"""

import time

BEGIN = time.perf_counter()

import ast  # noqa: E402 - the clock starts first
import importlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402


def measure(library: str, way: str, kind: str, sizes: str) -> dict[str, float]:
    """Measure CPU seconds from the start of the process, wall seconds from here on, and compilations."""
    module = importlib.import_module(f"benchmarks.layered.{library}")
    import jax

    from benchmarks.layered import models

    compiles: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiles.append(event) if event.endswith("backend_compile_duration") else None
    )
    imported = time.process_time()
    model = {"Gpt": models.Gpt, "ResNet": models.ResNet}[kind](*ast.literal_eval(sizes))
    training, batch = module.ways(model)[way], model.batch()
    state = training.init(jax.random.key(0), *batch)
    jax.block_until_ready(jax.tree.leaves(state))
    made, programs = time.process_time(), len(compiles)
    state, loss = training.jitted()(state, *batch)
    jax.block_until_ready((jax.tree.leaves(state), loss))
    return {
        "cpu": time.process_time(),
        "wall": time.perf_counter() - BEGIN,
        "init": made - imported,
        "compiles": programs,
        "loss": float(loss),
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
