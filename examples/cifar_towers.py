"""TF1's tutorial for several GPUs, CIFAR-10 in towers, as it is today; and the same on a mesh.

`--way towers` keeps the tutorial's loop: a tower for each part of the batch in its name scope, the variables
of the first shared by `reuse_variables()`, losses found by collection and scope. `--way mesh` calls the model
once, with the batch spread over devices. Both have the same variables, the same loss and the same gradient,
which is shown before training begins. Weight decay and moving averages are the tutorial's.

The images are made here: coloured shapes of ten kinds, of CIFAR's size. With --data they are the real ones,
from the files of CIFAR-10's binary version (data_batch_1.bin, ..., test_batch.bin). Ctrl-C leaves a
checkpoint, from which --resume goes on.

    python examples/cifar_towers.py --way mesh --devices 2 --steps 400
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
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

import jaxscope as js
from jaxscope.layers import contrib

SIZE = 24  # of the crops that the network sees, in pixels
WEIGHT_DECAY = 0.004
AVERAGE_DECAY = 0.9999
SHADOW = "/ExponentialMovingAverage"

# --- The model, from cifar10.py: names, losses in a collection, moving averages. ---


def normal(stddev: float) -> js.initializers.truncated_normal:
    """Return the initializer of all weights."""
    return js.initializers.truncated_normal(stddev=stddev)


def local_response_normalization(x: jax.Array) -> jax.Array:
    """Divide each channel of (..., channels) by what it and four on each side have, as `tf.nn.lrn` does."""
    channel = jnp.arange(x.shape[-1])
    near = (jnp.abs(channel[:, None] - channel) <= 4).astype(x.dtype)
    return x * (1 + 0.001 / 9 * (x**2 @ near)) ** -0.75


def inference(images: jax.Array) -> jax.Array:
    """Map (batch, SIZE, SIZE, 3) images to (batch, 10) logits."""
    images = contrib.conv2d(images, 64, 5, weights_initializer=normal(0.05), scope="conv1")
    images = js.layers.max_pooling2d(images, 3, 2, "same", name="pool1")
    images = local_response_normalization(images)
    images = contrib.conv2d(
        images,
        64,
        5,
        weights_initializer=normal(0.05),
        biases_initializer=js.initializers.constant(0.1),
        scope="conv2",
    )
    images = local_response_normalization(images)
    images = js.layers.max_pooling2d(images, 3, 2, "same", name="pool2")
    x = images.reshape(len(images), -1)
    for name, units in {"local3": 384, "local4": 192}.items():
        x = contrib.fully_connected(
            x,
            units,
            weights_initializer=normal(0.04),
            biases_initializer=js.initializers.constant(0.1),
            scope=name,
        )
        # Once for each tower, whether or not it shares the weights: so it was in TF1.
        weights = js.trainable_variables()[f"{name}/weights"]
        js.add_to_collection("losses", WEIGHT_DECAY * jnp.sum(weights**2) / 2)
    return contrib.fully_connected(
        x, 10, activation_fn=None, weights_initializer=normal(1 / 192), scope="softmax_linear"
    )


def tower_loss(images: jax.Array, labels: jax.Array, scope: str | None = None) -> jax.Array:
    """Return the loss of a part of the batch: all that was added to the losses in its name scope."""
    errors = optax.losses.softmax_cross_entropy_with_integer_labels(inference(images), labels)
    js.add_to_collection("losses", jnp.mean(errors))
    return jnp.sum(jnp.stack(js.get_collection("losses", scope)))


def maintain_averages() -> None:
    """Move the shadow of each trained variable, and count the step.

    It is `tf.train.ExponentialMovingAverage`, before the update. (TF1's tutorial leaves the order open.)
    """
    with js.variable_scope("", reuse=js.AUTO_REUSE):
        step = js.get_variable("global_step", [], "int32", js.initializers.zeros, trainable=False)
        decay = jnp.minimum(AVERAGE_DECAY, (1 + step) / (10 + step))
        for name, value in js.trainable_variables().items():
            shadow = js.get_variable(
                name + SHADOW, value.shape, value.dtype, js.initializers.zeros, trainable=False
            )
            js.set_variable(full_name=name + SHADOW, value=decay * shadow + (1 - decay) * value)
        js.set_variable("global_step", step + 1)


# --- Both ways, from cifar10_multi_gpu_train.py. ---


@js.transform
def in_towers(images: jax.Array, labels: jax.Array, towers: int) -> jax.Array:
    """Return the mean loss of towers, each with its part of (batch, ...) images and (batch,) labels."""
    losses: list[jax.Array] = []
    with js.variable_scope(js.get_variable_scope()):
        for i, part in enumerate(zip(jnp.split(images, towers), jnp.split(labels, towers), strict=True)):
            with js.name_scope(f"tower_{i}") as scope:
                losses.append(tower_loss(*part, scope))
                js.get_variable_scope().reuse_variables()
    loss = sum(losses, jnp.float32(0)) / towers
    maintain_averages()
    return loss


@js.transform
def on_a_mesh(images: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the loss of (batch, ...) images and (batch,) labels, wherever the parts of the batch are."""
    loss = tower_loss(images, labels)
    maintain_averages()
    return loss


logits = js.transform(inference)


class Images(NamedTuple):
    """Images (n, 32, 32, 3) of uint8, and the labels (n,) of int32."""

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]


def distort(images: jax.Array, key: jax.Array) -> jax.Array:
    """Crop, flip, brighten and contrast (n, 32, 32, 3) images at random, and whiten them."""

    def one(image: jax.Array, key: jax.Array) -> jax.Array:
        place, flip, light, contrast = jax.random.split(key, 4)
        at = jax.random.randint(place, [2], 0, 32 - SIZE + 1)
        image = jax.lax.dynamic_slice(image, [*at, jnp.int32(0)], [SIZE, SIZE, 3])
        image = jnp.where(jax.random.bernoulli(flip), image[:, ::-1], image)
        image = image + jax.random.uniform(light, minval=-63.0, maxval=63.0)
        mean = image.mean((0, 1))
        return (image - mean) * jax.random.uniform(contrast, minval=0.2, maxval=1.8) + mean

    return whiten(jax.vmap(one)(images.astype(jnp.float32), jax.random.split(key, len(images))))


def whiten(images: jax.Array) -> jax.Array:
    """Give each image mean 0 and deviation 1, as `tf.image.per_image_standardization` does."""
    mean, deviation = images.mean((1, 2, 3), keepdims=True), images.std((1, 2, 3), keepdims=True)
    return (images - mean) / jnp.maximum(deviation, 1 / np.sqrt(images[0].size))


@jax.jit
def answers(variables: js.Variables, images: jax.Array) -> jax.Array:
    """Return the labels (n,) that the middle of each of (n, 32, 32, 3) images is given."""
    edge = (32 - SIZE) // 2
    middle = images[:, edge:-edge, edge:-edge].astype(jnp.float32)
    return logits.apply(variables, whiten(middle)).argmax(-1)


def averaged(variables: js.Variables) -> js.Variables:
    """Return the variables with moving averages in their places: what the tutorial evaluates with."""
    shadows = variables.select(f".*{SHADOW}$")
    return variables | {name.removesuffix(SHADOW): shadow for name, shadow in shadows.items()}


# --- Training. ---


class State(NamedTuple):
    """All that a step changes."""

    variables: js.Variables
    optimizer: optax.OptState
    key: jax.Array


def loss_of(way: str, towers: int) -> Any:
    """Return `(variables, images, labels) -> (loss, state)` of one way."""
    return (
        partial(in_towers.apply_with_state, towers=towers) if way == "towers" else on_a_mesh.apply_with_state
    )


def make_step(way: str, towers: int, optimizer: optax.GradientTransformation) -> Any:
    """Return the compiled step of one way."""
    loss = loss_of(way, towers)

    @jax.jit
    def step(state: State, images: jax.Array, labels: jax.Array) -> tuple[State, jax.Array]:
        key, distortion = jax.random.split(state.key)
        params, others = state.variables.trainable, state.variables.non_trainable
        inputs = distort(images, distortion)
        (value, others), gradients = jax.value_and_grad(
            lambda params: loss(params | others, inputs, labels), has_aux=True
        )(params)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        moved: Any = optax.apply_updates(params, updates)
        return State(moved | others, optimizer_state, key), value

    return step


def compare(
    variables: js.Variables, images: jax.Array, labels: jax.Array, options: argparse.Namespace
) -> None:
    """Show that both ways have the same variables, loss and gradient."""
    towers = options.devices
    specs = in_towers.spec(images, labels, towers)
    if specs != on_a_mesh.spec(images, labels):
        raise AssertionError("the two ways have other variables")
    found: dict[str, tuple[jax.Array, js.Variables]] = {}
    for way in ("towers", "mesh"):
        loss, (place_all, place_batch) = loss_of(way, towers), placement(way, towers)
        params, others = place_all(variables.trainable), place_all(variables.non_trainable)
        batch = place_batch((images, labels))

        def ask(params: js.Variables, others: js.Variables, batch: Any, loss: Any = loss) -> Any:
            return loss(params | others, *batch)[0]

        found[way] = jax.jit(jax.value_and_grad(ask))(params, others, batch)
    (one, gradient), (two, other) = found.values()
    names = list(gradient)
    apart = max(float(np.abs(np.asarray(gradient[name]) - np.asarray(other[name])).max()) for name in names)
    most = max(float(jnp.abs(gradient[name]).max()) for name in names)
    print(f"{len(specs)} variables both ways; loss {one:.6f} in {towers} towers and {two:.6f} on the mesh;")
    print(f"gradients of at most {most:.2g} are {apart:.1g} apart")


def train(
    state: State, curves: dict[str, list[float]], known: Images, held: Images, options: argparse.Namespace
) -> Iterator[State]:
    """Make the steps that are left, and yield the state after each."""
    step = make_step(options.way, options.devices, optimizer_of(options.steps))
    place_all, place_batch = placement(options.way, options.devices)
    state = place_all(state)
    done, told = int(state.variables["global_step"]), ""
    with Progress() as progress:
        bar = progress.add_task("compiling", total=options.steps, completed=done)
        for at in range(done, options.steps):
            before = time.perf_counter()
            state, value = step(state, *place_batch(pick(known, at, options)))
            curves["loss"].append(float(value))
            speed = options.batch / (time.perf_counter() - before)
            if (at + 1) % options.every == 0 or at + 1 == options.steps:
                for name, variables in {
                    "plain": state.variables,
                    "averaged": averaged(state.variables),
                }.items():
                    curves[name].append(accuracy(variables, held))
                told = f", accuracy {curves['averaged'][-1]:.1%}"
            text = f"loss {curves['loss'][-1]:.3f}{told}, {speed:,.0f} images/s"
            progress.update(bar, advance=1, description=text)
            yield state


def optimizer_of(steps: int) -> optax.GradientTransformation:
    """Return gradient descent with the tutorial's rate, which falls to a tenth after 80% of the steps."""
    fall = max(1, int(0.8 * steps))
    return optax.sgd(optax.exponential_decay(0.1, fall, 0.1, staircase=True))


def pick(known: Images, step: int, options: argparse.Namespace) -> Images:
    """Return the batch of a step: a part of the images, in an order that depends on the epoch."""
    batches = len(known.labels) // options.batch
    epoch, part = divmod(step, batches)
    order = np.random.default_rng([options.seed, epoch]).permutation(len(known.labels))
    chosen = order[part * options.batch : (part + 1) * options.batch]
    return Images(known.images[chosen], known.labels[chosen])


def placement(way: str, devices: int) -> tuple[Any, Any]:
    """Return what puts variables, and what puts a batch, where they are worked on: a device, or a mesh."""
    if way == "towers":
        return jax.device_put, jax.device_put
    chosen = jax.devices()[:devices]
    mesh = jax.make_mesh((len(chosen),), ("data",), devices=chosen, axis_types=(AxisType.Auto,))
    everywhere, shares = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ([], ["data"]))
    return partial(jax.device_put, device=everywhere), partial(jax.device_put, device=shares)


def accuracy(variables: js.Variables, held: Images) -> float:
    """Return the share of held-out images that are given their labels."""
    parts = range(0, len(held.labels), 250)
    right = [answers(variables, held.images[at : at + 250]) == held.labels[at : at + 250] for at in parts]
    return float(np.mean(np.concatenate(right)))


# --- Images: made here, or real. ---

MADE = ["disc", "ring", "square", "frame", "triangle", "cross", "bar", "stripes", "checkers", "star"]
REAL = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def make(count: int, seed: int) -> Images:
    """Return coloured shapes of ten kinds on coloured grounds, noisy, anywhere and of any size."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count).astype(np.int32)
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    centre, radius = random.uniform(11, 20, [2, count, 1, 1]), random.uniform(6, 11, [count, 1, 1])
    turn = random.uniform(-0.4, 0.4, [count, 1, 1])
    x, y = (x - centre[0]) / radius, (y - centre[1]) / radius
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    far, box = np.hypot(u, v), np.maximum(abs(u), abs(v))
    inside = np.stack(
        [
            far < 1,
            (far < 1) & (far > 0.55),
            box < 0.9,
            (box < 0.95) & (box > 0.5),
            (v < 0.8) & (1.8 * abs(u) < v + 1),
            (np.minimum(abs(u), abs(v)) < 0.3) & (box < 1),
            (abs(u) < 0.35) & (abs(v) < 1.1),
            (far < 1.1) & (np.floor(2.5 * v) % 2 == 0),
            (box < 1.1) & ((np.floor(2 * u) + np.floor(2 * v)) % 2 == 0),
            far < 0.65 + 0.4 * np.cos(5 * np.arctan2(v, u)),
        ]
    )[labels, np.arange(count)]
    ground = random.uniform(0, 255, [count, 1, 1, 3])
    colour = (ground + random.uniform(80, 175, [count, 1, 1, 3])) % 255
    images = np.where(inside[..., None], colour, ground) + random.normal(0, 20, [count, 32, 32, 3])
    return Images(images.clip(0, 255).astype(np.uint8), labels)


def read(files: list[Path]) -> Images:
    """Return the images of files of CIFAR-10's binary version: a label, then red, green and blue."""
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files])
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Images(np.ascontiguousarray(images), records[:, 0].astype(np.int32))


def load_images(folder: Path | None) -> tuple[Images, Images, list[str]]:
    """Return images to learn from, images to test with, and the names of the labels."""
    if folder is None:
        return make(10_000, seed=1), make(1_000, seed=2), MADE
    return read(sorted(folder.glob("data_batch_*.bin"))), read([folder / "test_batch.bin"]), REAL


# --- Files: the checkpoint, and the picture. ---


def save(path: Path, state: State, curves: dict[str, list[float]]) -> None:
    """Write all that training needs to go on; a crash leaves the old file or the new one."""
    told = {f"curve/{name}": np.asarray(curve, np.float32) for name, curve in curves.items()}
    step = int(state.variables["global_step"])
    js.checkpoint.save(path, state.variables | told, opt_state=state.optimizer, step=step, key=state.key)


def load(path: Path, state: State) -> tuple[State, dict[str, list[float]]]:
    """Return what `save` wrote, for a state like this one."""
    saved: Any = js.checkpoint.load(path, opt_state=state.optimizer)
    curves, variables = saved.variables.partition("curve/")
    found = State(state.variables.replace(variables), saved.opt_state, saved.key)
    return found, {name.removeprefix("curve/"): np.asarray(curve).tolist() for name, curve in curves.items()}


def until(steps: int, every: int, curves: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the curves of so many steps: an interrupt may come between one and its place in a curve."""
    return {name: curve[: steps if name == "loss" else steps // every] for name, curve in curves.items()}


def draw(
    curves: dict[str, list[float]], held: Images, given: np.ndarray[Any, Any], names: list[str], every: int
) -> Figure:
    """Draw the curves, and what some test images are taken for."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    grid = figure.add_gridspec(3, 12)
    left, middle = figure.add_subplot(grid[:, :4]), figure.add_subplot(grid[:, 4:8])
    left.plot(np.arange(1, 1 + len(curves["loss"])), curves["loss"], linewidth=0.8)
    left.set(title="loss, with weight decay", xlabel="step", yscale="log")
    steps = np.minimum(np.arange(1, 1 + len(curves["plain"])) * every, len(curves["loss"]))
    middle.plot(steps, curves["plain"], label="as trained")
    middle.plot(steps, curves["averaged"], label="moving averages")
    middle.set(title="accuracy on test images", xlabel="step")
    middle.legend()
    for axes in (left, middle):
        axes.grid(alpha=0.3)
    for at in range(min(12, len(given))):
        axes = figure.add_subplot(grid[at // 4, 8 + at % 4])
        axes.imshow(held.images[at])
        right = given[at] == held.labels[at]
        axes.set_title(names[given[at]], fontsize=8, color="black" if right else "red")
        axes.set_axis_off()
    return figure


def save_picture(figure: Figure, path: Path) -> None:
    """Write a PNG file whole or not at all, even when interrupted."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format="png", dpi=120)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


# --- The program. ---


def options_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the options, after checking what would fail a minute later."""
    add = parser.add_argument
    add("--way", choices=["towers", "mesh"], default="mesh", help="a loop over towers, or a mesh (default)")
    add(
        "--devices", type=int, default=2, help="towers, or devices: without others, CPUs are made (default 2)"
    )
    add("--steps", type=int, default=400, help="of training (default 400)")
    add("--batch", type=int, default=64, help="images in a step (default 64)")
    add("--every", type=int, default=25, help="steps between tests (default 25)")
    add("--seed", type=int, default=0, help="of all chance (default 0)")
    add("--data", type=Path, help="a folder with the files of CIFAR-10's binary version (default: shapes)")
    add("--out", type=Path, default=Path("cifar_towers.png"), help="the picture (default cifar_towers.png)")
    add("--checkpoint", type=Path, default=Path("cifar_towers.npz"), help="written at the end, and on Ctrl-C")
    add("--resume", action="store_true", help="go on from the checkpoint, up to --steps")
    options = parser.parse_args()
    for path in (options.out, options.checkpoint):
        if not path.parent.is_dir() or path.is_dir():
            parser.error("--out and --checkpoint must be files in folders that exist")
    if min(options.devices, options.steps, options.every) < 1 or options.checkpoint.suffix != ".npz":
        parser.error("--devices, --steps and --every must be at least 1, and --checkpoint end in .npz")
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be at least 0, and less than 2 ** 32")
    if options.batch < 1 or options.batch % options.devices:
        parser.error("--batch must be a multiple of --devices")
    if options.resume and not options.checkpoint.exists():
        parser.error(f"--resume must find a checkpoint, and there is no {options.checkpoint}")
    if options.data and not (
        list(options.data.glob("data_batch_*.bin")) and (options.data / "test_batch.bin").exists()
    ):
        parser.error(f"--data must have data_batch_1.bin, ... and test_batch.bin, and {options.data} has not")
    return options


def main() -> None:
    """Show that both ways are one, train in one of them, and draw what it came to."""
    options = options_of(argparse.ArgumentParser(description="TF1's CIFAR-10 in towers, and on a mesh."))
    jax.config.update("jax_num_cpu_devices", options.devices)  # of accelerators, those that there are
    options.devices = min(options.devices, jax.device_count()) if options.way == "mesh" else options.devices
    begun = time.perf_counter()
    known, held, names = load_images(options.data)
    options.batch = min(options.batch, len(known.labels) // options.devices * options.devices)

    first = pick(known, 0, options)
    inputs = (distort(jnp.asarray(first.images), jax.random.key(0)), jnp.asarray(first.labels))
    specs = on_a_mesh.spec(*inputs)
    variables = specs.init(jax.random.key(options.seed))
    # A shadow begins as its variable does.
    variables |= {name + SHADOW: value for name, value in variables.trainable.items()}

    optimizer = optimizer_of(options.steps)
    state = State(variables, optimizer.init(variables.trainable), jax.random.key(options.seed))
    curves: dict[str, list[float]] = {"loss": [], "plain": [], "averaged": []}
    if options.resume:
        state, curves = load(options.checkpoint, state)
        curves = until(int(state.variables["global_step"]), options.every, curves)
    try:
        print(specs.select(lambda spec: spec.trainable).tabulate())
        compare(variables, *inputs, options)
        for following in train(state, curves, known, held, options):
            state = following
    except KeyboardInterrupt:
        steps = int(state.variables["global_step"])
        save(options.checkpoint, state, until(steps, options.every, curves))
        print(f"interrupted after {steps} steps; --resume goes on", file=sys.stderr)
        sys.exit(130)
    save(options.checkpoint, state, curves)

    shadows = averaged(state.variables)
    given = np.asarray(answers(shadows, held.images[:12]))
    save_picture(draw(curves, held, given, names, options.every), options.out)
    right = {
        name: accuracy(of, held) for name, of in (("as trained", state.variables), ("averaged", shadows))
    }
    print(", ".join(f"{name}: {share:.1%} of test images right" for name, share in right.items()), end=", ")
    print(
        f"{time.perf_counter() - begun:.0f} s, picture in {options.out}, checkpoint in {options.checkpoint}"
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted; no picture was written", file=sys.stderr)
        sys.exit(130)
