"""Ways to save and load variables, each measured in a process of its own: `python -m benchmarks.files ...`.

The arrays are a third each of 8 MiB, 2 MiB and 4 KiB, of noise. Saving ends when the bytes are on the disk;
what a library does not sync is synced here, within the time. Files are in the cache when they are loaded.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.child import status_kb

SIZES = (2**23, 2**21, 2**12)  # bytes
Arrays = dict[str, Any]


def call(way: str, what: str, count: int, folder: str) -> dict[str, float]:
    """Run one measurement in a fresh process and return its numbers."""
    command = [sys.executable, "-m", "benchmarks.files", way, what, str(count), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"benchmarks.files {way} {what} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def arrays(count: int) -> Arrays:
    """Return so many arrays of each size."""
    import jax
    import numpy as np

    draw = np.random.default_rng(0)
    sizes = [size for size in SIZES for _ in range(count)]
    made = {
        f"layer_{at}/w": jax.device_put(draw.standard_normal(size // 4, "float32"))
        for at, size in enumerate(sizes)
    }
    return jax.block_until_ready(made)


def sync(path: str) -> None:
    """Have a file, or all files of a folder, on the disk."""
    files = [os.path.join(at, name) for at, _, names in os.walk(path) for name in names] or [path]
    for file in files:
        descriptor = os.open(file, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)


# --- the ways: each saves, loads all, loads one ----------------------------------------------------


class Raw:
    """What the system takes to write the bytes, and to read them into memory that JAX takes over."""

    name = "arrays.bin"

    def save(self, path: str, values: Arrays) -> None:
        import numpy as np

        with open(path, "wb", buffering=0) as file:
            file.writelines(np.asarray(value).data for value in values.values())

    def load(self, path: str, like: Arrays) -> Any:
        import jax
        import numpy as np

        made = {}
        with open(path, "rb", buffering=0) as file:
            for name, value in like.items():
                size = value.size * value.dtype.itemsize
                whole = np.empty(size + 64, np.uint8)
                start = -whole.ctypes.data % 64
                part = whole[start : start + size]
                file.readinto(part)
                made[name] = jax.device_put(part.view(value.dtype).reshape(value.shape))
        return made

    one = None


class Jaxscope:
    name = "arrays.safetensors"
    mapped = True

    def save(self, path: str, values: Arrays) -> None:
        import jaxscope as js

        js.checkpoint.save(path, values)

    def begin(self, path: str, values: Arrays) -> Callable[[], None]:
        import jaxscope as js

        return js.checkpoint.save(path, values, wait=False).wait

    def load(self, path: str, like: Arrays) -> Any:
        import jaxscope as js

        return js.checkpoint.load(path, mapped=self.mapped).variables

    def one(self, path: str, name: str, like: Arrays) -> Any:
        import jaxscope as js

        return js.checkpoint.load(path, mapped=self.mapped)[name]


class JaxscopeCopied(Jaxscope):
    mapped = False


class JaxscopeFolder(Jaxscope):
    name = "arrays"


class Safetensors:
    name = "arrays.safetensors"

    def save(self, path: str, values: Arrays) -> None:
        from safetensors.flax import save_file

        save_file(dict(values), path)

    def load(self, path: str, like: Arrays) -> Any:
        from safetensors.flax import load_file

        return load_file(path)

    def one(self, path: str, name: str, like: Arrays) -> Any:
        from safetensors import safe_open

        with safe_open(path, framework="flax") as file:
            return file.get_tensor(name)


class Numpy:
    name = "arrays.npz"

    def save(self, path: str, values: Arrays) -> None:
        import numpy as np

        np.savez(path, **values)

    def load(self, path: str, like: Arrays) -> Any:
        import jax.numpy as jnp
        import numpy as np

        with np.load(path) as file:
            return {name: jnp.asarray(file[name]) for name in file}

    def one(self, path: str, name: str, like: Arrays) -> Any:
        import jax.numpy as jnp
        import numpy as np

        with np.load(path) as file:
            return jnp.asarray(file[name])


class Equinox:
    name = "arrays.eqx"

    def save(self, path: str, values: Arrays) -> None:
        import equinox

        equinox.tree_serialise_leaves(path, values)

    def load(self, path: str, like: Arrays) -> Any:
        import equinox

        return equinox.tree_deserialise_leaves(path, like)

    one = None  # it is as long as all


class Flax:
    name = "arrays.msgpack"

    def save(self, path: str, values: Arrays) -> None:
        from flax import serialization

        Path(path).write_bytes(serialization.to_bytes(values))

    def load(self, path: str, like: Arrays) -> Any:
        import jax
        from flax import serialization

        return jax.device_put(serialization.from_bytes(like, Path(path).read_bytes()))

    one = None


class Orbax:
    name = "arrays"

    def save(self, path: str, values: Arrays) -> None:
        self.begin(path, values)()

    def begin(self, path: str, values: Arrays) -> Callable[[], None]:
        import orbax.checkpoint as ocp

        checkpointer = ocp.StandardCheckpointer()
        checkpointer.save(path, values)
        return checkpointer.wait_until_finished

    def load(self, path: str, like: Arrays) -> Any:
        import orbax.checkpoint as ocp

        return ocp.StandardCheckpointer().restore(path, like)

    def one(self, path: str, name: str, like: Arrays) -> Any:
        import orbax.checkpoint as ocp

        restore = ocp.args.PyTreeRestore({name: like[name]}, partial_restore=True)
        return ocp.PyTreeCheckpointer().restore(path, args=restore)[name]


WAYS: dict[str, Any] = {
    "raw": Raw,
    "jaxscope": Jaxscope,
    "jaxscope, copied": JaxscopeCopied,
    "jaxscope, folder": JaxscopeFolder,
    "safetensors": Safetensors,
    "numpy": Numpy,
    "equinox": Equinox,
    "flax": Flax,
    "orbax": Orbax,
}
NEEDS = {"safetensors": "safetensors", "equinox": "equinox", "flax": "flax", "orbax": "orbax.checkpoint"}
NEEDS["jaxscope, folder"] = "orbax.checkpoint"


# --- measuring -------------------------------------------------------------------------------------


def reset() -> int:
    """Let the peak of the resident set begin anew; return the set in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_kb("VmRSS")


def warmed(way: Any, folder: str) -> None:
    """Use a way once, so that imports and first uses are not measured."""
    path = os.path.join(folder, f"warm-{way.name}")
    values = arrays(1)
    if not os.path.exists(path):
        way.save(path, values)
    way.load(path, values)
    if way.one is not None:
        way.one(path, "layer_0/w", values)


def measure(kind: str, what: str, count: int, folder: str) -> dict[str, float]:
    """Measure `save`, `begin`, `load` or `one`: seconds, and MiB beyond what was there."""
    import jax

    way = WAYS[kind]()
    path = os.path.join(folder, way.name)
    warmed(way, folder)
    if what in ("save", "begin"):
        values = arrays(count)
        before, start = reset(), time.perf_counter()
        if what == "begin":
            end = way.begin(path, values)
            seconds = time.perf_counter() - start
            end()
        else:
            way.save(path, values)
            sync(path)
            seconds = time.perf_counter() - start
    else:
        like = {
            f"layer_{at}/w": jax.ShapeDtypeStruct((size // 4,), "float32")
            for at, size in enumerate(size for size in SIZES for _ in range(count))
        }
        name = f"layer_{count + count // 2}/w"
        before, start = reset(), time.perf_counter()
        made = way.load(path, like) if what == "load" else way.one(path, name, like)
        jax.block_until_ready(made)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "mib": (status_kb("VmHWM") - before) / 1024}


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])))
