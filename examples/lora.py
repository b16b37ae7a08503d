"""Teach a GPT that writes Python to write English: LoRA on a model whose file is not touched.

Run `python examples/char_gpt.py` first, which leaves its checkpoint. Its weights stay frozen; beside each, a
getter puts a product of two small ones, which is all that is trained, on the pages of Python's `help()`. Then
both are folded into plain weights for the model as it was. About a minute on two CPU cores.

    python examples/lora.py --base char_gpt.safetensors --out lora.png
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from pydoc_data import topics

import char_gpt
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure
from rich.progress import Progress

import jaxscope as js

ADAPTED = r"layer_.*/kernel"  # the weights of attention and of the dense layers


@js.transform
def adapted(text: jax.Array, size: char_gpt.Size, key: jax.Array | None, rank: int) -> jax.Array:
    """Return the loss of the model with adapters; `char_gpt.loss_of` knows nothing of them."""
    with js.variable_scope("", custom_getter=js.getters.lora(rank, alpha=2 * rank, where=ADAPTED)):
        return char_gpt.loss_of(text, size, key)


bare = js.transform(char_gpt.loss_of)


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the pages of Python's `help()`: what to learn from, and the last twentieth."""
    text = char_gpt.as_characters("\n\n".join(topics.topics.values()))
    cut = len(text) // 20 * 19
    return text[:cut], text[cut:]


def train(
    variables: js.Variables, known: np.ndarray, options: argparse.Namespace, size: char_gpt.Size
) -> tuple[js.Variables, list[float]]:
    """Train what is trainable, which are the adapters and the other small weights; Ctrl-C ends it."""
    frozen, trained = variables.non_trainable, variables.trainable
    optimizer = optax.adam(optax.cosine_decay_schedule(options.rate, options.steps))
    state = optimizer.init(trained)
    key = jax.random.key(options.seed + 1)

    @jax.jit
    def step(
        trained: js.Variables, state: optax.OptState, text: jax.Array, number: jax.Array
    ) -> tuple[js.Variables, optax.OptState, jax.Array]:
        noise = jax.random.fold_in(key, number)

        def loss(trained: js.Variables) -> jax.Array:
            return adapted.apply(frozen | trained, text, size, noise, options.rank)

        value, gradient = jax.value_and_grad(loss)(trained)
        updates, state = optimizer.update(gradient, state)
        return jax.tree.map(jnp.add, trained, updates), state, value

    losses: list[float] = []
    with Progress() as progress:
        bar = progress.add_task("compiling", total=options.steps)
        try:
            for number in range(options.steps):
                text = char_gpt.batch_of(known, size, options.batch, (options.seed, number))
                trained, state, value = step(trained, state, jnp.asarray(text), np.int32(number))
                losses.append(float(value))
                progress.update(bar, advance=1, description=f"loss {losses[-1]:.2f}")
        except KeyboardInterrupt:
            progress.update(bar, description="stopped")
    return frozen | trained, losses


def draw(losses: list[float], samples: dict[str, str]) -> Figure:
    """Draw the curve beside what the model wrote before and after."""
    figure = Figure(figsize=(14, 5), layout="constrained")
    curve, *texts = figure.subplots(1, 1 + len(samples))
    curve.plot(range(1, 1 + len(losses)), losses, lw=0.7)
    curve.set(xlabel="step", ylabel="nats a character", title="loss on English")
    curve.grid(alpha=0.3)
    for axes, (title, sample) in zip(texts, samples.items(), strict=True):
        shown = "\n".join(line[:60] for line in sample.splitlines()[:26]).replace("$", r"\$")
        axes.text(0, 1, shown, family="monospace", fontsize=7, va="top")
        axes.set(title=title)
        axes.set_axis_off()
    return figure


def parse() -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(
        description="Teach a GPT that writes Python to write English, by small weights."
    )
    add = parser.add_argument
    add("--base", type=Path, default=Path("char_gpt.safetensors"), help="(default char_gpt.safetensors)")
    add("--seed", type=int, default=0, metavar="N", help="of weights, batches and noise (default 0)")
    add("--steps", type=int, default=200, help="(default 200)")
    add("--batch", type=int, default=32, help="texts in a step (default 32)")
    add("--rate", type=float, default=1e-2, help="largest learning rate (default 0.01)")
    add("--rank", type=int, default=8, help="inner size of the adapters (default 8)")
    add("--context", type=int, default=char_gpt.Size().context, help="characters that it sees at once")
    add("--out", type=Path, default=Path("lora.png"), help="the picture (default lora.png)")
    add("--checkpoint", type=Path, default=Path("lora.safetensors"), help="the folded weights")
    options = parser.parse_args()
    if min(options.steps, options.batch, options.rank, options.context) < 1:
        parser.error("--steps, --batch, --rank and --context must be at least 1")
    if not options.base.exists():
        parser.error(f"there is no {options.base}: run examples/char_gpt.py first, or pass --base")
    if not options.out.parent.is_dir() or not options.checkpoint.parent.is_dir():
        parser.error("--out and --checkpoint must be files in folders that exist")
    return options


def main() -> int:
    """Train the adapters, fold them, and show what the model writes before and after."""
    options = parse()
    base = js.checkpoint.load(options.base).variables
    table, up = base["characters/embeddings"], base["layer_{}/up/kernel"]
    size = char_gpt.Size(table.shape[1], up.shape[0], context=options.context)
    known, held = load()
    looked_at = jnp.asarray(char_gpt.batch_of(held, size, 128, (options.seed,)))
    noise = jax.random.key(options.seed)

    specs = adapted.spec(looked_at, size, None, options.rank).stack("layer_{}")
    variables = js.checkpoint.load(options.base, specs, missing="init", key=noise, opt_state=None).variables
    share = sum(v.size for v in variables.trainable.values()) / sum(v.size for v in variables.values())
    print(f"{share:.1%} of all weights are trained")
    variables, losses = train(variables, known, options, size)

    folded = js.getters.fold(adapted, variables, looked_at, size, None, options.rank)
    js.checkpoint.save(options.checkpoint, folded)
    measure = jax.jit(bare.apply, static_argnums=2)
    ask = jax.jit(partial(adapted.apply, size=size, key=None, rank=options.rank))
    before, after = (float(measure(each, looked_at, size)) for each in (base, folded))
    print(f"held-out English: {before:.3f} nats a character before, {after:.3f} after;", end=" ")
    print(f"folded less adapted {after - float(ask(variables, looked_at)):.1e}")
    begin = held[: max(1, size.context // 2)]
    samples = {
        title: char_gpt.continued(each, begin, size, options.seed)
        for title, each in (("before", base), ("after", folded))
    }
    print(samples["after"])
    char_gpt.save(draw(losses, samples), options.out)
    print(f"{len(losses)} steps, picture in {options.out}, folded weights in {options.checkpoint}")
    return 0 if len(losses) == options.steps else 130


if __name__ == "__main__":
    sys.exit(main())
