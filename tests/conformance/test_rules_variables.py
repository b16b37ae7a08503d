"""Rules R54 to R58: js.Variable and name scopes, by small programs."""

from typing import Any

import jax.numpy as jnp
import pytest

import jaxscope as js
from tests.conformance.rules import (
    AUTO,
    MineError,
    both,
    caught,
    code,
    fail,
    get,
    names,
    opened,
    scope,
    specs,
)


def test_js_variable_ignores_the_scope():
    """R54: reuse, dtype, regularizer, constraint and getters; get_variable never finds it."""

    def program() -> list[str]:
        with scope("", reuse=True, dtype="int32", regularizer=fail, constraint=jnp.abs, custom_getter=fail):
            js.Variable(1.5, name="u")
            js.Variable(1.5, name="u")
        with scope("", reuse=AUTO):
            return [code(lambda: get("u"))]

    assert both(program) == ["exists"]
    found = {n: (s.dtype, s.regularizer, s.constraint) for n, s in specs(program).items()}
    assert found == dict.fromkeys(("u", "u_1"), (jnp.float32, None, None))


def test_the_order_of_js_variable():
    """R54: name, R45, R51, creators, then the name that they pass on, and R45 again."""
    listed: dict[str, Any] = {"trainable": False, "collections": ["trainable_variables"]}

    def renames(following: Any, **kwargs: Any) -> Any:
        return following(**{**kwargs, "name": "é"})

    def program() -> list[str]:
        called: list[bool] = []

        def body() -> list[str]:
            if not called:
                called.append(True)
                return []
            return [
                code(lambda: js.Variable(0.0, name="é", **listed)),
                code(lambda: js.Variable(0.0, **listed)),
                code(lambda: js.Variable(0.0)),
            ]

        template = js.make_template("t", body)
        template()
        later = template()
        with js.variable_creator_scope(fail):
            before = [code(lambda: js.Variable(0.0, name="é")), code(lambda: js.Variable(0.0, **listed))]
        with js.variable_creator_scope(renames):
            return [*later, *before, code(lambda: js.Variable(0.0, name="u"))]

    bad, conflict = "invalid_characters", "trainable_conflict"
    assert both(program) == [bad, conflict, "template_new_variable", bad, conflict, bad]


def test_the_name_of_js_variable():
    """R55: behind the name scopes, not the scope's name."""

    def program() -> None:
        with scope("a"):
            with js.name_scope("n"):
                js.Variable(0.0)
            js.Variable(0.0, name="u")
            with js.name_scope(None), scope(""):
                js.Variable(0.0)

    assert names(program) == {"a/n/Variable", "a/u", "Variable"}


def test_name_scopes_of_scopes():
    """R56: a new one at each entry, of the own name, the default name, or the last part in a jump."""

    def program() -> None:
        with scope("a") as a, scope("b") as b:
            js.Variable(0.0, name="one")
        with scope(b):
            js.Variable(0.0, name="two")
        with scope("x"), scope(b):
            js.Variable(0.0, name="three")
        with scope("a"), scope(js.get_variable_scope()), scope(a):
            js.Variable(0.0, name="four")
        opened("d")
        with scope(None, "d"):
            js.Variable(0.0, name="five")
        with scope("x") as x, scope(x):
            js.Variable(0.0, name="six")

    assert names(program) == {"a/b/one", "b/two", "x/b/three", "a_1/a/a/four", "d_1/five", "x_1/x/six"}


def test_the_root_object_opens_no_name_scope():
    """R56: entering it stays in the current path."""

    def program() -> None:
        root = js.get_variable_scope()
        with scope("a"), scope(root):
            js.Variable(0.0, name="u")
            get("v")

    assert names(program) == {"a/u", "v"}


def test_name_scope():
    """R56: new ones are numbered, `x/` opens path x again, None and `''` the empty path."""

    def program() -> list[str]:
        paths: list[str] = []

        def enter(name: Any, key: str) -> None:
            with js.name_scope(name) as path:
                paths.append(path)
                js.Variable(0.0, name=key)

        with js.name_scope("n"):
            enter("x", "one")
            enter("x", "two")
            enter("n/x/", "three")
            enter("", "four")
            enter(None, "five")
            js.Variable(0.0, name="six")
        enter("n", "seven")
        return paths

    assert both(program) == ["n/x/", "n/x_1/", "n/x/", "", "", "n_1/"]
    assert names(program) == {"n/x/one", "n/x_1/two", "n/x/three", "four", "five", "n/six", "n_1/seven"}


def test_the_path_in_getters_is_empty():
    """R56: there only, and behind exceptions the path is that of the place."""

    def getter(getter: Any, **kwargs: Any) -> Any:
        js.Variable(0.0, name="inside")
        return getter(**kwargs)

    def program() -> None:
        with scope("a"):
            get("v", custom_getter=getter)
            js.Variable(0.0, name="behind")
            caught(lambda: get("w", custom_getter=fail))
            js.Variable(0.0, name="after")
            with pytest.raises(MineError), js.name_scope("n/"):
                raise MineError
            js.Variable(0.0, name="last")
        with pytest.raises(MineError), scope("b"):
            raise MineError
        js.Variable(0.0, name="outside")

    assert names(program) == {"a/v", "inside", "a/behind", "a/after", "a/last", "outside"}


def test_numbers_of_names():
    """R57: from the times the name was asked for, the first never asked for, which then counts."""

    def program() -> None:
        for name in ("u", "u", "u_1", "u", "u_2", "x_1", "x", "x", "x"):
            js.Variable(0.0, name=name)

    # u, u -> u_1, u_1 -> u_1_1, u -> u_2, u_2 -> u_2_1; x_1, x, x (1: taken) -> x_2, x (2: taken) -> x_3
    assert names(program) == {"u", "u_1", "u_1_1", "u_2", "u_2_1", "x_1", "x", "x_2", "x_3"}


def test_names_of_get_variable_are_asked_for():
    """R58: they count once, and stop a number; a scope's name does not stop get_variable."""

    def program() -> list[str]:
        get("u")
        js.Variable(0.0, name="u")
        get("x_1")
        js.Variable(0.0, name="x")
        js.Variable(0.0, name="x")
        get("y_2")
        for _ in range(3):
            js.Variable(0.0, name="y")
        opened("s")
        js.Variable(0.0, name="s")
        return [code(lambda: get("s")), code(lambda: get("x_2"))]

    assert both(program) == ["no error", "exists"]
    assert names(program) == {"u", "u_1", "x_1", "x", "x_2", "y_2", "y", "y_1", "y_3", "s_1", "s"}


def test_names_that_were_asked_for_without_being_used():
    """R57, R58: each time counts, get_variable's too, so numbers may be skipped."""

    def program() -> None:
        opened("s")
        get("s")
        js.Variable(0.0, name="s")  # asked for twice before
        opened("t")
        js.Variable(0.0, name="t")  # once
        get("t")
        js.Variable(0.0, name="t")  # three times

    assert names(program) == {"s", "s_2", "t", "t_1", "t_3"}


def test_a_default_name_is_asked_for_without_its_number():
    """R56: the path's number is found by R57, the scope's by R20."""

    def program() -> str:
        with js.name_scope("d_1"):
            pass
        opened(None, "d")
        with scope(None, "d") as second:
            js.Variable(0.0, name="u")
        return second.name

    assert both(program) == "d_1"
    assert names(program) == {"d_2/u"}
