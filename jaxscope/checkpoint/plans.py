"""Plans: what is to be read from where, settled by names, shapes and types, and all that is wrong."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax

import jaxscope as js
from jaxscope.checkpoint import along, assignments, beside, contents, converting, matching
from jaxscope.checkpoint.placing import Places
from jaxscope.checkpoint.reads import (
    Problems,
    Read,
    check_expansion,
    is_along,
    misfits,
    read_of,
    struct_of,
    typed,
)
from jaxscope.checkpoint.report import Report, Row
from jaxscope.checkpoint.slicing import Sliced
from jaxscope.checkpoint.stored import Entry, Place, Stored
from jaxscope.errors import VariablesMismatchError


@dataclasses.dataclass(frozen=True)
class Ways:
    """How to load: the arguments of `load`."""

    rename: matching.Rename = None
    assignment_map: Mapping[str, Any] | None = None
    missing: str = "error"
    extra: str = "error"
    cast: bool = False
    opt_state: Any = None
    mesh: Any = None
    shardings: Any = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        reads: By the names that variables have here.
        drawn: The specs of variables that are to be drawn.
        places: Where all of them live.
        frozen: The names that are not trainable.
        opt_state: The leaves of the optimizer state, to be read or as they are, and its structure; None
            without.
        mesh: The mesh on which what is drawn is made, or None.
        report: What became of everything.
        stored: The file.
        given: Full name here -> name in the file, of all that may be a variable.
    """

    reads: Mapping[str, Read]
    drawn: js.VariableSpecs
    places: Mapping[str, Place]
    frozen: tuple[str, ...]
    opt_state: tuple[list[Any], Any] | None
    mesh: Any
    report: Report
    stored: Stored
    given: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


def check_choice(argument: str, given: object, other: str) -> None:
    """Raise `ValueError` unless an argument is `"error"` or its other choice."""
    if given not in ("error", other):
        raise ValueError(f'{argument} must be "error" or {other!r}, not {given!r}')


def planned(stored: Stored, specs: js.VariableSpecs | None, ways: Ways) -> Plan:
    """Return what is to be done.

    Raises:
        VariablesMismatchError: The file does not fit; all that is wrong is listed.
        InitializerError: What is missing cannot be drawn.
        CheckpointError: More would come out of the file than can be in it (code `damaged`).
    """
    problems = Problems()
    names = [name for name in stored.entries if not is_along(stored, name)]
    if ways.assignment_map is None:
        given, wrong = matching.renamed(names, ways.rename)
        problems.add("rename", wrong)
    else:
        assert specs is not None
        stored, given, wrong = assignments.assigned(stored, specs, ways.assignment_map)
        problems.add("assignment_map", wrong)
    if specs is None:
        plan = _all_there_is(stored, given, names, ways, problems)
        expected: set[str] = set()
    else:
        plan = _matched(stored, specs, given, names, ways, problems)
        expected = {read.wanted.name for read in plan.reads.values()}
    leaves = along.planned(stored, given, ways, plan.reads, problems)
    expected |= {leaf.wanted.name for leaf in (leaves or ([], None))[0] if isinstance(leaf, Read)}
    problems.check(stored, None if specs is None else len(specs))
    check_expansion(stored, {read.wanted.name for read in plan.reads.values()} - expected)
    plan.report.along.update(along.told(stored, leaves))
    return dataclasses.replace(plan, opt_state=leaves, given=given)


# --- variables -------------------------------------------------------------------------------------


def _all_there_is(
    stored: Stored, given: Mapping[str, str], names: list[str], ways: Ways, problems: Problems
) -> Plan:
    """Plan to read all variables of a file."""
    others = _beside(stored)
    given = {
        new: name for new, name in given.items() if name not in others or others[name].kind != beside.GRAPH
    }
    unreadable = {new for new, name in given.items() if stored.entries[name].problem}
    if ways.extra == "error":
        problems.add(
            "value", (f"{new}: {stored.entries[given[new]].problem}" for new in given if new in unreadable)
        )
    used = {new: name for new, name in given.items() if new not in unreadable}
    structs = {new: struct_of(stored, name) for new, name in used.items()}
    places = Places(None, ways.mesh, ways.shardings).of(structs, problems)
    reads = {new: read_of(stored, name, new, structs[new].dtype, places[new]) for new, name in used.items()}
    frozen = tuple(
        new for new, name in used.items() if contents.FROZEN + name in stored.facts or name in others
    )
    for new, struct in structs.items():
        problems.add("value", misfits(stored, used[new], new, struct.dtype))

    def rows() -> Iterator[Row]:
        yield from (_used(stored, new, name, structs[new]) for new, name in used.items())
        yield from _left(stored, names, used.values())

    report = Report(stored.path, rows, {})
    return Plan(reads, js.VariableSpecs(), places, frozen, None, None, report, stored)


def _matched(
    stored: Stored,
    specs: js.VariableSpecs,
    given: Mapping[str, str],
    names: list[str],
    ways: Ways,
    problems: Problems,
) -> Plan:
    """Plan to read the variables of specs, and to draw what is missing if that was asked for."""
    wanted = matching.wanted(specs, given)
    stacks = matching.stacks(wanted, given)
    inside = {member for members in stacks.values() for member in members}
    used = {new: name for new, name in given.items() if new in wanted or new in stacks}
    missing = {name: spec for name, spec in wanted.items() if name not in used and name not in inside}
    if missing and not used and ways.missing == "init":
        problems.add("missing", [f"none of the {len(names)} arrays in the file is asked for: see rename"])
    unreadable = {new for new, name in used.items() if stored.entries[name].problem}
    problems.add(
        "value", (f"{new}: {stored.entries[used[new]].problem}" for new in used if new in unreadable)
    )
    one_of = {new: wanted[new] if new in wanted else wanted[stacks[new][0]] for new in used}
    structs = {
        new: struct_of(stored, name, _cast(stored.entries[name], one_of[new].dtype, ways))
        for new, name in used.items()
        if new not in unreadable
    }
    asked = [
        spec
        for name, spec in wanted.items()
        if (ways.missing == "error" or name not in missing)
        and name not in unreadable
        and not any(name in stacks.get(new, ()) for new in unreadable)
    ]
    others: list[str] = []
    if ways.extra == "error" and ways.assignment_map is None:
        known = _beside(stored)
        others = [name for new, name in given.items() if new not in used and name not in known]
    problems.add("extra", (f"{name} {stored.entries[name]}" for name in others))
    frozen = _bound(js.VariableSpecs(asked), structs, problems)
    for new, struct in structs.items():
        problems.add("value", misfits(stored, used[new], new, struct.dtype))
    drawn = js.VariableSpecs(missing.values())
    if drawn and ways.missing == "init":
        jax.eval_shape(drawn.init, jax.random.key(0))  # whether they can be drawn, before anything is read
    everything = {**structs, **missing}
    places = Places(js.VariableSpecs(wanted.values()), ways.mesh, ways.shardings).of(everything, problems)
    reads = {
        new: read_of(stored, used[new], new, struct.dtype, places[new]) for new, struct in structs.items()
    }
    frozen += [name for name, spec in missing.items() if not spec.trainable]

    def rows() -> Iterator[Row]:
        told: set[str] = set()
        for name, spec in wanted.items():
            if name in missing:
                yield Row("missing", name, "", "", typed(spec))
            for new in [name] if name in structs else [new for new in stacks if name in stacks[new]]:
                if new not in told:
                    told.add(new)
                    yield _used(stored, new, used[new], structs[new])
        yield from _left(stored, names, used.values())

    report = Report(stored.path, rows, {})
    return Plan(reads, drawn, places, tuple(frozen), None, ways.mesh, report, stored)


def _cast(entry: Entry, asked: Any, ways: Ways) -> Any:
    return asked if ways.cast and not entry.problem and converting.castable(entry.dtype, asked) else None


def _bound(specs: js.VariableSpecs, structs: Mapping[str, Any], problems: Problems) -> list[str]:
    """Let specs check what is there, as they check values; return what is not trainable."""
    try:
        # Under a trace the values are types alone.
        bound: js.Variables = jax.eval_shape(specs.bind, dict(structs))
    except VariablesMismatchError as problem:
        for kind in ("missing", "twice", "shape", "dtype", "value"):
            problems.add(kind, str(problem.facts.get(kind, "")).splitlines())
        return []
    return list(bound.non_trainable)


def _used(stored: Stored, new: str, name: str, struct: Any) -> Row:
    entry = stored.entries[name]
    was = typed(struct) if contents.is_key(struct) else str(entry)
    return Row("used", new, name, was, typed(struct))


def _left(stored: Stored, names: Iterable[str], used: Iterable[str]) -> Iterator[Row]:
    taken, others = set(used), _beside(stored)
    if isinstance(stored, Sliced):
        taken |= {stored.sources.get(name, name) for name in taken}
    return (
        Row("beside" if name in others else "left", name, name, str(stored.entries[name]), "")
        for name in names
        if name not in taken
    )


def _beside(stored: Stored) -> Mapping[str, beside.Beside]:
    return beside.told_apart(stored.entries) if stored.tf1 else {}
