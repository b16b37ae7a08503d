"""Full names: which ones are allowed, how two join, and in what order many are kept."""

import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxscope._core.base import names

quick = settings(deadline=None, max_examples=200)
parts = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=6)
full_names = st.lists(parts, min_size=1, max_size=4).map("/".join)


def test_join_adds_a_slash_but_not_at_the_root():
    assert names.join("", "w") == "w"
    assert names.join("a/b", "w") == "a/b/w"


@quick
@given(parts, parts, parts)
def test_join_is_associative(a: str, b: str, c: str):
    """`b/v` in scope `a` is `v` in scope `a/b`."""
    assert names.join(names.join(a, b), c) == names.join(a, names.join(b, c))


@pytest.mark.parametrize(
    "name", ["w", "W", "0", ".", "a/b", "a//b", "a\\b", "a>b", "a-b", "a_b", "a.b", "..", "w" * 10_000]
)
def test_allowed(name: str):
    assert names.is_valid(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/w",
        "w/",
        "_w",
        "-w",
        "\\w",
        ">w",
        "w w",
        "w\n",
        "\nw",
        "w:0",
        "é",
        "a/é",
        "w\0",
        "重み",
        "\ud800",
    ],
)
def test_refused(name: str):
    assert not names.is_valid(name)


@quick
@given(st.text(max_size=8))
@example("w\n")
def test_variable_names_are_those_of_the_rule(name: str):
    """R7, written once more; in particular nothing beyond ASCII, and no line break at the end."""
    by_rule = re.match(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*\Z", name) is not None and name[-1] != "/"
    assert names.is_valid(name) == by_rule


@quick
@given(st.text("aZ0_.\\/>-é \n", max_size=5))
def test_own_names_may_begin_with_more_below_the_first_part(name: str):
    """Where a path is open, an own name's first character may be any of the later ones."""
    assert names.is_valid(name, first=True) == names.is_valid(name)
    assert names.is_valid(name, first=False) == names.is_valid("a" + name) * bool(name)


@quick
@given(st.text("aé/ _\n", max_size=6))
def test_the_complaint_points_at_the_first_wrong_character(name: str):
    if names.is_valid(name):
        return
    message = str(names.invalid(name, "variable", ""))
    found = re.search(r": character (\d+) is ", message)
    if found is None:
        assert message.splitlines()[0].endswith("it ends in a slash" if name else "it is empty")
    else:
        at = int(found[1]) - 1
        assert name[at] in ("aé/ _\n" if at == 0 else "é \n")
        assert all(names.is_valid(one, first=False) for one in name[1:at].replace("/", ""))


def test_long_names_are_shortened_in_messages():
    message = str(names.invalid("é" * 10_000, "variable", ""))
    assert len(message) < 400
    assert "(10002 characters)" in message


def test_order_is_numeric():
    listed = ["layer_10/w_11", "layer_10/w_2", "layer_2/w", "layer_10/w"]
    assert sorted(listed, key=names.order_key) == listed[2:] + listed[1::-1]


@quick
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**12)), min_size=1))
def test_order_is_that_of_numbers(pairs: list[tuple[int, int]]):
    """With zeros in front as without; which of two equal numbers is first is told by the zeros."""
    listed = sorted((f"w_{'0' * zeros}{number}" for zeros, number in pairs), key=names.order_key)
    numbers = [int(name.removeprefix("w_")) for name in listed]
    assert numbers == sorted(numbers)


def test_numbers_of_any_length_are_ordered():
    """Python refuses to make an int of more than 4300 digits; R7 has no such limit."""
    long, longer = "w_" + "1" * 5000, "w_" + "1" * 5001
    assert sorted([longer, "w_2", long, "w_10"], key=names.order_key) == ["w_2", "w_10", long, longer]


def test_order_goes_part_by_part():
    """A scope's variables stay together: `a/z` is before `a-b/c`, though `-` is less than `/`."""
    assert sorted(["a-b/c", "a/z", "a"], key=names.order_key) == ["a", "a/z", "a-b/c"]


@quick
@given(st.lists(full_names, unique=True), st.randoms())
@example(["a_01", "a_1", "a_001", "a_1_1"], None)
def test_order_is_total(listed: list[str], random: object):
    """Names that differ have keys that differ, so that the order of making never shows."""
    keys = {names.order_key(name) for name in listed}
    assert len(keys) == len(listed)
    shuffled = list(listed)
    if random is not None:
        random.shuffle(shuffled)
    assert sorted(shuffled, key=names.order_key) == sorted(listed, key=names.order_key)


@quick
@given(st.lists(full_names, unique=True))
def test_a_scope_s_names_are_consecutive(listed: list[str]):
    scopes = [name.split("/")[0] for name in sorted(listed, key=names.order_key)]
    runs = [scope for at, scope in enumerate(scopes) if at == 0 or scopes[at - 1] != scope]
    assert len(runs) == len(set(runs))


def test_other_digits_than_ascii_do_not_break_the_order():
    """`str.isdigit` is true of `²`, which `int` refuses."""
    assert sorted(["a²", "a2", "a٣"], key=names.order_key) == sorted(["a²", "a2", "a٣"], key=names.order_key)
    assert names.order_key("a²") != names.order_key("a2")
