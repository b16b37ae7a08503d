"""Books: what a pass has made is kept in its order, and undone as if it had never been."""

import gc
import weakref
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxscope._core.passes.books import Books
from jaxscope._core.passes.entries import Added, Entry
from jaxscope._core.requests.request import Request

FLOAT = np.dtype("float32")


def entry_of(name: str, **asked: Any) -> Entry:
    return Entry(name, Request(explicit=False, shape=(), **asked), (), FLOAT)


def add(books: Books, key: str, entry: Entry | None = None) -> None:
    books.add(Added(key, "", 0, None, len(books.entries), None, entry))  # type: ignore[arg-type]


class Layers:
    """A group of layers, whose entries are made late."""

    def __init__(self, prefix: str, count: int) -> None:
        self.pattern = prefix + "{}"
        self.prefix = prefix
        self.position = 0
        self.settled = False
        self.made = [entry_of(f"{prefix}{i}/w") for i in range(count)]
        self.size = count

    def entries(self) -> list[Entry]:
        return self.made

    def cells(self) -> list[Any]:
        return []


def facts(books: Books) -> Any:
    """Return all that can be asked of books, but what no digest covers."""
    return (
        [(name, entry.added_to) for name, entry in books.entries.items()],
        [(one.key, one.position) for one in books.added],
        dict(books.aliases),
        sorted(books.groups),
        list(books.templates),
        books.key()[0],  # type: ignore[index]
    )


WORDS = ("enter", "add", "add a variable", "alias", "take", "template", "mark", "undo")
STEPS = st.lists(st.sampled_from(WORDS), max_size=25)


@settings(max_examples=200)
@given(STEPS)
def test_undone_is_as_if_it_had_never_been(steps: list[str]):
    """Whatever was noted since a mark; what was noted before stays, and marks may be inside each other."""
    books = Books(touch=lambda: None)
    books.enter(entry_of("first"))
    marks: list[Any] = []
    key = object()
    for number, step in enumerate(steps):
        if step == "enter":
            books.enter(entry_of(f"v{number}"))
        elif step == "add":
            add(books, "mine")
        elif step == "add a variable":
            add(books, f"key{number}", next(iter(books.entries.values())))
        elif step == "alias":
            books.alias(f"a{number % 3}", f"v{number}")
        elif step == "take":
            books.take(key, "scope")
        elif step == "template":
            books.templates[number] = True
        elif step == "mark":
            marks.append((books.mark(), facts(books), _count(books, key)))
        elif step == "undo" and marks:
            mark, before, count = marks.pop()
            version = books.key()
            books.undo(mark)
            assert facts(books) == before
            assert books.take(key, "scope") == count
            books.undo(mark)
            assert books.key() != version  # an inner trace of before must not be taken for one of now


def _count(books: Books, key: object) -> int:
    """Return how many keys were taken, without taking one."""
    mark = books.mark()
    count = books.take(key, "scope")
    books.undo(mark)
    return count


def test_keys_are_counted_by_object_and_scope():
    """Equal keys that are two objects are two, and each scope counts for itself."""
    books = Books()
    one, two = np.zeros(2), np.zeros(2)
    taken = [
        books.take(key, scope) for key, scope in [(one, "a"), (one, "a"), (two, "a"), (one, "b"), (one, "a")]
    ]
    assert taken == [0, 1, 0, 0, 2]


def test_counts_of_a_key_go_over_to_another_object():
    """A key that has become another object goes on where it was, in each scope."""
    books = Books()
    one, two = np.zeros(2), np.zeros(2)
    for scope in ("a", "a", "b"):
        books.take(one, scope)
    books.retake(two, books.taken(one))
    assert [books.take(two, scope) for scope in ("a", "b", "c")] == [2, 1, 0]
    assert books.taken(two) == {"a": 3, "b": 2, "c": 1}
    assert books.taken(np.zeros(2)) == {}


@pytest.mark.parametrize(
    "make", [lambda: np.zeros(2), lambda: jax.random.key(0), lambda: jax.random.PRNGKey(0)]
)
def test_a_key_is_not_kept(make: Any):
    """Another one at the same address is another one, whose counts begin anew."""
    books = Books()
    one = make()
    alive = weakref.ref(one)
    assert books.take(one, "a") == 0
    del one
    gc.collect()
    assert alive() is None
    other = make()
    books._taken = {(id(other), "a"): count for count in books._taken.values()}
    assert books.taken(other) == {}
    assert books.take(other, "a") == 0


@pytest.mark.parametrize("ask", ["find", "settle"])
def test_groups_take_their_place(ask: str):
    """The entries of layers are made when one is asked for, between what was made before and after them."""
    books = Books()
    books.enter(entry_of("first"))
    books.add_group(Layers("a/layer_", 2))
    books.add_group(Layers("b/layer_", 1))
    books.enter(entry_of("last"))
    assert books.find("last") is books.entries["last"]
    assert books.find("a/other") is None
    assert list(books.entries) == ["first", "last"]
    assert books.made == 5
    found = books.find("a/layer_1/w") if ask == "find" else books.settle()
    names = ["first", "a/layer_0/w", "a/layer_1/w", "b/layer_0/w", "last"]
    assert list(books.entries) == names
    assert books.made == 5
    assert ask == "settle" or found is books.entries["a/layer_1/w"]
    books.settle()
    assert list(books.entries) == names


@pytest.mark.parametrize("settled", [True, False])
def test_groups_are_undone(settled: bool):
    """With their entries, where these were made."""
    books = Books()
    books.enter(entry_of("first"))
    mark = books.mark()
    books.add_group(Layers("layer_", 2))
    books.enter(entry_of("last"))
    if settled:
        books.settle()
    books.undo(mark)
    books.settle()
    assert list(books.entries) == ["first"]
    assert books.groups == {}


def test_each_change_is_told():
    """Inner traces depend on the books, so each change is told of, and gives another key."""
    keys: list[Any] = []
    books = Books(touch=lambda: keys.append(books.key()))
    books.enter(entry_of("a"))
    add(books, "mine")
    books.take(object(), "")
    books.add_group(Layers("layer_", 1))
    books.undo(books.mark())
    assert len(keys) == len(set(keys)) == 5
    books.close()
    books.changed()
    assert len(keys) == 5


def test_the_key_is_that_of_what_was_made():
    """Two passes that made the same in another order have equal digests, and others have not."""
    digests = []
    for names in (["a", "b"], ["b", "a"], ["a"], ["a", "c"]):
        books = Books(touch=lambda: None)
        for name in names:
            books.enter(entry_of(name))
        digests.append(books.key())
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


# --- entries -----------------------------------------------------------------------------------


@given(
    st.none() | st.lists(st.sampled_from("abc"), max_size=3),
    st.lists(st.sampled_from("abc"), max_size=3),
    st.booleans(),
)
def test_an_entry_is_in_each_collection_once(listed: Any, added: list[str], trainable: bool):
    """Those it was made with, then those it was added to."""
    entry = entry_of("w", collections=listed, trainable=trainable)
    books = Books()
    for key in added:
        add(books, key, entry)
    usual = ["variables"] if listed is None else listed
    trained = ["trainable_variables"] if trainable else []
    assert list(entry.collections) == list(dict.fromkeys([*usual, *trained, *added]))
    assert entry.trainable is trainable
