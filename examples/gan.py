"""Learn to draw handwritten digits: a generator and a discriminator, two functions over one tree of weights.

The discriminator reads real and drawn digits with the same weights, by reuse; a getter keeps the largest
singular value of each layer at 1; each player has an optimizer of its own. About a minute on two CPU cores
and no download: the images come with scikit-learn. On several devices each has its share of a batch. Ctrl-C
leaves a checkpoint, from which --resume goes on.

    python examples/gan.py --steps 1500 --out gan.png
"""

import argparse
import math
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from matplotlib.figure import Figure
from rich.progress import Progress
from sklearn.datasets import load_digits

import jaxscope as js

NOISE = 32  # numbers that a drawing is made of
PLAYERS = ("generator", "discriminator")

# --- The players: plain functions that name their weights where they use them. ---


def generate(noise: jax.Array, digits: jax.Array) -> jax.Array:
    """Map (batch, NOISE) numbers and (batch,) digits to (batch, 8, 8, 1) images from -1 to 1."""
    with js.variable_scope("generator", reuse=js.AUTO_REUSE):
        x = jnp.concatenate([noise, jax.nn.one_hot(digits, 10)], -1)
        x = js.layers.dense(x, 4 * 64, jax.nn.relu, name="seed").reshape(-1, 2, 2, 64)
        x = js.layers.conv2d_transpose(x, 48, 4, 2, "same", activation=jax.nn.relu, name="grow_1")
        x = js.layers.conv2d_transpose(x, 32, 4, 2, "same", activation=jax.nn.relu, name="grow_2")
        return js.layers.conv2d(x, 1, 3, padding="same", activation=jnp.tanh, name="image")


def judge(images: jax.Array, digits: jax.Array, *, training: bool) -> jax.Array:
    """Map (batch, 8, 8, 1) images and the digits (batch,) that they should show to (batch,) logits of truth.

    Miyato and Koyama, "cGANs with projection discriminator" (2018).
    """
    normed = js.getters.spectral_norm(r".*/kernel", training=training)
    with js.variable_scope("discriminator", reuse=js.AUTO_REUSE, custom_getter=normed):
        x = js.layers.conv2d(images, 32, 3, padding="same", activation=jax.nn.leaky_relu, name="conv_1")
        x = js.layers.conv2d(x, 48, 4, 2, "same", activation=jax.nn.leaky_relu, name="conv_2")
        x = js.layers.conv2d(x, 64, 4, 2, "same", activation=jax.nn.leaky_relu, name="conv_3")
        x = js.layers.flatten(x)
        looks_like = js.layers.embedding(digits, 10, x.shape[-1], name="digits")
        shown = jnp.sum(x * looks_like, -1) / math.sqrt(x.shape[-1])
        return js.layers.dense(x, 1, name="truth")[:, 0] + shown


class Batch(NamedTuple):
    """Real images (batch, 8, 8, 1), their digits (batch,), and the numbers (batch, NOISE) to draw as many."""

    images: Any
    digits: Any
    noise: Any


@js.transform
def losses(batch: Batch, training: bool = True) -> dict[str, jax.Array]:
    """Return each player's loss on a batch: the hinge of Lim and Ye, "Geometric GAN" (2017)."""
    real = judge(batch.images, batch.digits, training=training)
    drawn = judge(generate(batch.noise, batch.digits), batch.digits, training=training)
    return {
        "generator": -jnp.mean(drawn),
        "discriminator": jnp.mean(jax.nn.relu(1 - real)) + jnp.mean(jax.nn.relu(1 + drawn)),
    }


@js.transform
def drawing(noise: jax.Array, digits: jax.Array) -> jax.Array:
    """Return (batch, 8, 8, 1) drawings."""
    return generate(noise, digits)


# --- Training: plain JAX and optax. ---


class State(NamedTuple):
    """All that a step changes; `average` is of the generator's weights."""

    variables: js.Variables
    average: js.Variables
    optimizers: dict[str, optax.OptState]


def optimizers() -> dict[str, optax.GradientTransformation]:
    """Return an optimizer for each player: the discriminator learns faster."""
    return {name: optax.adam(rate, b1=0.5) for name, rate in zip(PLAYERS, (1e-3, 2e-3), strict=True)}


def start(key: jax.Array, batch: Batch) -> State:
    """Return the state before the first step."""
    variables = losses.init(key, batch)
    own = {name: variables.trainable.select(f"{name}/") for name in PLAYERS}
    return State(variables, own["generator"], {n: tx.init(own[n]) for n, tx in optimizers().items()})


@partial(jax.jit, donate_argnums=0)
def step(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
    """Let the players take one step each, on the same batch."""
    variables, values, following = state.variables, {}, {}
    for name, optimizer in optimizers().items():
        mine = variables.trainable.select(f"{name}/")

        def loss(
            mine: js.Variables, all_others: js.Variables = variables, name: str = name
        ) -> tuple[jax.Array, js.Variables]:
            found, state = losses.apply_with_state(all_others | mine, batch)
            return found[name], state

        (values[name], norms), gradient = jax.value_and_grad(loss, has_aux=True)(mine)
        updates, following[name] = optimizer.update(gradient, state.optimizers[name])
        variables |= norms | jax.tree.map(jnp.add, mine, updates)
    average: Any = optax.incremental_update(variables.select("generator/"), state.average, 0.01)
    return State(variables, average, following), values


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's 1,797 digits: images (n, 8, 8, 1) from -1 to 1, and what they show."""
    pixels, digits = load_digits(return_X_y=True)
    return pixels.reshape(-1, 8, 8, 1).astype(np.float32) / 8 - 1, digits.astype(np.int32)


def batch_of(images: np.ndarray, digits: np.ndarray, batch: int, seed: tuple[int, ...]) -> Batch:
    """Return a batch that the seed decides."""
    rng = np.random.default_rng(seed)
    at = rng.integers(len(images), size=batch)
    return Batch(images[at], digits[at], rng.standard_normal((batch, NOISE), np.float32))


def train(
    state: State, data: tuple[np.ndarray, np.ndarray], options: argparse.Namespace, first: int
) -> tuple[State, dict[str, list[float]], int]:
    """Train from step `first` on; return the state, the curves, and the steps done: Ctrl-C ends it."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    curves: dict[str, list[float]] = {name: [] for name in PLAYERS}
    number = first
    with Progress() as progress:
        bar = progress.add_task("compiling", total=options.steps, completed=first)
        begin = time.perf_counter()
        try:
            for number in range(first, options.steps):
                batch = batch_of(*data, options.batch, (options.seed, number))
                state, values = step(state, jax.device_put(batch, split))
                for name in PLAYERS:
                    curves[name].append(float(values[name]))
                if number == first:
                    begin = time.perf_counter()  # the first step compiles
                speed = (number - first) * options.batch / max(time.perf_counter() - begin, 1e-9)
                shown = ", ".join(f"{name} {curve[-1]:.2f}" for name, curve in curves.items())
                progress.update(bar, advance=1, description=f"{shown}, {speed:.0f} images/s")
            number = options.steps
        except KeyboardInterrupt:
            progress.update(bar, description="stopped")
    return state, curves, number


def draw(curves: dict[str, list[float]], first: int, images: np.ndarray) -> Figure:
    """Draw the curves beside ten drawings of each digit."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, curve in curves.items():
        left.plot(range(first + 1, first + 1 + len(curve)), curve, lw=0.5, label=name)
    left.set(xlabel="step", title="loss")
    left.grid(alpha=0.3)
    left.legend()
    framed = np.pad(
        images[..., 0].reshape(10, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-1
    )
    right.imshow(framed.transpose(0, 2, 1, 3).reshape(100, 100), cmap="gray_r")
    right.set(title="drawn: a digit in each row")
    right.set_axis_off()
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG file whole or not at all, even when interrupted."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format="png", dpi=120)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def parse() -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(description="Learn to draw handwritten digits.")
    add = parser.add_argument
    add("--seed", type=int, default=0, metavar="N", help="of weights, batches and noise (default 0)")
    add("--steps", type=int, default=1500, help="(default 1500)")
    add("--batch", type=int, default=64, help="images in a step, split over all devices (default 64)")
    add("--out", type=Path, default=Path("gan.png"), help="the picture (default gan.png)")
    add("--checkpoint", type=Path, default=Path("gan.safetensors"), help="(default gan.safetensors)")
    add("--resume", action="store_true", help="go on from the checkpoint")
    options = parser.parse_args()
    if options.steps < 1 or options.batch < 1 or options.batch % jax.device_count():
        parser.error(f"--steps must be at least 1, and --batch a multiple of {jax.device_count()} devices")
    if not options.out.parent.is_dir() or not options.checkpoint.parent.is_dir():
        parser.error("--out and --checkpoint must be files in folders that exist")
    if options.resume and not options.checkpoint.exists():
        parser.error(f"there is no {options.checkpoint} to resume from")
    return options


def main() -> int:
    """Train, save, and draw ten of each digit."""
    options = parse()
    data, key = load(), jax.random.key(options.seed)
    sample = batch_of(*data, options.batch, (options.seed,))
    print(losses.spec(sample).tabulate())
    state, first = start(key, sample), 0
    if options.resume:
        like = jax.eval_shape(lambda: (state.average, state.optimizers))
        loaded = js.checkpoint.load(options.checkpoint, losses.spec(sample), opt_state=like)
        state, first = State(loaded.variables, *loaded.opt_state), int(loaded.step or 0)
    # Copies, since a step gives its input's memory to its output.
    state, curves, done = train(jax.tree.map(jnp.copy, state), data, options, first)
    js.checkpoint.save(
        options.checkpoint, state.variables, opt_state=(state.average, state.optimizers), step=done
    )
    digits = jnp.repeat(jnp.arange(10), 10)
    images = drawing.apply(state.average, jax.random.normal(key, [100, NOISE]), digits)
    save(draw(curves, first, np.asarray(images)), options.out)
    print(f"{done} of {options.steps} steps, picture in {options.out}, checkpoint {options.checkpoint}")
    return 0 if done == options.steps else 130


if __name__ == "__main__":
    sys.exit(main())
