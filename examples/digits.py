"""Read handwritten digits from two bent views of each image, with one encoder shared by reuse.

Both views must be read right, and the encoder must give them nearly the same features. It takes about a
minute on two CPU cores and needs no download: the images come with scikit-learn.

    python examples/digits.py --epochs 30 --out digits.png
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.ndimage import map_coordinates
from matplotlib.figure import Figure
from rich.progress import Progress
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxscope as js

BATCH = 64  # images in a step
AGREEMENT = 0.5  # weight of the views' agreement, beside the mean of their two cross entropies

# --- The model: plain functions that name their weights where they use them. ---


def dense(x: jax.Array, units: int, name: str) -> jax.Array:
    """Map (batch, features) to (batch, units)."""
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [x.shape[-1], units])
        bias = js.get_variable("bias", [units], initializer=js.initializers.zeros)
    return x @ kernel + bias


def conv(x: jax.Array, channels: int, name: str, *, stride: int = 1) -> jax.Array:
    """Map (batch, height, width, any) to (batch, height / stride, width / stride, channels), 3 by 3."""
    with js.variable_scope(name):
        kernel = js.get_variable("kernel", [3, 3, x.shape[-1], channels])
        bias = js.get_variable("bias", [channels], initializer=js.initializers.zeros)
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=layout) + bias


def encode(images: jax.Array) -> jax.Array:
    """Map (batch, 8, 8) images to (batch, 64) features, with the same weights at every call."""
    with js.variable_scope("encoder", reuse=js.AUTO_REUSE):
        x = jax.nn.relu(conv(images[..., None], 24, "conv_1"))
        x = jax.nn.relu(conv(x, 32, "conv_2", stride=2))
        x = jax.nn.relu(conv(x, 48, "conv_3", stride=2))
        return jax.nn.relu(dense(x.reshape(len(x), -1), 64, "features"))


def classify(features: jax.Array) -> jax.Array:
    """Map (batch, 64) features to (batch, 10) logits, with the same weights at every call."""
    with js.variable_scope("classifier", reuse=js.AUTO_REUSE):
        return dense(features, 10, "digits")


@js.transform
def read(images: jax.Array) -> jax.Array:
    """Map (batch, 8, 8) images to (batch, 10) logits."""
    return classify(encode(images))


@js.transform
def loss(images: jax.Array, digits: jax.Array, key: jax.Array) -> jax.Array:
    """Return how badly two random views of (batch, 8, 8) images are read, plus how much they disagree."""
    one, two = (encode(bend(images, view)) for view in jax.random.split(key))
    error = optax.losses.softmax_cross_entropy_with_integer_labels
    misread = (error(classify(one), digits) + error(classify(two), digits)) / 2
    return jnp.mean(misread + AGREEMENT * optax.losses.cosine_distance(one, two, epsilon=1e-6))


# --- Training: plain JAX and optax. ---


def bend(images: jax.Array, key: jax.Array) -> jax.Array:
    """Turn (sd 0.15 rad), stretch (sd 8%) and shift (sd 0.5 pixels) each of (batch, 8, 8) images."""

    def bend_one(image: jax.Array, key: jax.Array) -> jax.Array:
        turn, stretch, down, right = jax.random.normal(key, [4]) * jnp.array([0.15, 0.08, 0.5, 0.5])
        y, x = jnp.mgrid[-3.5:4, -3.5:4] * (1 + stretch)
        source = [
            y * jnp.cos(turn) - x * jnp.sin(turn) + down + 3.5,
            y * jnp.sin(turn) + x * jnp.cos(turn) + right + 3.5,
        ]
        bent: jax.Array = map_coordinates(image, source, order=1)
        return bent

    return jax.vmap(bend_one)(images, jax.random.split(key, len(images)))


class Digits(NamedTuple):
    """Images (n, 8, 8) of float32 from 0 to 1, and the digits (n,) that they show."""

    images: np.ndarray
    digits: np.ndarray


def load() -> tuple[Digits, Digits]:
    """Return scikit-learn's 1,797 digits: those to learn from, and a fifth of each class to test with."""
    pixels, digits = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 8, 8).astype(np.float32) / 16
    split = train_test_split(images, digits, test_size=0.2, stratify=digits, random_state=0)
    known, held, known_digits, held_digits = map(np.asarray, split)
    return Digits(known, known_digits), Digits(held, held_digits)


@jax.jit
def answers(variables: js.Variables, images: jax.Array) -> jax.Array:
    """Return the digits (n,) that are read in (n, 8, 8) images."""
    return read.apply(variables, images).argmax(-1)


def train(
    variables: js.Variables, known: Digits, held: Digits, *, epochs: int, key: jax.Array
) -> tuple[js.Variables, dict[str, list[float]]]:
    """Fit `variables` with Adam on a cosine schedule; return them, and curves of one number an epoch."""
    steps = len(known.digits) // BATCH
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, epochs * steps))
    state = optimizer.init(variables)

    @jax.jit
    def step(
        variables: js.Variables, state: optax.OptState, batch: Digits, key: jax.Array
    ) -> tuple[js.Variables, optax.OptState, jax.Array]:
        value, gradient = jax.value_and_grad(loss.apply)(variables, *batch, key)
        updates, state = optimizer.update(gradient, state)
        return jax.tree.map(jnp.add, variables, updates), state, value

    curves: dict[str, list[float]] = {"training loss": [], "test accuracy": []}
    with Progress() as progress:
        bar = progress.add_task("compiling", total=epochs * steps)
        for epoch in range(epochs):
            order_key, *keys = jax.random.split(jax.random.fold_in(key, epoch), 1 + steps)
            order = np.asarray(jax.random.permutation(order_key, len(known.digits)))
            losses: list[jax.Array] = []
            for batch, step_key in zip(np.split(order[: steps * BATCH], steps), keys, strict=True):
                pick = Digits(known.images[batch], known.digits[batch])
                variables, state, value = step(variables, state, pick, step_key)
                losses.append(value)
                progress.advance(bar)
            accuracy = np.mean(np.asarray(answers(variables, held.images)) == held.digits)
            curves["training loss"].append(float(np.mean(losses)))
            curves["test accuracy"].append(float(accuracy))
            progress.update(bar, description=f"accuracy {accuracy:.1%}")
    return variables, curves


# --- The picture. ---


def draw(curves: dict[str, list[float]], held: Digits, read_as: np.ndarray) -> Figure:
    """Draw the curves, and up to eight test images that were misread."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    grid = figure.add_gridspec(4, 8)
    for column, (title, curve) in enumerate(curves.items()):
        axes = figure.add_subplot(grid[:, 3 * column : 3 * column + 3], title=title, xlabel="epoch")
        axes.plot(range(1, len(curve) + 1), curve)
        axes.grid(alpha=0.3)
    for place, i in enumerate(np.flatnonzero(read_as != held.digits)[:8]):
        axes = figure.add_subplot(grid[place // 2, 6 + place % 2])
        axes.imshow(held.images[i], cmap="gray_r")
        axes.set_title(f"{held.digits[i]} read as {read_as[i]}", fontsize=9)
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


def main() -> None:
    """Train, say how well the held-out fifth is read, and draw it."""
    parser = argparse.ArgumentParser(description="Read handwritten digits with one encoder for two views.")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and views (default 0)")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the training images (default 30)")
    parser.add_argument(
        "--out", type=Path, default=Path("digits.png"), help="the picture (default digits.png)"
    )
    options = parser.parse_args()
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be at least 0, and less than 2 ** 32")
    if options.epochs < 1 or not options.out.parent.is_dir() or options.out.is_dir():
        parser.error("--epochs must be at least 1, and --out a file in a folder that exists")

    start = time.perf_counter()
    known, held = load()
    init_key, train_key = jax.random.split(jax.random.key(options.seed))
    sample = (jnp.asarray(known.images[:BATCH]), jnp.asarray(known.digits[:BATCH]), train_key)
    print(loss.spec(*sample).tabulate())
    variables, curves = train(loss.init(init_key, *sample), known, held, epochs=options.epochs, key=train_key)
    read_as = np.asarray(answers(variables, held.images))
    right = int(np.sum(read_as == held.digits))
    save(draw(curves, held, read_as), options.out)
    print(f"{right} of {len(read_as)} test digits read right ({right / len(read_as):.2%}),", end=" ")
    print(f"{time.perf_counter() - start:.0f} s, picture in {options.out}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted; no picture was written", file=sys.stderr)
        sys.exit(130)
