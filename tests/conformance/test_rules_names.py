"""Rules R1 to R12: passes and names, by small programs that fail where a rule is broken."""

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import pytest

import jaxscope as js
from tests.conformance.rules import AUTO, both, code, get, names, no_getter, opened, scope

# --- passes ------------------------------------------------------------------------------------


def test_a_template_of_another_pass_is_uncalled():
    """R1: a pass knows nothing of the templates' calls, nor of their scopes, in another one."""
    kept: list[Any] = []

    def first() -> None:
        kept[:] = [js.make_template("t", get), js.make_template("u", get, create_scope_now_=True)]
        for template in kept:
            template()

    js.transform(first).spec()
    again = both(lambda: [(t.variable_scope, t.global_variables) for t in kept])
    assert again == [(None, [])] * 2


def test_nothing_added_stays():
    """R1: collections are empty at the start of a pass."""

    def program() -> list[Any]:
        js.add_to_collection("c", 1)
        return js.get_collection("c")

    assert both(program) == [1]


def test_a_replay_runs_no_initializer():
    """R3: neither a function nor a class of initializers."""
    ran: list[str] = []

    def initializer(key: Any, shape: Any, dtype: Any) -> Any:
        ran.append("function")
        return jnp.zeros(shape, dtype)

    class Made:
        def __init__(self) -> None:
            ran.append("class")

        def __call__(self, key: Any, shape: Any, dtype: Any) -> Any:
            return jnp.zeros(shape, dtype)

    def program() -> None:
        get("v", initializer=initializer)
        get("w", initializer=Made)

    js.transform(program).apply({"v": jnp.ones(1), "w": jnp.ones(1)})
    assert not ran


def test_what_is_given_is_not_made():
    """R3, R4: under reuse=True a name is missing in a replay, too, though it is given; and never made."""
    net = js.transform(lambda: code(lambda: get("v")))
    with_reuse = js.transform(lambda: js.get_variable_scope().reuse_variables() or code(lambda: get("v")))
    given = {"v": jnp.ones(1)}
    assert with_reuse.apply(given) == "missing" == net.apply({"w": jnp.ones(1)})
    assert net.apply(given).startswith("no error")


def test_which_dtypes_and_shapes_a_replay_compares():
    """R4: the dtype that the call gives, not the scope's; the shape, where None fits any size."""
    given = {"v": jnp.ones([2, 3], jnp.bfloat16)}

    def outcome(**kwargs: Any) -> str:
        return js.transform(lambda: code(lambda: js.get_variable("v", **kwargs))).apply(given)

    assert outcome(shape=[2, 3]) == outcome(shape=[2, 3], dtype="bfloat16") == "no error"
    assert outcome(shape=[2, 3], dtype="float32") == "dtype_mismatch"
    assert outcome(shape=[3, 2]) == outcome(shape=[6]) == "shape_mismatch"
    alone = {"initializer": lambda: jnp.zeros([5])}  # R30: it decides both
    assert outcome(**alone, dtype="float32") == outcome(**alone, shape=[9, None]) == "no error"


# --- names -------------------------------------------------------------------------------------


def test_case_matters():
    """R6, R57: `v` is not `V`, for variables and for js.Variable."""

    def program() -> None:
        get("v")
        get("V")
        js.Variable(0.0, name="u")
        js.Variable(0.0, name="U")

    assert names(program) == {"v", "V", "u", "U"}


def test_a_slash_in_a_name_opens_both_scopes():
    """R6, R20: `a/b` is `b` in `a`, for variables and for default names."""

    def program() -> list[str]:
        with scope("a"):
            get("b/v")
            inner = opened("b/c")
            with scope("b", reuse=True):
                js.get_variable("v")
                return [inner, opened(None, "c")]

    assert both(program) == ["a/b/c", "a/b/c_1"]


GOOD = ["v", "0", ".v", "a.b", "a_b", "a\\b", "a>b", "a-b", "a/b", "a//b"]
BAD = ["_v", "-v", "/v", "\\v", ">v", "v\n", "v w", "é", "vé", "v:0", "v/", "", "v$", "(v)"]
LATER = ["_v", "-v", "/v", "\\v", ">v"]  # good behind a first part


def first_parts(name: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the ways to use a name as the first part of a full one."""
    yield "variable", lambda: get(name)
    yield "scope", lambda: opened(name) and None
    yield "default", lambda: opened(None, name) and None
    yield "js.Variable", lambda: js.Variable(0.0, name=name)
    yield "name_scope", lambda: js.name_scope(name).__enter__()


@pytest.mark.parametrize("name", GOOD)
def test_names_that_are_good_first(name: str):
    """R7: letters, digits and dots may be first, and `_ . \\ / > -` behind them."""
    for how, use in first_parts(name):
        assert both(lambda use=use: code(use)).startswith("no error"), how


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_bad_first(name: str):
    """R7: nothing else may; nor may an own name be empty or end in a slash (but `''` in its places)."""
    for how, use in first_parts(name):
        if (how, name) not in {("scope", ""), ("name_scope", ""), ("name_scope", "v/")}:
            assert both(lambda use=use: code(use)) == "invalid_characters", how


@pytest.mark.parametrize("name", [*LATER, *(name for name in BAD if name not in LATER)])
def test_names_inside_a_scope(name: str):
    """R7: behind a first part, the first character may be any that others may be."""
    expected = "no error" if name in LATER else "invalid_characters"

    def inside(use: Callable[[], Any]) -> str:
        with scope("a"):
            return code(use)

    for how, use in first_parts(name):
        if (how, name) not in {("scope", ""), ("name_scope", ""), ("name_scope", "v/")}:
            assert both(lambda use=use: inside(use)).startswith(expected), how


def test_the_name_scope_path_decides_what_is_first():
    """R7: for scopes and js.Variables it is the name-scope path; for get_variable the full name."""

    def in_name_scope() -> list[str]:
        with js.name_scope("n"):
            return [
                code(lambda: opened("_a")),
                code(lambda: js.Variable(0, name="_u")),
                code(lambda: get("_v")),
            ]

    def in_scope_without_path() -> list[str]:
        with scope("a"), js.name_scope(None):
            return [
                code(lambda: opened("_a")),
                code(lambda: js.Variable(0, name="_u")),
                code(lambda: get("_v")),
            ]

    good, bad = "no error", "invalid_characters"
    assert both(in_name_scope) == [good, good, bad]
    assert both(in_scope_without_path) == [bad, bad, good]
    assert both(lambda: code(lambda: js.name_scope("_x/").__enter__())) == bad


def test_a_jump_checks_no_name():
    """R7: a scope that could be opened can be entered again, whatever its name begins with."""

    def program() -> str:
        with js.name_scope("n"), scope("_a") as odd:
            pass
        return opened(odd)

    assert both(program) == "_a"


@pytest.mark.parametrize("name", [3, None, b"v", 1.5])
def test_names_are_strings(name: Any):
    """R7, R8: also a name that a getter passes on."""
    wrong = [
        lambda: get(name),
        lambda: get("v", custom_getter=lambda getter, **kwargs: getter(**{**kwargs, "name": name})),
        lambda: opened(name) if name is not None else opened(3),
        lambda: opened(None, name if name is not None else 3),
        lambda: js.Variable(0.0, name=name if name is not None else 3),
        lambda: js.name_scope(name if name is not None else 3).__enter__(),
    ]
    assert both(lambda: [code(use) for use in wrong]) == ["not_a_string"] * len(wrong)


def test_names_are_checked_first():
    """R8, R23: before initializer and getter, and under reuse, where it is no `missing`."""

    def program() -> list[str]:
        with scope("", reuse=True):
            under_reuse = code(lambda: get("é"))
        return [
            under_reuse,
            code(lambda: get("é", initializer="zeros")),
            code(lambda: get("é", custom_getter=3)),
            code(lambda: get(3, custom_getter=3)),  # type: ignore[arg-type]
        ]

    assert both(program) == ["invalid_characters"] * 3 + ["not_a_string"]


def test_what_a_getter_passes_on_is_checked():
    """R8: a name passed on to the request, or to the next getter, which then is not called."""
    called: list[str] = []

    def outer(getter: Any, **kwargs: Any) -> Any:
        called.append(kwargs["name"])
        return getter(**kwargs)

    def renames(getter: Any, **kwargs: Any) -> Any:
        return getter(**{**kwargs, "name": "é"})

    def program() -> list[str]:
        with scope("a", custom_getter=outer), scope("b", custom_getter=renames):
            chained = code(get)
        return [chained, code(lambda: get(custom_getter=renames))]

    assert both(program) == ["invalid_characters"] * 2
    assert not called


def test_the_empty_name_only_sets_options():
    """R9: no name scope, and no count touched or cleared, in any scope."""

    def program() -> list[str]:
        with scope("a"):
            opened(None, "d")
            with scope("", dtype="int32") as same:
                js.Variable(0.0, name="u")
            return [same.name, same.dtype.name, opened(None, "d")]

    assert both(program) == ["a", "int32", "a/d_1"]
    assert names(program) == {"a/u"}


def test_default_names_that_are_not_used():
    """R10: beside a name, default_name is ignored, also a bad one; alone it is checked, also `''`."""

    def program() -> list[str]:
        return [
            opened("a", "é"),
            opened("b", ""),
            opened("c", "d", reuse=AUTO),
            code(lambda: opened(None, "")),
            code(opened),
        ]

    assert both(program) == ["a", "b", "c", "invalid_characters", "no_scope_name"]


def test_the_order_in_which_a_scope_checks():
    """R11: name, string, characters, reuse value, R17, getter, string initializer."""
    wrong = {"reuse": 3, "custom_getter": no_getter, "initializer": "zeros"}
    without = [wrong, {**wrong, "reuse": None}, {"initializer": "zeros"}]

    def program() -> list[str]:
        return [
            code(lambda: opened(**wrong)),
            code(lambda: opened(5, **wrong)),
            code(lambda: opened("é", **wrong)),
            code(lambda: opened(None, "é", **wrong)),
            code(lambda: opened(None, "d", **wrong)),
            code(lambda: opened(None, "d", **{**wrong, "reuse": True})),
            *(
                code(lambda o=o: opened(at, **o))
                for at in ("a", "", js.get_variable_scope())
                for o in without
            ),
        ]

    assert both(program) == [
        "no_scope_name",
        "not_a_string",
        "invalid_characters",
        "invalid_characters",
        "bad_reuse_value",
        "reuse_without_name",
        *["bad_reuse_value", "getter_signature", "string_initializer"] * 3,
    ]


def test_a_refused_scope_leaves_no_trace():
    """R11: neither a count nor a name scope."""

    def program() -> list[str]:
        refusals = [
            code(lambda: opened("d", reuse=3)),
            code(lambda: opened(None, "d", initializer="zeros")),
            code(lambda: opened(None, "d", reuse=True)),
        ]
        with scope(None, "d") as inside:
            js.Variable(0.0, name="u")
        return [*refusals, inside.name]

    assert both(program) == ["bad_reuse_value", "string_initializer", "reuse_without_name", "d"]
    assert names(program) == {"d/u"}


def test_a_manager_is_evaluated_at_each_entry():
    """R12: in another scope, beside itself, in itself."""

    def program() -> list[str]:
        by_default, by_name = scope(None, "d"), scope("n")
        with by_default as one, by_default as two:
            pass
        with by_default as three, by_name as four, by_name as five:
            pass
        with by_name as six:
            pass
        return [s.name for s in (one, two, three, four, five, six)]

    assert both(program) == ["d", "d/d", "d_1", "d_1/n", "d_1/n/n", "n"]
