"""Rules R13 to R22: reuse, scope objects and default names, by small programs."""

from typing import Any

import pytest

import jaxscope as js
from tests.conformance.rules import (
    AUTO,
    OPTIONS,
    PLAIN,
    MineError,
    both,
    code,
    fail,
    get,
    opened,
    options,
    scope,
)

# --- reuse -------------------------------------------------------------------------------------


def test_reuse_of_a_scope_by_name():
    """R14: its own if True or AUTO, which replace each other; False and None inherit."""

    def reuse(outer: Any, inner: Any) -> Any:
        with scope("a", reuse=outer), scope("b", reuse=inner) as inside, scope("") as same:
            return inside.reuse, same.reuse

    values = [None, False, True, AUTO]
    table = {
        (outer, inner): both(lambda o=outer, i=inner: reuse(o, i)) for outer in values for inner in values
    }
    assert table == {(o, i): ((i or o or False),) * 2 for o in values for i in values}


def test_reuse_variables():
    """R15: it sets that object to True, for later entries too, and no scope that is open inside it."""

    def program() -> list[Any]:
        with scope("a") as a, scope("b") as b:
            a.reuse_variables()
            inside = b.reuse
        with scope(a) as again, scope("c") as c:
            later = again.reuse, c.reuse
        with scope("x", reuse=AUTO) as x:
            x.reuse_variables()
        js.get_variable_scope().reuse_variables()
        with scope("d") as d:
            return [inside, later, x.reuse, a.reuse, d.reuse, js.get_variable_scope().reuse]

    assert both(program) == [False, (True, True), True, True, True, True]


@pytest.mark.parametrize("reuse", [0, 1, "", "yes", 0.0, []])
def test_reuse_values(reuse: Any):
    """R16: only True, False, None and AUTO; also where a getter passes one on."""

    def program() -> list[str]:
        return [
            code(lambda: opened("a", reuse=reuse)),
            code(lambda: opened("", reuse=reuse)),
            code(lambda: opened(js.get_variable_scope(), reuse=reuse)),
            code(lambda: get(custom_getter=lambda getter, **kw: getter(**{**kw, "reuse": reuse}))),
        ]

    assert both(program) == ["bad_reuse_value"] * 4


def test_default_name_and_reuse():
    """R17: its own True or AUTO is refused; inherited reuse is fine, and so is reuse=False."""

    def program() -> list[str]:
        refused = [code(lambda r=r: opened(None, "d", reuse=r)) for r in (True, AUTO)]
        with scope("a", reuse=AUTO):
            return [*refused, opened(None, "d"), opened(None, "d", reuse=False)]

    assert both(program) == ["reuse_without_name"] * 2 + ["a/d", "a/d_1"]


# --- scope objects -----------------------------------------------------------------------------


def test_a_scope_tells_its_options():
    """R18, R35, R36: the scope itself, scopes and the empty name below it, and jumps, from any place."""

    def program() -> list[Any]:
        with scope("a", **OPTIONS) as a:
            here = options(js.get_variable_scope())
            with scope("b") as b, scope("") as same:
                pass
            with scope(None, "d") as d:
                pass
            with scope(js.get_variable_scope()) as itself:
                pass
        with scope(a) as jump, scope("c") as c:
            pass
        return [options(s) for s in (a, b, same, d, itself, jump, c)] + [here]

    assert both(program) == [OPTIONS] * 8


def test_nothing_of_the_place_of_a_jump_counts():
    """R19: not one option, nor the name, nor reuse; arguments override, but reuse=False does not."""

    def program() -> list[Any]:
        with scope("n") as n:
            pass
        with scope("r", reuse=True) as r:
            pass
        with scope("a", reuse=True, **OPTIONS), scope(n) as inside:
            found = [options(inside), inside.name, inside.reuse]
        with scope(n, dtype="int32", reuse=AUTO) as own, scope(r, reuse=False) as still:
            return [*found, own.dtype.name, own.reuse, still.reuse]

    assert both(program) == [PLAIN, "n", False, "int32", AUTO, True]


def test_the_setters_act_later():
    """R18, R19: on the object, and on scopes entered later; a copy does not reach its object."""

    def program() -> list[Any]:
        with scope("a") as a, scope("open") as before:
            for name in ("dtype", "initializer", "regularizer", "partitioner", "custom_getter"):
                getattr(a, f"set_{name}")(OPTIONS[name])
        with scope(a) as copy, scope("b") as below:
            copied = options(copy)
            copy.reuse_variables()
            copy.set_dtype("bool")
        return [options(before), options(a), copied, options(below), a.reuse, copy.reuse, copy.dtype.name]

    expected = {**OPTIONS, "constraint": None}
    assert both(program) == [PLAIN, expected, expected, expected, False, True, "bool"]


# --- default names -----------------------------------------------------------------------------


def test_the_first_free_number():
    """R20: names opened by name count, a gap is filled, and each scope counts for itself."""

    def program() -> list[str]:
        opened("d_1")
        opened("d_3")
        found = [opened(None, "d") for _ in range(4)]
        with scope("a"):
            return [*found, opened(None, "d"), opened(None, "d_1"), opened(None, "d")]

    assert both(program) == ["d", "d_2", "d_4", "d_5", "a/d", "a/d_1", "a/d_2"]


def leave(*args: Any, raising: bool) -> None:
    """Open a scope and leave it, perhaps by an exception, after entering two levels in it."""
    try:
        with scope(*args), scope("d"), scope(None, "e"):
            if raising:
                fail()
    except MineError:
        pass


@pytest.mark.parametrize("raising", [False, True])
def test_leaving_clears_the_counts_below(raising: bool):
    """R21: all of them, for names and default names, by exceptions too; but not its own."""

    def program() -> list[str]:
        leave("a", raising=raising)
        with scope("a"):
            below = opened(None, "d")
            with scope("d"):
                deep = opened(None, "e")
        leave(None, "x", raising=raising)
        with scope("x"):
            default = opened(None, "d")
        return [below, deep, default, opened(None, "a"), opened(None, "x")]

    assert both(program) == ["a/d", "a/d/e", "x/d", "a_1", "x_1"]


def test_leaving_clears_the_counts_of_all_levels():
    """R21: also below a scope that was never entered by itself."""

    def program() -> str:
        with scope("a"):
            opened("d/e")
        with scope("a"), scope("d"):
            return opened(None, "e")

    assert both(program) == "a/d/e"


@pytest.mark.parametrize("raising", [False, True])
def test_leaving_a_jump_puts_the_table_back(raising: bool):
    """R22: the counts below the target, and those elsewhere, are as they were, after exceptions too."""

    def program() -> list[str]:
        with scope("a") as a:
            opened(None, "d")
            try:
                with scope(a):
                    names_in = [opened(None, "d"), opened(None, "e")]
                    if raising:
                        fail()
            except MineError:
                pass
            return [*names_in, opened(None, "d"), opened(None, "e")]

    assert both(program) == ["a/d_1", "a/e", "a/d_1", "a/e"]


def test_the_count_of_a_jump_s_target():
    """R22: it stays if the target's direct parent is open, where the root always is; else it goes."""

    def program() -> dict[str, str]:
        with scope("a"), scope("d") as d, scope("e") as e:
            pass
        found = {}
        with scope("a"):
            opened(d)
            found["the parent is the current scope"] = opened(None, "d")
        with scope("a"):
            with scope("x"):
                opened(d)
            found["the parent is open further out"] = opened(None, "d")
        with scope("a") as a:
            pass
        with scope(a):
            opened(d)
            found["the parent is open by a jump"] = opened(None, "d")
        with scope("a"):
            opened(e)
            with scope("d"):
                found["only the parent's parent is open"] = opened(None, "e")
        opened(d)
        with scope("a"):
            found["the parent is not open"] = opened(None, "d")
        with scope(d), scope(a):
            found["inside the jump"] = opened(None, "d")
        return found

    assert both(program) == {
        "the parent is the current scope": "a/d_1",
        "the parent is open further out": "a/d_1",
        "the parent is open by a jump": "a/d_1",
        "only the parent's parent is open": "a/d/e",
        "the parent is not open": "a/d",
        "inside the jump": "a/d_1",
    }


def test_a_jump_to_a_scope_of_an_earlier_pass_counts_at_the_root():
    """R22: the root is always open, so a jump to a scope of the first level counts for good."""
    kept: list[Any] = []

    def first() -> None:
        with scope("a") as a:
            kept.append(a)

    js.transform(first).spec()

    def program() -> list[str]:
        with scope("x"):
            opened(kept[0])
        return [opened(None, "a"), opened(None, "x")]

    assert both(program) == ["a_1", "x_1"]
