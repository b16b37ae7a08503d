"""Numbering: default names and the names of js.Variable, against the rules written out as plain tables."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jaxscope._core.scopes.numbering import Counts, NameScopes, Numbers

OWN = ("a", "b", "a_1", "d")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(OWN)),
        st.tuples(st.just("number"), st.sampled_from(["a", "d"])),
        st.tuples(st.just("leave"), st.none()),
        st.tuples(st.just("mark"), st.none()),
        st.tuples(st.just("undo"), st.integers(0, 5)),
    ),
    max_size=30,
)


class Table:
    """Rules R20 and R21, as they are written: a count for each full name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def free(self, prefix: str, default: str) -> str:
        number, name = 0, default
        while self.counts[prefix + name]:
            number += 1
            name = f"{default}_{number}"
        return name

    def leave(self, scope: str) -> None:
        for name in [name for name in self.counts if name.startswith(scope + "/")]:
            del self.counts[name]


@settings(max_examples=300)
@given(STEPS)
def test_default_names_are_numbered_by_the_rules(steps: list[Any]):
    """Entering, leaving, numbering and going back give what a table of counts gives; so do the digests."""
    counts, table = Counts(), Table()
    path: list[str] = []
    marks: list[tuple[Any, ...]] = []
    digests: dict[int, frozenset[str]] = {}
    for what, argument in steps:
        prefix = "".join(f"{part}/" for part in path)
        if what == "mark":
            marks.append((counts.mark(), dict(table.counts), list(path)))
        elif what == "undo" and marks:
            del marks[argument + 1 :]
            mark, before, path = marks.pop()
            counts.undo(mark)
            table.counts = Counter(before)
        elif what == "leave" and path:
            counts.log.append(prefix)
            table.leave("/".join(path))
            path = path[:-1]
        elif what in ("enter", "number"):
            own = argument
            if what == "number":
                own = counts.free_name(prefix, argument)
                assert own == table.free(prefix, argument)
            counts.log.append(prefix + own)
            table.counts[prefix + own] += 1
            path = [*path, own]
        entered = frozenset(name for name, count in table.counts.items() if count)
        assert set(counts.entered_below("")) == entered
        assert digests.setdefault(counts.digest, entered) == entered  # equal digests, equal tables


class Entry:
    def __init__(self, by_get: bool) -> None:
        self.by_get = by_get


ASKS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["v", "v_1", "V"])),
        st.just("mark"),
        st.just("undo"),
    ),
    max_size=20,
)


@settings(max_examples=300)
@given(ASKS, st.sets(st.sampled_from(["v", "a/v", "a/v_1", "b/v_2"])), st.booleans())
def test_names_are_never_given_twice(asks: list[Any], made: set[str], by_get: bool):
    """R57 as it is written: as it is, or the first number that is free, from how often it was asked for."""
    scopes, entries = NameScopes(), {name: Entry(by_get) for name in made}
    asked: Counter[str] = Counter({name: 1 for name in made if by_get})
    given: list[str] = []
    marks: list[Any] = []
    for ask in asks:
        if ask == "mark":
            marks.append((scopes.mark(), asked.copy(), len(given)))
        elif ask == "undo":
            if marks:
                mark, asked, count = marks.pop()
                scopes.undo(mark)
                del given[count:]
        else:
            path, own = ask
            name = f"{path}/{own}" if path else own
            expected, number = name, asked[name]
            if number:
                while asked[expected := f"{name}_{number}"] or expected in entries:
                    number += 1
                asked[expected] += 1
            asked[name] += 1
            found = scopes.ask(path, own, entries)
            assert found == expected
            given.append(found)
        assert len(set(given)) == len(given)
        assert not by_get or not set(given) & made


@given(st.lists(st.tuples(st.sampled_from(["", "x", "y"]), st.sampled_from(["v", "w"])), max_size=8))
def test_asking_again_elsewhere(asks: list[tuple[str, str]]):
    """What was asked for below one path is asked for below another, with what was opened inside."""
    one, other = NameScopes(), NameScopes()
    one.path = "here"
    mark = one.mark()
    for below, own in asks:
        path = one.ask("here", below, {}) if below else "here"
        one.ask(path, own, {})
    other.path = "there"
    other.again(one.since(mark), "here", {})
    there = [given.replace("here", "there", 1) for _, _, given in one.since(mark)]
    assert [given for _, _, given in other.since(0)] == there


@given(st.lists(st.sampled_from(["one", "two", ("three", 3)])))
def test_numbers_stand_for_what_is_equal(keys: list[Any]):
    """Equal keys have one number, others another; objects are told apart by identity, None is 0."""
    numbers = Numbers()
    found = [numbers.of(key) for key in keys]
    assert [found.index(number) for number in found] == [keys.index(key) for key in keys]
    first, second = [], []
    assert numbers.of_object(first) == numbers.of_object(first) != numbers.of_object(second)
    assert numbers.of_object(None) == 0
    assert not {numbers.of_object(first), numbers.of_object(second)} & set(found)
