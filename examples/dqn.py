"""Learn to balance a pole on a cart: a deep Q-network, its target by scope and rename, physics in JAX.

Some 64 carts run at once, by `vmap`; playing, remembering and learning are one compiled program. After half a
minute on two CPU cores the player keeps poles up for the 500 steps that a game lasts. Nothing is downloaded.
On several devices, each has its share of the carts. Ctrl-C leaves a checkpoint, from which --resume goes on.

    python examples/dqn.py --rounds 150 --out dqn.png
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

LONGEST = 500  # steps in a game
DISCOUNT = 0.99  # of a step's return
MEMORY = 1024  # the last steps of each cart that are remembered
SAMPLED = 8  # of them, for each cart, in a step of learning
FOLLOW = 0.005  # how far the target moves to the online network in a step
STEPS = 200  # in a round, which is one compiled call

# --- The world: plain functions of one cart. ---


class Cart(NamedTuple):
    """Where a cart is (m), its speed (m/s), its pole's lean (rad) and turn (rad/s), and the steps so far."""

    place: jax.Array
    speed: jax.Array
    lean: jax.Array
    turn: jax.Array
    steps: jax.Array


def begin(key: jax.Array, *, anywhere: bool) -> Cart:
    """Return a cart: anywhere, to learn from, or nearly at rest in the middle, its pole nearly upright."""
    reach = jnp.array([2.0, 1.0, 0.15, 1.0]) if anywhere else jnp.full(4, 0.05)
    place, speed, lean, turn = jax.random.uniform(key, [4], minval=-reach, maxval=reach)
    return Cart(place, speed, lean, turn, jnp.int32(0))


def push(cart: Cart, right: jax.Array) -> tuple[Cart, jax.Array]:
    """Push a cart with 10 N to the left or right for 0.02 s; return it, and whether it is lost.

    Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control
    problems" (1983): cart of 1 kg, pole of 0.1 kg and 1 m, lost beyond 2.4 m or 12 degrees.
    """
    force = jnp.where(right == 1, 10.0, -10.0)
    cosine, sine = jnp.cos(cart.lean), jnp.sin(cart.lean)
    common = (force + 0.05 * cart.turn**2 * sine) / 1.1
    lean_rate = (9.8 * sine - cosine * common) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    speed_rate = common - 0.05 * lean_rate * cosine / 1.1
    moved = Cart(
        cart.place + 0.02 * cart.speed,
        cart.speed + 0.02 * speed_rate,
        cart.lean + 0.02 * cart.turn,
        cart.turn + 0.02 * lean_rate,
        cart.steps + 1,
    )
    return moved, (jnp.abs(moved.place) > 2.4) | (jnp.abs(moved.lean) > jnp.deg2rad(12.0))


def seen(cart: Cart) -> jax.Array:
    """Return what the player sees of a cart: four numbers, about as large as each other."""
    return jnp.stack([cart.place / 2.4, cart.speed / 2, cart.lean / 0.21, cart.turn / 2])


# --- The model: one function, in two scopes. ---


class Steps(NamedTuple):
    """What was seen (..., 4) and done (...,), seen then (..., 4), and whether that was lost (...,)."""

    seen: jax.Array
    action: jax.Array
    then: jax.Array
    lost: jax.Array


def values(sight: jax.Array, network: str) -> jax.Array:
    """Map what is seen (..., 4) to the returns of both actions (..., 2), with the weights of one network."""
    with js.variable_scope(network, reuse=js.AUTO_REUSE):
        hidden = js.layers.dense(sight, 64, jnp.tanh, name="hidden_1")
        hidden = js.layers.dense(hidden, 64, jnp.tanh, name="hidden_2")
        mean = js.layers.dense(hidden, 1, name="state_value")
        return mean + js.layers.dense(hidden, 2, use_bias=False, name="action_value")


@js.transform
def act(sight: jax.Array) -> jax.Array:
    """Return the better action (...,) by the online network."""
    return values(sight, "online").argmax(-1)


@js.transform
def loss(steps: Steps) -> jax.Array:
    """Return how far the online network is from what the target network says of the following step.

    Van Hasselt, Guez and Silver, "Deep reinforcement learning with double Q-learning" (2016): the online
    network chooses the next action, the target network values it.
    """
    value = jnp.take_along_axis(values(steps.seen, "online"), steps.action[..., None], -1)[..., 0]
    best = values(steps.then, "online").argmax(-1)
    worth = jnp.take_along_axis(values(steps.then, "target"), best[..., None], -1)[..., 0]
    wanted = 1 + DISCOUNT * jnp.where(steps.lost, 0, worth)
    return jnp.mean(optax.losses.huber_loss(value, jax.lax.stop_gradient(wanted)))


# --- Training: one round is one compiled call. ---


class State(NamedTuple):
    """All that a step changes: weights, optimizer, carts, their memories (time, carts, ...), steps, a key."""

    variables: js.Variables
    optimizer: optax.OptState
    carts: Cart
    memory: Steps
    step: jax.Array
    key: jax.Array


class Report(NamedTuple):
    """Of each step in a round: the loss, how many games ended, and how long these lasted together."""

    loss: jax.Array
    games: jax.Array
    length: jax.Array


def start(key: jax.Array, carts: int, optimizer: optax.GradientTransformation) -> State:
    """Return the state before the first step; the target network begins as the online one."""
    init_key, cart_key, key = jax.random.split(key, 3)
    sight, action = jnp.zeros([MEMORY, carts, 4]), jnp.zeros([MEMORY, carts], jnp.int32)
    memory = Steps(sight, action, sight, jnp.zeros([MEMORY, carts], bool))
    variables = loss.init(init_key, memory)
    variables |= variables.select("online/").rename("online/", "target/")
    carts_ = jax.vmap(partial(begin, anywhere=True))(jax.random.split(cart_key, carts))
    return State(variables, optimizer.init(variables.select("online/")), carts_, memory, jnp.int32(0), key)


def learn(state: State, chance: jax.Array, optimizer: optax.GradientTransformation) -> tuple[State, Report]:
    """Move all carts by a step, remember it, and learn from some steps of each cart's memory.

    With the probability `chance`, a cart is pushed in any direction.
    """
    key, chance_key, choice_key, reset_key, sample_key = jax.random.split(state.key, 5)
    carts = len(state.carts.steps)

    sight = jax.vmap(seen)(state.carts)
    by_chance = jax.random.bernoulli(chance_key, chance, [carts])
    any_action = jax.random.randint(choice_key, [carts], 0, 2)
    action = jnp.where(by_chance, any_action, act.apply(state.variables, sight).astype(jnp.int32))
    moved, lost = jax.vmap(push)(state.carts, action)
    now = Steps(sight, action, jax.vmap(seen)(moved), lost)
    slot = state.step % MEMORY
    memory = jax.tree.map(lambda old, new: old.at[slot].set(new), state.memory, now)
    over = lost | (moved.steps >= LONGEST)
    fresh = jax.vmap(partial(begin, anywhere=True))(jax.random.split(reset_key, carts))
    following = jax.tree.map(partial(jnp.where, over), fresh, moved)

    # Each cart's own memory, so that with the carts spread over devices, nothing of it moves between them.
    known = jnp.minimum(state.step + 1, MEMORY)
    at = jax.random.randint(sample_key, [SAMPLED, carts], 0, known)
    sample = jax.tree.map(lambda one: jax.vmap(lambda column, rows: column[rows], 1, 1)(one, at), memory)

    online, target = state.variables.partition("online/")
    value, gradients = jax.value_and_grad(lambda online: loss.apply(online | target, sample))(online)
    updates, optimizer_state = optimizer.update(gradients, state.optimizer, online)
    learned: Any = optax.apply_updates(online, updates)
    followed: Any = optax.incremental_update(learned.rename("online/", "target/"), target, FOLLOW)
    new = State(learned | followed, optimizer_state, following, memory, state.step + 1, key)
    return new, Report(value, over.sum(), jnp.where(over, moved.steps, 0).sum())


def make_round(optimizer: optax.GradientTransformation, rounds: int) -> Any:
    """Return a compiled function of the state that makes many steps."""

    @jax.jit
    def one_round(state: State) -> tuple[State, Report]:
        def step(state: State, _: None) -> tuple[State, Report]:
            chance = jnp.maximum(0.02, 1 - state.step / (0.2 * rounds * STEPS))
            return learn(state, chance, optimizer)

        return jax.lax.scan(step, state, None, STEPS)

    return one_round


@partial(jax.jit, static_argnames="games")
def play(variables: js.Variables, key: jax.Array, games: int) -> tuple[jax.Array, jax.Array]:
    """Play without chance; return how long each game lasted, and how poles leant (steps, games), then NaN."""

    def step(state: tuple[Cart, jax.Array], _: None) -> tuple[Any, Any]:
        carts, alive = state
        moved, lost = jax.vmap(push)(carts, act.apply(variables, jax.vmap(seen)(carts)))
        alive &= ~lost
        return (moved, alive), (alive, jnp.where(alive, moved.lean, jnp.nan))

    carts = jax.vmap(partial(begin, anywhere=False))(jax.random.split(key, games))
    _, (alive, lean) = jax.lax.scan(step, (carts, jnp.ones(games, bool)), None, LONGEST)
    return alive.sum(0), lean


def spread(state: State, mesh: jax.sharding.Mesh) -> State:
    """Put carts and memories on the devices of a mesh, a share on each, and all else on every one."""
    everywhere, shares, columns = (
        NamedSharding(mesh, PartitionSpec(*axes)) for axes in ([], ["carts"], [None, "carts"])
    )
    layouts: Any = dict.fromkeys(State._fields, everywhere) | {"carts": shares, "memory": columns}
    return State(**{name: jax.device_put(part, layouts[name]) for name, part in state._asdict().items()})


# --- Files: the checkpoint, and the picture. ---


def rest(state: State) -> dict[str, Any]:
    """Return what is neither variables nor a key, by name."""
    return {name: part for name, part in state._asdict().items() if name not in ("variables", "key")}


def save(path: Path, state: State, curves: dict[str, list[float]]) -> None:
    """Write all that training needs to go on; a crash leaves the old file or the new one."""
    learned = {f"curve/{name}": np.asarray(curve) for name, curve in curves.items()}
    js.checkpoint.save(
        path, state.variables | learned, opt_state=rest(state), step=int(state.step), key=state.key
    )


def load(path: Path, state: State) -> tuple[State, dict[str, list[float]]]:
    """Return what `save` wrote, for a state like this one."""
    saved: Any = js.checkpoint.load(path, opt_state=rest(state))
    curves, variables = saved.variables.partition("curve/")
    specs = loss.spec(state.memory)
    found = State(variables=specs.bind(variables), key=saved.key, **saved.opt_state)
    return found, {name.removeprefix("curve/"): np.asarray(curve).tolist() for name, curve in curves.items()}


def draw(curves: dict[str, list[float]], lean: np.ndarray) -> Figure:
    """Draw the curves, and how the poles of some games leant."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    steps = np.arange(1, 1 + len(curves["return"])) * STEPS
    left.plot(steps, curves["return"], label="while learning")
    left.plot(steps, curves["greedy return"], label="without chance")
    left.set(title="return: steps until lost", xlabel="steps", ylim=(0, LONGEST * 1.05))
    left.legend()
    middle.plot(steps, curves["loss"])
    middle.set(title="loss", xlabel="steps", yscale="log")
    right.plot(np.arange(LONGEST) * 0.02, np.rad2deg(lean[:, :8]), linewidth=0.8)
    right.set(title="eight poles, without chance", xlabel="seconds", ylabel="degrees")
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
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
    add("--rounds", type=int, default=150, help=f"of {STEPS} steps each (default 150)")
    add("--carts", type=int, default=64, help="that run at once (default 64)")
    add("--seed", type=int, default=0, help="of all chance (default 0)")
    add("--out", type=Path, default=Path("dqn.png"), help="the picture (default dqn.png)")
    add(
        "--checkpoint", type=Path, default=Path("dqn.npz"), help="written at the end, and on Ctrl-C (dqn.npz)"
    )
    add("--resume", action="store_true", help="go on from the checkpoint, up to --rounds")
    options = parser.parse_args()
    for path in (options.out, options.checkpoint):
        if not path.parent.is_dir() or path.is_dir():
            parser.error("--out and --checkpoint must be files in folders that exist")
    if options.rounds < 1 or options.carts < 1 or options.checkpoint.suffix != ".npz":
        parser.error("--rounds and --carts must be at least 1, and --checkpoint end in .npz")
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be at least 0, and less than 2 ** 32")
    if options.carts % jax.device_count():
        parser.error(f"--carts must be a multiple of the {jax.device_count()} devices")
    if options.resume and not options.checkpoint.exists():
        parser.error(f"--resume must find a checkpoint, and there is no {options.checkpoint}")
    return options


def train(state: State, curves: dict[str, list[float]], rounds: int) -> Iterator[State]:
    """Make the rounds that are left, and yield the state after each."""
    optimizer = optimizer_of(rounds)
    one_round = make_round(optimizer, rounds)
    done, carts = int(state.step) // STEPS, len(state.carts.steps)
    with Progress() as progress:
        bar = progress.add_task("compiling", total=rounds, completed=done)
        for _ in range(done, rounds):
            before = time.perf_counter()
            state, report = one_round(state)
            length, _ = play(state.variables, jax.random.key(1), 64)
            told = {
                "loss": float(report.loss.mean()),
                "return": float(report.length.sum() / jnp.maximum(1, report.games.sum())),
                "greedy return": float(length.mean()),
            }
            for name, value in told.items():
                curves[name].append(value)
            speed = STEPS * carts / (time.perf_counter() - before)
            text = f"loss {told['loss']:.3f}, return {told['greedy return']:.0f}, {speed:,.0f} steps/s"
            progress.update(bar, advance=1, description=text)
            yield state


def optimizer_of(rounds: int) -> optax.GradientTransformation:
    """Return Adam, with a rate that falls to a hundredth until the last round."""
    rate = optax.linear_schedule(1e-3, 1e-5, rounds * STEPS)
    return optax.chain(optax.clip_by_global_norm(10.0), optax.adam(rate))


def main() -> None:
    """Train, say how long poles stay up, and draw it."""
    options = options_of(argparse.ArgumentParser(description="Learn to balance a pole on a cart."))
    begun = time.perf_counter()
    state = start(jax.random.key(options.seed), options.carts, optimizer_of(options.rounds))
    curves: dict[str, list[float]] = {"loss": [], "return": [], "greedy return": []}
    if options.resume:
        state, curves = load(options.checkpoint, state)
    state = spread(state, jax.make_mesh((jax.device_count(),), ("carts",), axis_types=(AxisType.Auto,)))
    try:
        print(loss.spec(state.memory).tabulate())
        for following in train(state, curves, options.rounds):
            state = following
    except KeyboardInterrupt:
        rounds = int(state.step) // STEPS  # it may have come between a round and its place in the curves
        save(options.checkpoint, state, {name: curve[:rounds] for name, curve in curves.items()})
        print(f"interrupted after {int(state.step)} steps; --resume goes on", file=sys.stderr)
        sys.exit(130)
    save(options.checkpoint, state, curves)
    length, lean = play(state.variables, jax.random.key(2), 256)
    save_picture(draw(curves, np.asarray(lean)), options.out)
    print(f"256 new games without chance: {float(length.mean()):.0f} of {LONGEST} steps each,", end=" ")
    print(f"{int((length == LONGEST).sum())} to the end,", end=" ")
    print(
        f"{time.perf_counter() - begun:.0f} s, picture in {options.out}, checkpoint in {options.checkpoint}"
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted; no picture was written", file=sys.stderr)
        sys.exit(130)
