"""Train in several processes that are killed again and again, and lose nothing: the GPT of char_gpt.py.

Its variables are spread by name over the devices of all processes, and saved while the training goes on.
Killed with -9, it is started again in another number of processes, on another mesh, and has the losses of a
training that nobody killed. Here each process has two devices made of this machine's processor; about two
minutes on two cores:

    python examples/multihost.py --kill 3 --out multihost.png

Without --kill it trains on one mesh, and Ctrl-C leaves a checkpoint from which --resume goes on. On a
cluster, where each host starts one process and all see the folder, the same file is run as

    python multihost.py --coordinator HOST:PORT --process N --processes K --mesh data=16,model=4 --resume
"""

import argparse
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import char_gpt
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from matplotlib.figure import Figure

import jaxscope as js

DEVICES = 2  # of a process that is started here
MESHES = ("data=2,model=2", "data=3,model=2", "data=2,model=4", "data=4,model=1")
MOMENTS = ("any", "save", "start")
STOPPED = 130  # the status of a process that was asked to end, and saved
HEADS = char_gpt.Size().heads

# --- The training: what every process does, here or on a cluster. ---


def rules_for(mesh: Mesh | AbstractMesh) -> dict[object, object]:
    """Return how variables are spread: heads and features over `model`, what is left over `data`."""
    split = partial(js.sharding.fsdp, mesh, "data", smallest=1024)
    return {
        r".*/(query|key|value|up)/kernel": split(P(None, "model")),
        r".*/(output|down)/kernel": split(P("model")),
        r".*/up/bias": P("model"),
        "characters/": split(P("model")),
        ...: P(),
    }


def specs_for(
    options: argparse.Namespace, mesh: Mesh | AbstractMesh
) -> tuple[js.VariableSpecs, char_gpt.Size]:
    """Return the specs of the model, laid out, and its size."""
    size = char_gpt.Size(options.width, options.layers, HEADS, options.context)
    specs = char_gpt.loss.spec(jnp.zeros([1, size.context + 1], jnp.int32), size)
    return specs.with_shardings(rules_for(mesh)).stack("layer_{}"), size


def train(options: argparse.Namespace) -> int:
    """Train from the newest checkpoint on, if there is one; return the status to end with."""
    sizes: dict[str, int] = options.mesh[0]
    axes = (AxisType.Auto,) * len(sizes)
    mesh = jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=axes)
    specs, size = specs_for(options, mesh)
    optimizer = char_gpt.optimizer_for(options.steps, options.rate)
    like = jax.eval_shape(optimizer.init, specs.shape_dtypes())
    whole, split = (NamedSharding(mesh, P(*names)) for names in ((), ("data",)))
    kept = specs.shardings(mesh), js.sharding.like(like, specs.shardings(mesh))
    key = jax.random.key(options.seed + 1)
    known, _ = char_gpt.load()

    @partial(jax.jit, out_shardings=(*kept, whole), donate_argnums=(0, 1))
    def step(
        variables: js.Variables, state: optax.OptState, text: jax.Array, number: jax.Array
    ) -> tuple[js.Variables, optax.OptState, jax.Array]:
        noise = jax.random.fold_in(key, number)  # the same whatever the mesh, and whoever was killed before
        value, gradient = jax.value_and_grad(char_gpt.loss.apply)(variables, text, size, noise)
        updates, state = optimizer.update(gradient, state, variables)
        return jax.tree.map(jnp.add, variables, updates), state, value

    with js.checkpoint.Manager(options.folder / "checkpoints", keep=2, every=options.every) as manager:
        last = manager.latest_step
        if last is None:
            variables = specs.init(jax.random.key(options.seed), mesh=mesh)
            state = jax.jit(optimizer.init, out_shardings=kept[1])(variables)
        else:
            loaded = manager.load(specs, opt_state=like, mesh=mesh)
            variables, state = loaded.variables, loaded.opt_state
        first, done, status = (0 if last is None else last + 1), last, 0
        log = Log(options, first) if jax.process_index() == 0 else None
        for number in range(first, options.steps):
            rows = char_gpt.batch_of(known, size, options.batch, (options.seed, number))
            text = jax.make_array_from_callback(rows.shape, split, rows.__getitem__)  # its devices' rows
            variables, state, value = step(variables, state, text, np.int32(number))
            loss, done = float(value), number
            if log:
                log.write(number, loss)  # first: what is saved is not computed again
            manager.save(number, variables, opt_state=state)  # begins to, if it is the step's turn
            # Where a process is asked to end (SIGTERM), all of them learn of it after the same step.
            if multihost_utils.reached_preemption_sync_point(number):
                status = STOPPED
                break
        manager.wait()
        if done is not None and done != manager.latest_step:
            manager.save(done, variables, opt_state=state, force=True)
    return status


class Log:
    """What the first process writes: a line for each loss into a file, and now and then one to be read.

    Args:
        options: The options.
        first: The step that the training begins with.
    """

    def __init__(self, options: argparse.Namespace, first: int) -> None:
        self._options, self._first = options, first
        self._file = os.open(mended(options.folder), os.O_WRONLY | os.O_APPEND)
        title = f"{text_of(options.mesh[0])} in {options.processes} processes, from step {first}"
        os.write(self._file, f"# {title}\n".encode())
        self._begin = self._told = 0.0

    def write(self, number: int, loss: float) -> None:
        """Write one loss, with all its digits."""
        os.write(self._file, f"{number} {loss!r}\n".encode())
        now, last = time.perf_counter(), number + 1 == self._options.steps
        if number == self._first:
            self._begin = now  # the first step compiles
        if now - self._told > 2 or last:
            seen = (number - self._first) * self._options.batch * self._options.context
            speed = seen / max(now - self._begin, 1e-9) / 1000
            of = f"step {number + 1} of {self._options.steps}"
            print(f"  {of}: loss {loss:.3f}, {speed:.1f}k chars/s", flush=True)
            self._told = now


def mended(folder: Path) -> Path:
    """Return the file of the losses, there and without a last line that a kill cut off."""
    path = folder / "losses.txt"
    path.touch()
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    return path


class Life(NamedTuple):
    """What one start of the processes has logged: its mesh, and step -> loss."""

    title: str
    losses: dict[int, float]


def lives(folder: Path) -> list[Life]:
    """Return all that was logged, from one kill to the next."""
    found: list[Life] = []
    for line in mended(folder).read_text().splitlines():
        if line.startswith("#"):
            found.append(Life(line[2:], {}))
        else:
            number, loss = line.split()
            found[-1].losses[int(number)] = float(loss)
    return found


def worker(options: argparse.Namespace) -> int:
    """Be one of the processes."""
    if options.watched:
        # Nobody is left behind: the one who started this keeps a pipe open as long as it lives.
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    # What libraries print from C++ goes where errors go: progress alone is to be seen.
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    jax.distributed.initialize(options.coordinator, options.processes, options.process)
    if jax.device_count() != math.prod(options.mesh[0].values()):
        raise SystemExit(f"--mesh must be of all {jax.device_count()} devices")
    return train(options)


# --- The processes on one machine: started, watched, killed. ---

Processes = list[subprocess.Popen[bytes]]


def start(options: argparse.Namespace, sizes: dict[str, int], folder: Path) -> Processes:
    """Start the processes of one mesh, each with its share of the devices."""
    devices = math.prod(sizes.values())
    count = options.processes or devices // DEVICES
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = os.environ.get("XLA_FLAGS", "").split()
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices // count),
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        "XLA_FLAGS": " ".join(flag for flag in flags if "device_count" not in flag),
    }
    command = [sys.executable, __file__, "--watched", "--resume", "--folder", str(folder)]
    command += ["--mesh", text_of(sizes), "--coordinator", f"localhost:{port}", "--processes", str(count)]
    for name in ("seed", "steps", "every", "batch", "rate", "width", "layers", "context"):
        command += [f"--{name}", str(getattr(options, name))]
    started: Processes = []
    for number in range(count):
        with open(folder / f"process_{number}.log", "wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - this file
                [*command, "--process", str(number)],
                env=environment,
                stdin=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the one who watches
            )
        started.append(process)
    return started


def kill(processes: Processes, pauses: list[float]) -> None:
    """Kill with -9, one after the other, as the hosts of a cluster go down."""
    for process, pause in zip(processes, pauses, strict=True):
        time.sleep(pause)
        process.kill()
    for process in processes:
        process.wait()


def watch(processes: Processes, folder: Path, due: Callable[[Processes], bool]) -> int | None:
    """Wait until all have ended, and return with which status; or until a moment is there: None."""
    asked = False
    while True:
        try:
            codes = [process.poll() for process in processes]
            wrong = [n for n, code in enumerate(codes) if code not in {None, 0, STOPPED}]
            if wrong and asked:
                return STOPPED  # some had not begun yet
            if wrong:
                errors = (folder / f"process_{wrong[0]}.log").read_text("utf-8", "replace")
                raise SystemExit(f"process {wrong[0]} ended with {codes[wrong[0]]}:\n{errors[-3000:]}")
            if None not in codes:
                return max(code or 0 for code in codes)
            if not asked and due(processes):
                return None
            time.sleep(0.004)
        except KeyboardInterrupt:
            if asked:  # twice: at once
                raise
            asked = True
            for process in processes:
                process.terminate()


class Outcome(NamedTuple):
    """How a training ended: the status, how often it was killed, and how often in the middle of a save."""

    status: int
    kills: int
    interrupted: int


def run(options: argparse.Namespace, folder: Path, kills: list[str]) -> Outcome:
    """Train to the end, killed at so many moments, each time going on with the next mesh."""
    draw, interrupted = random.Random(options.seed), 0  # noqa: S311 - of moments
    done = max(saved(folder), default=-1) + 1
    ends = [done + (options.steps - done) * n // (len(kills) + 1) for n in range(len(kills) + 2)]
    for turn, (begin, end) in enumerate(pairwise(ends)):
        sizes = options.mesh[turn % len(options.mesh)]
        word = kills[turn] if turn < len(kills) else "never"
        due = moment(word, draw, folder, range(begin, max(end, begin + 1)))
        print(f"{text_of(sizes)}:", flush=True)
        processes = start(options, sizes, folder)
        try:
            status = watch(processes, folder, due)
            if status is not None:
                return Outcome(status, turn, interrupted)
            draw.shuffle(processes)
            kill(processes, [draw.uniform(0, 0.05) for _ in processes])
        finally:
            kill(processes, [0.0] * len(processes))
        half = unfinished(folder)
        interrupted += bool(half)
        print(f"killed; last loss of step {logged(folder)}; saved {saved(folder)}, begun {half}", flush=True)
    raise AssertionError("the last one is not killed")


def logged(folder: Path) -> int | None:
    """Return the step of the last loss."""
    return next((max(life.losses) for life in reversed(lives(folder)) if life.losses), None)


def saved(folder: Path) -> list[int]:
    """Return the steps whose checkpoints are complete."""
    return sorted(int(path.name) for path in folder.glob("checkpoints/*") if path.name.isdigit())


def unfinished(folder: Path) -> list[int]:
    """Return the steps whose checkpoints were begun: they get their names when they are complete."""
    begun = folder.glob("checkpoints/*.orbax-checkpoint-tmp*")
    return sorted(int(path.name.partition(".")[0]) for path in begun)


def moment(word: str, draw: random.Random, folder: Path, part: range) -> Callable[[Processes], bool]:
    """Return what says when to kill: while it starts, at some step of a part, or in a save after that."""
    path = mended(folder)
    before = path.stat().st_size
    at, until = draw.choice(part), time.monotonic() + draw.uniform(0, 6)

    def reached(step: int) -> bool:
        with open(path, "rb") as file:
            file.seek(before)
            lines = file.read().split(b"\n")[1:-1]
        return bool(lines) and int(lines[-1].split()[0]) >= step

    def saves(processes: Processes) -> bool:
        if not (reached(at) and unfinished(folder)):
            return False
        time.sleep(draw.uniform(0, 0.1))
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        if unfinished(folder):
            return True
        for process in processes:  # it was too fast
            process.send_signal(signal.SIGCONT)
        return False

    return {
        "start": lambda _: time.monotonic() > until or reached(0),
        "any": lambda _: reached(at),
        "save": saves,
        "never": lambda _: False,
    }[word]


# --- What is left at the end. ---


def compare(found: list[Life], through: dict[int, float]) -> float:
    """Return the largest difference of any logged loss from the undisturbed one, as a share of it."""
    return max(abs(loss / through[number] - 1) for life in found for number, loss in life.losses.items())


def draw(found: list[Life], through: dict[int, float]) -> Figure:
    """Draw the curve of each life, over that of a training that nobody killed, and what they differ by."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, *others = figure.subplots(1, 2 if through else 1, squeeze=False)[0]
    if through:
        left.plot(list(through), list(through.values()), color="0.8", lw=6, label="undisturbed")
    for life in found:
        (line,) = left.plot(list(life.losses), list(life.losses.values()), lw=1, label=life.title)
        if life is not found[-1] and life.losses:
            left.axvline(max(life.losses), color=line.get_color(), ls=":", lw=1)
        for right in others:
            apart = [abs(loss / through[number] - 1) for number, loss in life.losses.items()]
            right.plot(list(life.losses), apart, ".", ms=3, color=line.get_color())
    left.set(xlabel="step", ylabel="nats a character", title="loss")
    left.grid(alpha=0.3)
    left.legend()
    for right in others:
        right.set_ylim(bottom=0)
        right.set(xlabel="step", ylabel="share of the loss", title="difference from the undisturbed loss")
        right.grid(alpha=0.3)
    return figure


def mesh_of(text: str) -> dict[str, int]:
    """Return the sizes of a mesh, data first."""
    given = {name: int(size) for name, _, size in (part.partition("=") for part in text.split(","))}
    sizes = {"data": 1, "model": 1} | given
    if set(sizes) != {"data", "model"} or min(sizes.values()) < 1:
        raise ValueError(text)
    return sizes


def text_of(sizes: dict[str, int]) -> str:
    """Return what `mesh_of` makes the sizes of."""
    return ",".join(f"{name}={size}" for name, size in sizes.items())


def kills_of(text: str) -> list[str]:
    """Return when to kill: at so many moments, every other one in the middle of a save; or as listed."""
    words = [MOMENTS[n % 2] for n in range(int(text))] if text.isdigit() else text.split(",")
    if not set(words) <= set(MOMENTS):
        raise ValueError(text)
    return words


def parse() -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(
        description="Train a GPT in several processes, which are killed again and again, and lose nothing."
    )
    add, size = parser.add_argument, char_gpt.Size(48, 2, HEADS, 32)
    add("--seed", type=int, default=0, metavar="N", help="of weights, batches, noise and kills (default 0)")
    add("--steps", type=int, default=120, help="(default 120)")
    add("--every", type=int, default=10, help="steps from one checkpoint to the next (default 10)")
    add("--batch", type=int, default=24, help="texts in a step, of all processes (default 24)")
    add("--rate", type=float, default=4e-3, help="largest learning rate (default 0.004)")
    add("--width", type=int, default=size.width, help=f"features (default {size.width})")
    add("--layers", type=int, default=size.layers, help=f"(default {size.layers})")
    add("--context", type=int, default=size.context, help=f"characters (default {size.context})")
    names = " ".join(MESHES)
    add("--mesh", type=mesh_of, nargs="+", metavar="data=N,model=N", help=f"in turn (default {names})")
    add("--processes", type=int, metavar="K", help=f"(default: {DEVICES} devices each)")
    about = f"how often, or when: a list of {', '.join(MOMENTS)} (default 0)"
    add("--kill", type=kills_of, default=[], metavar="N", help=about)
    add("--coordinator", metavar="HOST:PORT", help="be one process of a cluster, where the first one is")
    add("--process", type=int, metavar="N", help="which one, from 0")
    add("--watched", action="store_true", help=argparse.SUPPRESS)
    add("--folder", type=Path, default=Path("multihost"), help="of the checkpoints (default multihost)")
    add("--resume", action="store_true", help="go on from the newest checkpoint, if there is one")
    add("--out", type=Path, default=Path("multihost.png"), help="the picture (default multihost.png)")
    options = parser.parse_args()
    options.mesh = options.mesh or [mesh_of(text) for text in MESHES]
    if min(options.steps, options.every, options.batch, options.width, options.layers, options.context) < 1:
        parser.error("--steps, --every, --batch, --width, --layers and --context must be at least 1")
    if options.width % (2 * HEADS):
        parser.error(f"--width must be a multiple of {2 * HEADS}")
    alone = options.coordinator is None
    if not alone and (options.process is None or not options.processes or len(options.mesh) != 1):
        parser.error("with --coordinator there must be --process, --processes and one --mesh")
    if alone and options.processes and len(options.mesh) != 1:
        parser.error("with --processes there must be one --mesh")
    for sizes in options.mesh:
        devices = math.prod(sizes.values())
        if options.batch % sizes["data"]:
            parser.error(f"--batch must be a multiple of data={sizes['data']}")
        if devices % (count := options.processes or DEVICES):
            parser.error(f"the {devices} devices of a mesh must be a multiple of {count}")
    if alone and (not options.out.parent.is_dir() or options.out.is_dir()):
        parser.error(f"{options.out} must be a file in a folder that exists")
    if options.folder.exists() and not options.folder.is_dir():
        parser.error(f"{options.folder} must be a folder")
    # Of several processes the first may have begun already.
    if not (options.resume or options.process) and options.folder.exists() and any(options.folder.iterdir()):
        parser.error(f"{options.folder} must be empty, or --resume goes on with what is in it")
    return options


def main() -> int:
    """Be one process; or start them all, kill them as is asked for, and draw what came of it."""
    options = parse()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.coordinator is not None:
        return worker(options)
    jax.config.update("jax_platforms", "cpu")
    for sizes in options.mesh:  # whatever does not divide is told before anything is started
        mesh = AbstractMesh(tuple(sizes.values()), tuple(sizes))
        plan = specs_for(options, mesh)[0].plan(mesh, optimizer=char_gpt.optimizer_for(options.steps, 1.0))
        if plan.problems:
            raise SystemExit(str(plan))
    status, kills, interrupted = run(options, options.folder, options.kill)
    found: list[Life] = lives(options.folder)
    through: dict[int, float] = {}
    if not status and options.kill:
        print("and undisturbed:")
        other = options.folder / "undisturbed"
        other.mkdir(exist_ok=True)
        status = run(options, other, []).status
        through = {n: loss for life in lives(other) for n, loss in life.losses.items()}
    if status:
        done = max(saved(options.folder), default=-1) + 1
        print(f"interrupted after {done} steps; --resume goes on", file=sys.stderr)
        return status
    char_gpt.save(draw(found, through), options.out)
    if through:
        print(f"{kills} times killed, {interrupted} in the middle of a save;", end=" ")
        print(f"the losses are those of the undisturbed training to {compare(found, through):.1e}")
    print(f"{options.steps} steps, picture in {options.out}, checkpoints in {options.folder / 'checkpoints'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
