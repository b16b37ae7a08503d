"""What programs come to by the model, in the format of the recorded outcomes, and how two outcomes differ."""

from typing import Any

from tests.conformance.corpus import Line, Node, pseudocode, without_new
from tests.conformance.interpreter import Run
from tests.conformance.model import Model
from tests.conformance.model_scopes import Made
from tests.conformance.objects import Given, Identity


def _named(final: dict[str, Any], names: list[str]) -> dict[str, Any]:
    def by_name(loss: Any) -> Any:
        known = isinstance(loss, list) and isinstance(loss[0], int) and loss[0] < len(names)
        return [names[loss[0]], loss[1]] if known else loss

    return {**final, "reg_losses": [by_name(loss) for loss in final["reg_losses"]]}


def observed(run: Run, names: list[str]) -> dict[str, Any]:
    """Steps, error and final lists of a finished run; losses by the names of their variables."""
    seen: dict[str, Any] = {"steps": run.steps, "final": _named(run.final, names)}
    return {**seen, "error": run.error} if run.error else seen


def record(program: list[Node]) -> dict[str, Any]:
    """The outcome of a program by the model."""
    model, identity = Model(), Identity()
    run = Run(model, program, identity)
    run.attempt()
    kept = {id(made) for made in (*model.books.store.values(), *model.books.plain.values())}
    variables: list[dict[str, Any]] = []
    for made in identity.seen:
        row = {"name": made.name, "shape": list(made.shape), "dtype": made.dtype, "init": made.init}
        if made.plain:
            row["key"] = None
        if not made.trainable:
            row["trainable"] = False
        if made.constraint is not None:
            row["constraint"] = run.tag("constraint", made.constraint)
        if id(made) not in kept:
            row["undone"] = True
        variables.append(row)
    seen = observed(run, [made.name for made in identity.seen])
    return {"vars": variables, **seen, **_unsettled(model)}


def kept(outcome: dict[str, Any]) -> dict[str, int]:
    """The variables that are there in the end: name -> index."""
    return {v["name"]: i for i, v in enumerate(outcome["vars"]) if not v.get("undone")}


def replay(program: list[Node], outcome: dict[str, Any]) -> dict[str, Any]:
    """What the replay of a program comes to by the model, given the variables of `outcome`."""
    numbered = []
    for name, i in kept(outcome).items():
        row = outcome["vars"][i]
        numbered.append((Made(name, tuple(row["shape"]), row["dtype"]), i))
    model = Model({made.name: made for made, _ in numbered})
    run = Run(model, program, Given(numbered))
    run.attempt()
    return {**observed(run, [v["name"] for v in outcome["vars"]]), **_unsettled(model)}


def _unsettled(model: Model) -> dict[str, bool]:
    return {"unsettled": True} if model.unsettled else {}


def difference(expected: dict[str, Any], got: dict[str, Any], program: list[Node]) -> str:
    """The first thing that differs, under the program as Python; empty if nothing does."""
    message = _first(expected, got)
    return message and f"{message}\nprogram:\n{pseudocode(program, '  ')}"


def _first(expected: dict[str, Any], got: dict[str, Any]) -> str:
    steps, others = expected["steps"], got["steps"]
    for k in range(max(len(steps), len(others))):
        pair = [row[k] if k < len(row) else "no such step" for row in (steps, others)]
        if pair[0] != pair[1]:
            error = f"\n  error    {got.get('error')}" if k >= len(others) else ""
            return f"step {k}:\n  expected {pair[0]}\n  got      {pair[1]}{error}"
    for key in ("error", "final"):
        if expected.get(key) != got.get(key):
            return f"{key}:\n  expected {expected.get(key)}\n  got      {got.get(key)}"
    rows, made = expected.get("vars", []), got.get("vars", [])
    for i in range(max(len(rows), len(made))):
        pair = [row[i] if i < len(row) else "no such variable" for row in (rows, made)]
        if pair[0] != pair[1]:
            return f"variable {i}:\n  expected {pair[0]}\n  got      {pair[1]}"
    return ""


def expected_replay(line: Line) -> dict[str, Any]:
    """What the replay of a recorded program must come to: as recorded, else by the model."""
    return line.replay if line.replay is not None else replay(line.program, line.outcome)


RUNNING = {"init_call_failed", "init_wrong_shape", "init_wrong_dtype"}


def replays_alike(outcome: dict[str, Any]) -> bool:
    """Whether a replay must give the very steps and error of the recording (R59)."""
    undone = any(v.get("undone") for v in outcome["vars"])
    codes = [outcome.get("error", {}).get("code"), *(step.get("code") for step in outcome["steps"])]
    # What a user's initializer raises cannot be told from what the program raises, so neither counts.
    return not undone and not RUNNING.intersection(codes) and "user_exception" not in codes


def repeated(outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome as a replay that is like the recording gives it."""
    steps = [without_new(step) for step in outcome["steps"]]
    return {**{k: v for k, v in outcome.items() if k != "vars"}, "steps": steps}
