"""Learn to write Python: a small GPT, character by character, on the source text of Python's own library.

About two minutes on two CPU cores; nothing is downloaded. The embedding is tied to the output, the blocks are
one scan that is computed again in the backward pass, weights are cast by a getter, and the sample is written
with a cache. On several devices each has its share of a batch. Ctrl-C leaves a checkpoint, from which
--resume goes on.

    python examples/char_gpt.py --steps 600 --out char_gpt.png
"""

import argparse
import os
import sys
import sysconfig
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

import jaxscope as js

CHARACTERS = 128  # those of ASCII
DROPOUT = 0.05
AVERAGED = 0.99  # of the average of the weights, how much stays in a step
EVERY = 50  # steps from one look at the held-out text to the next


class Size(NamedTuple):
    """How large a model is: features, layers, heads, and the characters that it sees at once."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    context: int = 64


# --- The model: plain functions that name their weights where they use them. ---


def block(x: jax.Array, *, size: Size, training: bool, cache: int | None) -> jax.Array:
    """Map (batch, time, width) to the same: attention, then two dense layers, each added to what it gets."""
    h = js.layers.rms_norm(x, name="norm_1")
    h = js.layers.multi_head_attention(
        h, size.heads, causal=True, rotary=10000.0, cache_size=cache, use_bias=False, name="attention"
    )
    x = x + js.layers.dropout(h, DROPOUT, training=training)
    h = js.layers.rms_norm(x, name="norm_2")
    h = js.layers.dense(h, 4 * size.width, jax.nn.gelu, name="up")
    h = js.layers.dense(h, size.width, name="down")
    return x + js.layers.dropout(h, DROPOUT, training=training)


def gpt(text: jax.Array, size: Size, *, training: bool = False, cache: int | None = None) -> jax.Array:
    """Map (batch, time) characters to (batch, time, CHARACTERS) logits of what follows each."""
    table = partial(js.layers.embedding, vocab_size=CHARACTERS, embed_dim=size.width, name="characters")
    x = table(text, initializer=js.initializers.random_normal(stddev=0.02))
    layer = partial(block, size=size, training=training, cache=cache)
    x = js.scan_layers(layer, size.layers, "layer_{}", remat=training)(x)
    return table(js.layers.rms_norm(x, name="norm"), reuse=True, attend=True)


def loss_of(text: jax.Array, size: Size, key: jax.Array | None = None) -> jax.Array:
    """Return the mean cross entropy, in nats, of each character of (batch, time + 1) but the first."""
    with js.random_keys(key):
        logits = gpt(text[:, :-1], size, training=key is not None)
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), text[:, 1:])
    return jnp.mean(losses)


@js.transform
def loss(text: jax.Array, size: Size, key: jax.Array | None = None, compute: str = "float32") -> jax.Array:
    """Return `loss_of`, computed in any dtype; the weights are stored in float32."""
    with js.variable_scope("", custom_getter=js.getters.cast(compute)):
        return loss_of(text, size, key)


@js.transform
def follow(text: jax.Array, size: Size, cache: int) -> jax.Array:
    """Map new characters (batch, time) to (batch, CHARACTERS) logits of the next; those before are state."""
    return gpt(text, size, cache=cache)[:, -1]


@partial(jax.jit, static_argnames=("size", "pieces"))
def write(variables: js.Variables, begin: jax.Array, size: Size, pieces: int, key: jax.Array) -> jax.Array:
    """Go on from (batch, time) characters, as many again in each piece; return (batch, pieces * time).

    Each piece begins anew with the one before, so that no more is seen at once than `size.context`.
    """
    cache = 2 * begin.shape[1]
    ask = partial(follow.apply_with_state, size=size, cache=cache)
    empty = follow.init(key, begin, size, cache).non_trainable

    def step(
        carry: tuple[jax.Array, js.Variables], key: jax.Array
    ) -> tuple[tuple[jax.Array, js.Variables], jax.Array]:
        logits, state = carry
        character = jax.random.categorical(key, logits / 0.7)
        return ask(variables | state, character[:, None]), character

    def piece(text: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = jax.random.split(key, text.shape[1])
        new = jax.lax.scan(step, ask(variables | empty, text), keys)[1].T
        return new, new

    written = jax.lax.scan(piece, begin, jax.random.split(key, pieces))[1]
    return jnp.concatenate([*written], 1)


# --- The text. ---


def as_characters(text: str) -> np.ndarray:
    """Return a text as uint8, with a question mark for what ASCII has not."""
    return np.frombuffer(text.encode("ascii", "replace"), np.uint8)


def as_text(characters: np.ndarray) -> str:
    """Return characters as a text, with a space for what cannot be shown."""
    text = bytes(np.asarray(characters, np.uint8)).decode("ascii", "replace")
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the source text of Python's library: what to learn from, and every twentieth module."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    texts = [as_characters(file.read_text("utf-8", "replace")) for file in files]
    held = texts[::20]
    del texts[::20]
    return np.concatenate(texts), np.concatenate(held)


def batch_of(text: np.ndarray, size: Size, batch: int, seed: tuple[int, ...]) -> np.ndarray:
    """Return (batch, context + 1) characters from places that the seed decides."""
    starts = np.random.default_rng(seed).integers(len(text) - size.context, size=batch)
    taken: np.ndarray = text[starts[:, None] + np.arange(size.context + 1)]
    return taken.astype(np.int32)


# --- Training: plain JAX and optax. ---


class State(NamedTuple):
    """All that a step changes."""

    variables: js.Variables
    average: js.Variables
    optimizer: optax.OptState


class Curves(NamedTuple):
    """The loss of each step, and of the held-out text every so many, by the average of the weights."""

    learned: list[float]
    held: list[float]


def optimizer_for(steps: int, rate: float) -> optax.GradientTransformation:
    """Return AdamW on a cosine schedule, in which scales and biases do not decay."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, max(1, min(40, steps // 5)), steps, rate / 20)
    decays = partial(js.optim.match, rules={r".*/(scale|bias)$": False, ...: True})
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.1, mask=decays))


def train(
    state: State,
    texts: tuple[np.ndarray, np.ndarray],
    options: argparse.Namespace,
    size: Size,
    optimizer: optax.GradientTransformation,
    first: int = 0,
) -> tuple[State, Curves, int]:
    """Train from step `first` on; return the state, the curves, and the steps done: Ctrl-C ends it."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    key = jax.random.key(options.seed + 1)
    known, held = texts

    @partial(jax.jit, donate_argnums=0)
    def step(state: State, text: jax.Array, number: jax.Array) -> tuple[State, jax.Array]:
        noise = jax.random.fold_in(key, number)
        value, gradient = jax.value_and_grad(loss.apply)(state.variables, text, size, noise, options.dtype)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.variables)
        variables = jax.tree.map(jnp.add, state.variables, updates)
        average: Any = optax.incremental_update(variables, state.average, 1 - AVERAGED)
        return State(variables, average, optimizer_state), value

    measure = jax.jit(lambda variables, text: loss.apply(variables, text, size, None, options.dtype))
    looked_at = jax.device_put(batch_of(held, size, 4 * options.batch, (options.seed,)), split)
    curves, number = Curves([], []), first
    with Progress() as progress:
        bar = progress.add_task("compiling", total=options.steps, completed=first)
        begin, seen = time.perf_counter(), 0
        try:
            for number in range(first, options.steps):
                text = jax.device_put(batch_of(known, size, options.batch, (options.seed, number)), split)
                state, value = step(state, text, np.int32(number))
                curves.learned.append(float(value))
                if number == first:
                    begin = time.perf_counter()  # the first step compiles
                seen = number - first
                speed = seen * options.batch * size.context / max(time.perf_counter() - begin, 1e-9)
                progress.update(
                    bar, advance=1, description=f"loss {curves.learned[-1]:.2f}, {speed / 1000:.0f}k chars/s"
                )
                if (number + 1) % EVERY == 0 or number + 1 == options.steps:
                    curves.held.append(float(measure(state.average, looked_at)))
            number = options.steps
        except KeyboardInterrupt:
            progress.update(bar, description="stopped")
    return state, curves, number


# --- What is left at the end. ---


def continued(variables: js.Variables, begin: np.ndarray, size: Size, seed: int) -> str:
    """Return a text that the model goes on with for twenty pieces of its length."""
    start = jnp.asarray(begin, jnp.int32)[None]
    return as_text(begin) + as_text(np.asarray(write(variables, start, size, 20, jax.random.key(seed)))[0])


def draw(curves: Curves, first: int, sample: str) -> Figure:
    """Draw the curves beside what the model writes."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(range(first + 1, first + 1 + len(curves.learned)), curves.learned, label="learned from", lw=0.7)
    at = [first - first % EVERY + EVERY * (n + 1) for n in range(len(curves.held))]
    left.plot([min(a, first + len(curves.learned)) for a in at], curves.held, "o-", label="held out")
    left.set(xlabel="step", ylabel="nats a character", title="loss")
    left.grid(alpha=0.3)
    left.legend()
    shown = "\n".join(line[:72] for line in sample.splitlines()[:26]).replace("$", r"\$")
    right.text(0, 1, shown, family="monospace", fontsize=7.5, va="top")
    right.set(title="what it writes")
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
    parser = argparse.ArgumentParser(
        description="Learn to write Python from Python's own library, character by character."
    )
    add = parser.add_argument
    dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    add("--seed", type=int, default=0, metavar="N", help="of weights, batches and noise (default 0)")
    add("--steps", type=int, default=600, help="(default 600)")
    add("--batch", type=int, default=32, help="texts in a step, split over all devices (default 32)")
    add("--rate", type=float, default=4e-3, help="largest learning rate (default 0.004)")
    add("--dtype", default=dtype, help=f"to compute in (default here {dtype})")
    add("--width", type=int, default=Size().width, help=f"features (default {Size().width})")
    add("--layers", type=int, default=Size().layers, help=f"(default {Size().layers})")
    add("--context", type=int, default=Size().context, help=f"characters (default {Size().context})")
    add("--out", type=Path, default=Path("char_gpt.png"), help="the picture (default char_gpt.png)")
    add(
        "--checkpoint", type=Path, default=Path("char_gpt.safetensors"), help="(default char_gpt.safetensors)"
    )
    add("--resume", action="store_true", help="go on from the checkpoint")
    options = parser.parse_args()
    if min(options.steps, options.batch, options.width, options.layers, options.context) < 1:
        parser.error("--steps, --batch, --width, --layers and --context must be at least 1")
    if options.batch % jax.device_count():
        parser.error(f"--batch must be a multiple of the {jax.device_count()} devices")
    if options.width % (2 * Size().heads):
        parser.error(f"--width must be a multiple of {2 * Size().heads}")
    for path in (options.out, options.checkpoint):
        if not path.parent.is_dir() or path.is_dir():
            parser.error(f"{path} must be a file in a folder that exists")
    if options.checkpoint.suffix not in {".safetensors", ".npz"}:
        parser.error("--checkpoint must end in .safetensors or .npz")
    if options.resume and not options.checkpoint.exists():
        parser.error(f"there is no {options.checkpoint} to resume from")
    return options


def main() -> int:
    """Train, save, and draw what came of it."""
    options = parse()
    size = Size(options.width, options.layers, Size().heads, options.context)
    texts = load()
    print(f"{len(texts[0]) / 1e6:.1f} million characters to learn from, {len(texts[1]) / 1e6:.1f} held out")
    optimizer = optimizer_for(options.steps, options.rate)
    specs = loss.spec(jnp.zeros([1, size.context + 1], jnp.int32), size)
    print(specs.tabulate())
    variables = specs.init(jax.random.key(options.seed)).stack("layer_{}")
    first, state = 0, State(variables, variables, optimizer.init(variables))
    if options.resume:
        like = jax.eval_shape(lambda: (state.average, state.optimizer))
        loaded = js.checkpoint.load(options.checkpoint, specs.stack("layer_{}"), opt_state=like)
        average, optimizer_state = loaded.opt_state
        state, first = State(loaded.variables, average, optimizer_state), int(loaded.step or 0)
    # Copies, since a step gives its input's memory to its output.
    state = jax.tree.map(jnp.copy, state)
    state, curves, done = train(state, texts, options, size, optimizer, first)
    js.checkpoint.save(
        options.checkpoint, state.variables, opt_state=(state.average, state.optimizer), step=done
    )
    sample = continued(state.average, texts[1][: max(1, size.context // 2)], size, options.seed)
    print(sample)
    save(draw(curves, first, sample), options.out)
    if curves.held:
        print(f"held-out loss {curves.held[-1]:.3f} nats a character;", end=" ")
    print(f"{done} of {options.steps} steps, picture in {options.out}, checkpoint {options.checkpoint}")
    return 0 if done == options.steps else 130


if __name__ == "__main__":
    sys.exit(main())
