"""The states of optax that TF1's optimizers have, too: which they are, and what their slots are called."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jax.tree_util import GetAttrKey, keystr

import jaxscope as js
from jaxscope.extras import library

Path = tuple[Any, ...]


class Slot(NamedTuple):
    """One value that TF1 keeps for each variable.

    Attributes:
        at: The number of the state that has it.
        field: Its name there.
        sign: 1, or -1 where TF1 keeps the opposite; 0 where only TF1 has a slot, whose value is unused.
    """

    at: int
    field: str
    sign: int = 1


class Optimizer(NamedTuple):
    """What TF1 calls one optimizer.

    Attributes:
        name: Its name there, which slots have, unless it was given another.
        slots: In order of making: `w/Adam`, `w/Adam_1`, ...
        counter: The number of the state that counts steps where TF1 keeps powers; None for others.
        betas: What the state knows of decay rates: `b1` and `b2` of `optax.inject_hyperparams`.
    """

    name: str
    slots: list[Slot]
    counter: int | None
    betas: dict[str, Any]


class Understood(NamedTuple):
    """The state of an optimizer, part by part.

    Attributes:
        states: The parts: states that know nothing of each other, and counters.
        structure: How they make up the whole: a tree, for `jax.tree.unflatten`.
        optimizers: Those of TF1, in order of the tree; of `multi_transform`, in order of the labels.
        counters: The numbers of the parts that are a count of steps, for schedules.
    """

    states: list[Any]
    structure: Any
    optimizers: list[Optimizer]
    counters: list[int]

    def counts(self) -> list[Any]:
        """Return the counts of steps that schedules have."""
        states = [self.states[at] for at in self.counters]
        return [state.count if hasattr(state, "_fields") else state for state in states]


def understand(opt_state: Any, function: str) -> Understood:
    """Return the parts of an optimizer's state.

    Raises:
        ImportError: optax is not installed.
        OptimizerError: Some belong to no optimizer of TF1 (code `tf1_state`).
    """
    optax = library("optax", f"js.optim.{function}")
    containers = (
        optax.MaskedState,
        optax.MultiTransformState,
        optax.InjectHyperparamsState,
        optax.InjectStatefulHyperparamsState,
    )

    def is_part(state: Any) -> bool:
        return isinstance(state, tuple) and hasattr(state, "_fields") and not isinstance(state, containers)

    pairs, structure = jax.tree_util.tree_flatten_with_path(
        opt_state, is_leaf=lambda state: state is None or is_part(state)
    )
    groups: dict[Path, list[tuple[int, Any]]] = {}
    counters: list[int] = []
    betas: dict[Path, dict[str, Any]] = {}
    unknown: list[tuple[Path, Any]] = []
    for at, (path, state) in enumerate(pairs):
        if _is_counter(path, state):
            counters.append(at)
        if is_part(state):
            groups.setdefault(_group(path), []).append((at, state))
        elif GetAttrKey("hyperparams") in path:
            holder = path[: path.index(GetAttrKey("hyperparams"))]
            betas.setdefault(holder, {})[str(getattr(path[-1], "key", ""))] = state
        elif at not in counters:
            unknown.append((path, state))
    optimizers: list[Optimizer] = []
    for group, members in groups.items():
        found = _optimizer(optax, members)
        if found is None:
            unknown += [(pairs[at][0], state) for at, state in members if not _is_silent(optax, state)]
        elif found.slots:
            known = [rates for path, rates in betas.items() if path == group[: len(path)]]
            optimizers.append(found._replace(betas=known[-1] if known else {}))
    if unknown:
        raise js.errors.OptimizerError(
            "the state of the optimizer is not that of one of TF1",
            code="tf1_state",
            parts="\n".join(f"{keystr(path) or 'all'}: {type(state).__name__}" for path, state in unknown),
            fix="use the state of optax.adam, sgd, rmsprop, adagrad or adadelta; of a wrapper, pass what is\n"
            "inside it: state.inner_opt_state, say",
        )
    return Understood([state for _, state in pairs], structure, optimizers, counters)


def _optimizer(optax: Any, members: Sequence[tuple[int, Any]]) -> Optimizer | None:
    """Return the optimizer of TF1 that states one after the other are; without slots, gradient descent's."""
    (first, state), *others = [member for member in members if not _is_silent(optax, member[1])] or [
        (0, None)
    ]
    trace = [at for at, other in others if isinstance(other, optax.TraceState)]
    if len(others) != len(trace) or len(trace) > 1:
        return None
    last = members[-1][0]
    if isinstance(state, optax.ScaleByRmsState | optax.ScaleByRStdDevState):
        # optax.rmsprop has the learning rate between the two, as TF1 has, and its sign with it.
        if trace and trace != [first + 2]:
            return None
        centered = [Slot(first, "mu")] if isinstance(state, optax.ScaleByRStdDevState) else []
        momentum = Slot(trace[0], "trace", -1) if trace else Slot(first, "nu", 0)
        return Optimizer("RMSProp", [Slot(first, "nu"), *centered, momentum], None, {})
    if trace:
        return None
    match state:
        case None:
            return Optimizer("", [], None, {})
        case optax.ScaleByAdamState():
            return Optimizer("Adam", [Slot(first, "mu"), Slot(first, "nu")], first, {})
        case optax.ScaleByRssState():
            return Optimizer("Adagrad", [Slot(first, "sum_of_squares")], None, {})
        case optax.ScaleByAdaDeltaState():
            return Optimizer("Adadelta", [Slot(first, "e_g"), Slot(first, "e_x")], None, {})
        # A trace that is the last of several may hold what is multiplied by the learning rate already.
        case optax.TraceState() if first != last or len(members) == 1:
            return Optimizer("Momentum", [Slot(first, "trace")], None, {})
        case _:
            return None


def _is_silent(optax: Any, state: Any) -> bool:
    """Tell a part that has nothing for TF1: no state, or a count of steps."""
    return isinstance(state, optax.EmptyState) or getattr(state, "_fields", None) == ("count",)


def _is_counter(path: Path, state: Any) -> bool:
    """Tell a count of steps: the state of a schedule, or what `inject_hyperparams` counts."""
    fields = getattr(state, "_fields", None)
    return fields == ("count",) or (fields is None and path[-1:] == (GetAttrKey("count"),))


def _group(path: Path) -> Path:
    """Return what says which variables a part is for: the way to the state of a mask or a label."""
    inner = [at for at, key in enumerate(path) if key == GetAttrKey("inner_state")]
    return path[: inner[-1] + 1] if inner else ()
