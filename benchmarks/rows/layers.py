"""Train steps of each library's own layers: tracing, compiling, the program, the step and its dispatch."""

import gc
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks.canonical import compare, program
from benchmarks.layered.training import Training
from benchmarks.report import Table
from benchmarks.setup import BASE, Setup
from benchmarks.timing import Effort, Samples, interleaved

PATIENCE = 15.0  # seconds of CPU for one compilation, above which there is no second
NOTE = (
    "Loss, gradient, `optax.adamw`, state donated. First column: {}; others: median ratio (ratio of minima)."
)


def run(setup: Setup) -> Iterator[Table]:
    models = {model: setup.trainings(model) for model in setup.sizes.layered}
    names = tuple(dict.fromkeys(name for ways in models.values() for name in ways))
    trace, compiling, step, dispatch = (
        Table(f"Own layers: {what}", names, NOTE.format(clock))
        for what, clock in (
            ("trace and lower a train step", "CPU time"),
            ("compile a train step", "CPU time"),
            ("a train step", "wall time"),
            ("dispatch of a train step", "CPU time until the call returns"),
        )
    )
    lines = Table("Own layers: lines of a train step's optimised HLO", names)
    same = Table(
        "Own layers: optimised HLO of a train step, against handwritten", ("jaxscope",),
        "Texts compared, with inputs and outputs in canonical order and without source positions.",
    )  # fmt: skip
    for model, ways in models.items():
        batch = jax.device_put(model.batch())
        runs = {name: Run(training, batch) for name, (_, training) in ways.items()}
        effort = setup.sizes.effort
        trace.put_samples(model.name, interleaved({n: one.lowering for n, one in runs.items()}, effort), "ms")
        taken = {name: one.compile(setup.sizes.cold_repeats) for name, one in runs.items()}
        compiling.put_samples(model.name, taken, "s")
        for name, one in runs.items():
            lines.put(model.name, name, str(one.lines), one.lines)
        whole, until_return = stepped(runs, effort)
        step.put_samples(model.name, whole, "ms")
        dispatch.put_samples(model.name, until_return, "ms")
        if "jaxscope" in runs:
            same.put(model.name, "jaxscope", compare(runs[BASE].text(), runs["jaxscope"].text()))
        jax.clear_caches()
    yield from (trace, compiling, lines, step, dispatch, same)


class Run:
    """One training of one model: its state, and its step once it is compiled."""

    def __init__(self, training: Training, batch: Any) -> None:
        self.training = training
        self.batch = batch
        self.state = training.init(jax.random.key(0), *batch)
        self.jitted: Any = None
        self.lines = 0

    def lowering(self) -> Callable[[], Any]:
        """Return a call that traces and lowers the step, and hits no cache of an earlier trace."""
        jitted = self.training.jitted()
        return lambda: jitted.lower(self.state, *self.batch)

    def compile(self, most: int) -> Samples:
        """Compile the step, more than once where that is quick, and keep the last."""
        seconds: list[float] = []
        while len(seconds) < most and sum(seconds) < PATIENCE:
            self.jitted = self.training.jitted()
            lowered = self.jitted.lower(self.state, *self.batch)
            gc.collect()
            start = time.process_time()
            compiled = lowered.compile()
            seconds.append(time.process_time() - start)
            self.lines = compiled.as_text().count("\n")
        return Samples((min(seconds),))

    def step(self) -> tuple[float, float]:
        """Make one step; return its seconds on the wall, and those of the thread until the call returned."""
        wall, cpu = time.perf_counter(), time.thread_time()
        self.state, loss = self.jitted(self.state, *self.batch)
        cpu = time.thread_time() - cpu
        loss.block_until_ready()
        return time.perf_counter() - wall, cpu

    def text(self) -> str:
        """Return the canonical text of the step's optimised HLO."""
        assert self.training.step
        return program(self.training.step, self.state, self.batch).hlo


def stepped(runs: dict[str, Run], effort: Effort) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Let the trainings take turns, one step each; return the samples of both clocks."""
    for one in runs.values():
        for _ in range(3):  # what a first call does once, and what a second one finds changed
            one.step()
    order = random.Random(0)
    names = list(runs)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    deadline = time.perf_counter() + 3 * effort.seconds
    for done in range(effort.most):
        if done >= effort.least and time.perf_counter() > deadline:
            break
        order.shuffle(names)
        for name in names:
            taken[name].append(runs[name].step())
    whole, until_return = (
        {name: Samples(tuple(pair[clock] for pair in pairs)) for name, pairs in taken.items()}
        for clock in (0, 1)
    )
    return whole, until_return
