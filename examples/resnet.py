"""Read handwritten digits with four residual networks at once, and say how far their answers are apart.

The network is a plain function with batch normalization; `js.ensemble` runs four of it side by side, with
weights and averages of their own. They agree on digits, and much less on what is none. About a minute on two
CPU cores and no download: the images come with scikit-learn. On several devices each has its share of a
batch. Ctrl-C leaves a checkpoint, from which --resume goes on.

    python examples/resnet.py --epochs 12 --out resnet.png
"""

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from matplotlib.figure import Figure
from rich.progress import Progress
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxscope as js

MEMBERS = 4

# --- The model: plain functions that name their weights where they use them. ---


def conv(x: jax.Array, channels: int, name: str, *, strides: int = 1, training: bool) -> jax.Array:
    """Map (batch, height, width, any) to (batch, height / strides, width / strides, channels), normalized."""
    with js.variable_scope(name):
        x = js.layers.conv2d(x, channels, 3, strides, "same", use_bias=False, name="conv")
        return js.layers.batch_normalization(x, momentum=0.9, training=training, name="norm")


def block(x: jax.Array, channels: int, name: str, *, strides: int = 1, training: bool) -> jax.Array:
    """Add to an image what two convolutions make of it.

    He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2016).
    """
    with js.variable_scope(name):
        y = jax.nn.relu(conv(x, channels, "first", strides=strides, training=training))
        y = conv(y, channels, "second", training=training)
        if x.shape != y.shape:
            x = js.layers.conv2d(x, channels, 1, strides, "same", use_bias=False, name="across")
        return jax.nn.relu(x + y)


def resnet(images: jax.Array, training: bool) -> jax.Array:
    """Map (batch, 8, 8, 1) images to (batch, 10) logits."""
    x = jax.nn.relu(conv(images, 16, "stem", training=training))
    for stage, channels in enumerate((16, 32, 64)):
        x = block(x, channels, f"block_{stage}", strides=1 + (stage > 0), training=training)
    return js.layers.dense(jnp.mean(x, [1, 2]), 10, name="digits")


@js.transform
def logits(images: jax.Array, training: bool = False) -> jax.Array:
    """Map (batch, 8, 8, 1) images to (MEMBERS, batch, 10) logits, by members that do not know each other."""
    return js.ensemble(partial(resnet, training=training), MEMBERS)(images)


# --- Training: plain JAX and optax. ---


class State(NamedTuple):
    """All that a step changes."""

    variables: js.Variables
    optimizer: optax.OptState


class Digits(NamedTuple):
    """Images (n, 8, 8, 1) of float32 from 0 to 1, and the digits (n,) that they show."""

    images: np.ndarray
    digits: np.ndarray


def load() -> tuple[Digits, Digits]:
    """Return scikit-learn's 1,797 digits: those to learn from, and a fifth of each class to test with."""
    pixels, digits = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 8, 8, 1).astype(np.float32) / 16
    split = train_test_split(images, digits.astype(np.int32), test_size=0.2, stratify=digits, random_state=0)
    known, held, known_digits, held_digits = map(np.asarray, split)
    return Digits(known, known_digits), Digits(held, held_digits)


@jax.jit
def answers(variables: js.Variables, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the members' mean probabilities (n, 10), and their largest standard deviation (n,)."""
    each = jax.nn.softmax(logits.apply(variables, images))
    return each.mean(0), each.std(0).max(-1)


def train(
    state: State,
    data: tuple[Digits, Digits],
    options: argparse.Namespace,
    optimizer: optax.GradientTransformation,
    first: int,
) -> tuple[State, dict[str, list[float]], int]:
    """Train from epoch `first` on; return the state, the curves, and how many are done: Ctrl-C ends it."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    known, held = data
    steps = len(known.digits) // options.batch

    @partial(jax.jit, donate_argnums=0)
    def step(state: State, images: jax.Array, digits: jax.Array) -> tuple[State, jax.Array]:
        def loss(weights: js.Variables) -> tuple[jax.Array, js.Variables]:
            found, averages = logits.apply_with_state(state.variables | weights, images, training=True)
            error = optax.losses.softmax_cross_entropy_with_integer_labels(found, digits[None])
            return jnp.sum(jnp.mean(error, 1)), averages

        weights = state.variables.trainable
        (value, averages), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
        updates, following = optimizer.update(gradient, state.optimizer, weights)
        return State(averages | jax.tree.map(jnp.add, weights, updates), following), value / MEMBERS

    curves: dict[str, list[float]] = {"training loss": [], "test accuracy": []}
    done = first
    with Progress() as progress:
        bar = progress.add_task("compiling", total=options.epochs * steps, completed=first * steps)
        try:
            for epoch in range(first, options.epochs):
                order = np.random.default_rng((options.seed, epoch)).permutation(len(known.digits))
                begin, losses = time.perf_counter(), []
                for at in np.split(order[: steps * options.batch], steps):
                    images, digits = jax.device_put((known.images[at], known.digits[at]), split)
                    state, value = step(state, images, digits)
                    losses.append(float(value))
                    progress.advance(bar)
                speed = steps * options.batch / (time.perf_counter() - begin)
                means, _ = answers(state.variables, jnp.asarray(held.images))
                curves["training loss"].append(float(np.mean(losses)))
                curves["test accuracy"].append(float(np.mean(means.argmax(-1) == held.digits)))
                done = epoch + 1
                progress.update(
                    bar,
                    description=f"loss {np.mean(losses):.3f}, accuracy {curves['test accuracy'][-1]:.1%}, "
                    f"{speed:.0f} images/s",
                )
        except KeyboardInterrupt:
            progress.update(bar, description="stopped")
    return state, curves, done


def draw(curves: dict[str, list[float]], first: int, variables: js.Variables, held: Digits) -> Figure:
    """Draw the curves, and what the members say of digits, of digits turned by 90 degrees, and of noise."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    grid = figure.add_gridspec(3, 12)
    for place, (title, curve) in enumerate(curves.items()):
        axes = figure.add_subplot(grid[:, 3 * place : 3 * place + 3], title=title, xlabel="epoch")
        axes.plot(range(first + 1, first + 1 + len(curve)), curve)
        axes.grid(alpha=0.3)
    some = held.images[:6]
    noise = np.random.default_rng(0).uniform(size=some.shape).astype(np.float32)
    for row, images in enumerate((some, np.rot90(some, axes=(1, 2)), noise)):
        means, spread = answers(variables, jnp.asarray(images))
        for column, image in enumerate(images):
            axes = figure.add_subplot(grid[row, 6 + column])
            axes.imshow(image[..., 0], cmap="gray_r")
            digit = int(means[column].argmax())
            axes.set_title(f"{digit}: {means[column, digit]:.2f}\n± {spread[column]:.2f}", fontsize=8)
            axes.set_axis_off()
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
    parser = argparse.ArgumentParser(description="Read handwritten digits with four residual networks.")
    add = parser.add_argument
    add("--seed", type=int, default=0, metavar="N", help="of weights and order (default 0)")
    add("--epochs", type=int, default=12, help="passes over the training images (default 12)")
    add("--batch", type=int, default=64, help="images in a step, split over all devices (default 64)")
    add("--out", type=Path, default=Path("resnet.png"), help="the picture (default resnet.png)")
    add("--checkpoint", type=Path, default=Path("resnet.safetensors"), help="(default resnet.safetensors)")
    add("--resume", action="store_true", help="go on from the checkpoint")
    options = parser.parse_args()
    if options.epochs < 1 or not 1 <= options.batch <= 1024 or options.batch % jax.device_count():
        parser.error(f"--epochs must be at least 1, --batch 1 to 1024 and a multiple of {jax.device_count()}")
    if not options.out.parent.is_dir() or not options.checkpoint.parent.is_dir():
        parser.error("--out and --checkpoint must be files in folders that exist")
    if options.resume and not options.checkpoint.exists():
        parser.error(f"there is no {options.checkpoint} to resume from")
    return options


def main() -> int:
    """Train, save, and draw what the members say."""
    options = parse()
    known, held = data = load()
    specs = logits.spec(jnp.asarray(known.images[:1]))
    print(f"{MEMBERS} members of {specs.num_params // MEMBERS:,} weights and averages each")
    optimizer = optax.adamw(
        optax.cosine_decay_schedule(4e-3, options.epochs * (len(known.digits) // options.batch)),
        weight_decay=1e-3,
    )
    variables = specs.init(jax.random.key(options.seed)).stack("member_{}")
    state, first = State(variables, optimizer.init(variables.trainable)), 0
    if options.resume:
        like = jax.eval_shape(lambda: state.optimizer)
        loaded = js.checkpoint.load(options.checkpoint, specs.stack("member_{}"), opt_state=like)
        state, first = State(loaded.variables, loaded.opt_state), int(loaded.step or 0)
    # Copies, since a step gives its input's memory to its output.
    state, curves, done = train(jax.tree.map(jnp.copy, state), data, options, optimizer, first)
    js.checkpoint.save(options.checkpoint, state.variables, opt_state=state.optimizer, step=done)
    means, _ = answers(state.variables, jnp.asarray(held.images))
    right = int(np.sum(np.asarray(means.argmax(-1)) == held.digits))
    save(draw(curves, first, state.variables, held), options.out)
    print(
        f"{right} of {len(held.digits)} test digits read right; {done} of {options.epochs} epochs,", end=" "
    )
    print(f"picture in {options.out}, checkpoint {options.checkpoint}")
    return 0 if done == options.epochs else 130


if __name__ == "__main__":
    sys.exit(main())
