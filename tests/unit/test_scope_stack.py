"""The stack of open scopes, with their options: entering, jumping, leaving, and going back."""

import contextlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope._core.scopes.numbering import Numbers
from jaxscope._core.scopes.options import Options
from jaxscope._core.scopes.stack import ScopeStack
from jaxscope.errors import ScopeNestingError


class Owner:
    """What scope objects need of a pass."""

    def look(self, what: str) -> None: ...
    def scope_is_set(self, scope: Any) -> None: ...
    def absolute(self, what: str) -> None: ...
    def members(self, key: str, matches: Any) -> list[Any]:
        return []


OWNER = Owner()  # kept: scope objects hold it weakly


def stack() -> ScopeStack:
    return ScopeStack(OWNER)


# --- options -----------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_options():
    """So that requests understood once are found again, in each pass through a scope."""
    root, zeros = Options(), js.initializers.zeros()
    assert root.below({"initializer": zeros}) is root.below({"initializer": zeros})
    assert root.changed(initializer=zeros) is root.changed(initializer=zeros)
    assert root.below({"initializer": zeros}).initializer is zeros


def test_equal_is_not_the_same():
    """An equal initializer may be another object, which is the one that the user gets back."""
    root = Options()
    one, two = js.initializers.ones(), js.initializers.ones()
    assert one == two
    assert root.below({"initializer": one}).initializer is one
    assert root.below({"initializer": two}).initializer is two
    arrays = np.ones(2), np.ones(2)  # which have no hash
    assert [root.below({"initializer": array}).initializer is array for array in arrays] == [True, True]


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "reuse": st.sampled_from([True, js.AUTO_REUSE]),
        "dtype": st.sampled_from(["float32", "bfloat16", "int32"]),
        "initializer": st.sampled_from([js.initializers.zeros, 0.5]),
        "constraint": st.sampled_from([jnp.abs]),
    },
)


@given(st.lists(OPTIONS, max_size=4))
def test_what_is_not_given_is_inherited(given_: list[dict[str, Any]]):
    """The innermost that gives an option decides it; the options around stay as they are."""
    options = root = Options()
    expected: dict[str, Any] = {"reuse": False, "dtype": "float32", "initializer": None, "constraint": None}
    for one in given_:
        options = options.below(one)
        expected |= one
    found = {name: getattr(options, name) for name in expected}
    assert found == {**expected, "dtype": jnp.dtype(expected["dtype"])}
    assert (root.reuse, root.initializer) == (False, None)


def test_getters_are_chained():
    """A scope's getter runs before those around it, whereas the setter's is in the place of all."""

    def labelled(label: str) -> Any:
        return lambda getter, **kwargs: label + getter(**kwargs)

    inner = Options().below({"custom_getter": labelled("o")}).below({"custom_getter": labelled("i")})
    assert inner.custom_getter(lambda **kwargs: "", name="w") == "io"
    one = labelled("s")
    assert inner.changed(custom_getter=one).custom_getter is one


def test_forgotten_with_the_pass():
    """Nothing that was understood stays in options that the user may keep."""
    root = Options()
    below = root.below({"initializer": np.ones(2)})
    below.requests["key"] = "request"  # type: ignore[assignment]
    root.forget()
    assert below.requests == {}
    assert root._variants == {}


# --- entering and leaving ----------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("same"), st.none()),
        st.tuples(st.just("jump"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.none()),
    ),
    max_size=20,
)


@settings(max_examples=200)
@given(STEPS)
def test_names_are_those_of_the_way_in(steps: list[Any]):
    """A scope's name is the one around it and its own, or the object's; leaving puts back what was there."""
    scopes, seen = stack(), [stack().current]
    way: list[tuple[Any, str, str]] = []  # manager, full name and name-scope path before
    for what, argument in steps:
        before = scopes.current._name, scopes.names.path
        if what == "leave":
            if way:
                manager, *expected = way.pop()
                scopes.leave(manager)
                assert [scopes.current._name, scopes.names.path] == expected
            continue
        manager = object()
        way.append((manager, *before))
        if what == "enter":
            scope = scopes.enter(argument, argument, {}, manager, {})
            assert scope._name == (f"{before[0]}/{argument}" if before[0] else argument)
            assert scope._space == scopes.names.path != before[1]
        elif what == "same":
            scope = scopes.enter_same({}, manager)
            assert (scope._name, scopes.names.path) == before
        else:
            target = seen[argument % len(seen)]
            scope = scopes.jump(target, {}, manager, {})
            assert scope is not target
            assert scope._name == target._name
        assert scopes.current is scope
        assert scope._prefix == (f"{scope._name}/" if scope._name else "")
        assert next(iter(scopes.chain())) is scope
        seen.append(scope)
    scopes.close()
    assert scopes.current._name == ""
    assert [scope._name for scope in scopes.chain()] == [""]


def test_only_who_entered_leaves():
    """A manager that is not the innermost one is told so, and nothing is left."""
    scopes, outer, inner = stack(), object(), object()
    scopes.enter("a", "a", {}, outer, {})
    scopes.enter("b", "b", {}, inner, {})
    with pytest.raises(ScopeNestingError, match="a scope is left while a/b"):
        scopes.leave(outer)
    assert scopes.current._name == "a/b"
    scopes.leave(inner)
    scopes.leave(outer)
    assert scopes.current._name == ""


def test_undone_numbers_are_free():
    """Default names and those of js.Variable are given again after going back."""
    scopes = stack()

    def numbered() -> tuple[str, str]:
        own = scopes.free_name("d")
        manager = object()
        scope = scopes.enter(own, "d", {}, manager, {})
        found = scope._name, scope._space
        scopes.leave(manager)
        return found

    assert numbered() == ("d", "d")
    mark = scopes.mark()
    assert [numbered(), numbered()] == [("d_1", "d_1"), ("d_2", "d_2")]
    scopes.undo(mark)
    assert numbered() == ("d_1", "d_1")


def test_inner_traces_are_told_apart_by_where_they_are():
    """The key is one for one chain of scopes and options, and another for each other one."""
    scopes, numbers = stack(), Numbers()
    keys = {}

    def note(what: str) -> None:
        keys[what] = scopes.key(numbers, named=False)

    note("root")
    for attempt in range(2):
        one, two = object(), object()
        scopes.enter("a", "a", {}, one, {})
        note(f"a {attempt}")
        scopes.enter_same({"reuse": True}, two)
        note(f"a, reuse {attempt}")
        scopes.leave(two)
        scopes.leave(one)
    note("root, after a")
    assert keys["a 0"] == keys["a 1"]
    assert keys["a, reuse 0"] == keys["a, reuse 1"]
    assert len(set(keys.values())) == 4


def test_names_that_no_variable_may_begin_with():
    """Below a name scope such a scope may be opened, and its options say that nothing can be made in it."""
    scopes = stack()
    assert scopes.enter_unchecked("-a", "-a", {}, object(), {})._options.named is False
    assert scopes.enter_unchecked("b", "b", {}, object(), {})._options.named is False
    assert stack().enter_unchecked("b", "b", {}, object(), {})._options.named is True


def test_standing_in_enters_nothing():
    """What runs inside has the scope's name and options; nothing is counted, and it ends with the block."""
    scopes = stack()
    touched: list[str] = []
    scopes.touch = lambda: touched.append(scopes.current._name)
    options = Options(reuse=True)
    mark, entered = scopes.mark(), scopes.entered
    with contextlib.suppress(ZeroDivisionError), scopes.standing_in("a/b", options):
        assert (scopes.current._name, scopes.current._prefix) == ("a/b", "a/b/")
        assert scopes.current._options is options
        raise ZeroDivisionError
    assert scopes.current._name == ""
    assert (scopes.mark(), scopes.entered) == (mark, entered)
    assert touched == ["a/b", ""]
