"""Interleaved timing: on a shared machine only medians of neighbouring samples, and minima, mean anything.

The candidates take turns, in another order each round, so that whatever slows the machine down hits all of
them alike; a ratio is the median over the rounds of candidate / base within one round. Tracing is Python in
one thread, so its clock is that thread's CPU time, which other jobs do not add to. Before each sample the
garbage is collected and what is alive is frozen; the collector is on *during* the sample, as it is for users,
but pays only for what the sample itself makes and not for what earlier ones left alive.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True)
class Samples:
    """Seconds of each round for one candidate."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    def ratios(self, base: "Samples") -> tuple[float, float]:
        """Return the median of the rounds' ratios to `base`, and the ratio of the two minima."""
        pairs = zip(self.seconds, base.seconds, strict=True)
        return statistics.median(mine / other for mine, other in pairs), self.minimum / base.minimum

    def over(self, base: "Samples") -> float:
        """Return the median of the rounds' differences to `base`, in seconds."""
        return statistics.median(mine - other for mine, other in zip(self.seconds, base.seconds, strict=True))


@dataclass(frozen=True)
class Effort:
    """How long to measure: at least `least` rounds, at most `most`, and none begun after `seconds`."""

    least: int = 5
    most: int = 200
    seconds: float = 5.0


def timed(call: Callable[[], object], clock: Clock) -> float:
    """Return the seconds that one call takes, with a collected and frozen heap before it."""
    gc.collect()
    gc.freeze()
    start = clock()
    result = call()
    end = clock()
    del result
    gc.unfreeze()
    return end - start


def interleaved(
    prepare: Mapping[str, Callable[[], Callable[[], object]]], effort: Effort, clock: Clock = time.thread_time
) -> dict[str, Samples]:
    """Time every candidate once a round.

    Args:
        prepare: For each candidate a function that makes, untimed, a fresh call to be timed.
        effort: When to stop. One round before the first is not counted.
        clock: Seconds, as `time.thread_time`.

    Returns:
        As many samples for each candidate as rounds were run.
    """
    order = random.Random(0)
    names = list(prepare)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        timed(prepare[name](), clock)
    deadline = time.perf_counter() + effort.seconds
    for done in range(effort.most):
        if done >= effort.least and time.perf_counter() > deadline:
            break
        order.shuffle(names)
        for name in names:
            seconds[name].append(timed(prepare[name](), clock))
    return {name: Samples(tuple(taken)) for name, taken in seconds.items()}


def slices(
    calls: Mapping[str, Callable[[], object]], effort: Effort, target: float = 2e-3
) -> dict[str, Samples]:
    """Time short calls, each repeated to fill slices of `target` seconds of wall time.

    Args:
        calls: For each candidate a call that waits for its own result.
        effort: When to stop.
        target: Length of a slice, in seconds.

    Returns:
        Seconds *per call* for each slice.
    """
    times: dict[str, int] = {}
    for name, call in calls.items():
        for _ in range(3):  # to compile: optax's counts change from weak to strong types in the second step
            call()
        start = time.perf_counter()
        call()
        times[name] = max(1, round(target / max(time.perf_counter() - start, 1e-7)))
    order = random.Random(0)
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    deadline = time.perf_counter() + effort.seconds
    gc.collect()
    gc.freeze()
    for done in range(effort.most):
        if done >= effort.least and time.perf_counter() > deadline:
            break
        order.shuffle(names)
        for name in names:
            call, repeats = calls[name], range(times[name])
            start = time.perf_counter()
            for _ in repeats:
                call()
            seconds[name].append((time.perf_counter() - start) / len(repeats))
    gc.unfreeze()
    return {name: Samples(tuple(taken)) for name, taken in seconds.items()}
