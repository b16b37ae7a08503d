"""Rules R46 to R53: templates, by small programs that fail where a rule is broken."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from tests.conformance.rules import (
    AUTO,
    OPTIONS,
    PLAIN,
    MineError,
    both,
    caught,
    code,
    fail,
    get,
    logs,
    names,
    opened,
    options,
    scope,
    zeros,
)


def test_the_scope_of_a_template():
    """R46, R47: numbered, but for unique_name_; later calls share; a second one of a unique name may not."""

    def program() -> list[Any]:
        one, two = js.make_template("t", get), js.make_template("t", get)
        first, again = one(), one()
        two()
        unique = js.make_template("t", get, unique_name_="t")
        with scope("a"):
            same = one() is first
            other = js.make_template("t", get)
            other()
        scopes = [t.variable_scope for t in (one, two, other)]
        return [first is again, same, code(unique), [s and s.name for s in scopes]]

    assert both(program) == [True, True, "exists", ["t", "t_1", "a/t"]]
    assert names(program) == {"t/v", "t_1/v", "a/t/v"}


def test_a_unique_name_under_reuse():
    """R47: the second template of a name then shares the variables of the first."""

    def program() -> bool:
        first = js.make_template("x", get, unique_name_="t")()
        with scope("", reuse=True):
            return js.make_template("x", get, unique_name_="t")() is first

    assert both(program)
    assert names(program) == {"t/v"}


def test_a_template_needs_a_name():
    """R48: also beside unique_name_."""
    make = [lambda: js.make_template(None, get), lambda: js.make_template(None, get, unique_name_="t")]
    assert both(lambda: [code(m) for m in make]) == ["template_without_name"] * 2


@pytest.mark.parametrize("now", [False, True])
def test_the_getter_of_a_template(now: bool):
    """R46, R49: it runs once for each request, in the first call and in later ones."""

    def program() -> list[str]:
        log: list[str] = []
        template = js.make_template("t", get, now, custom_getter_=logs(log, "own"))
        template()
        template()
        return log

    assert both(program) == ["own", "own"]


def test_create_scope_now():
    """R49, R53: the scope has its name, options and count at once, no name scope, and no variables."""

    def program() -> list[Any]:
        def body() -> jax.Array:
            js.Variable(0.0, name="u") if not done else None
            return get()

        done: list[bool] = []
        with scope("a", dtype="int32"):
            template = js.make_template("t", body, create_scope_now_=True)
            outside = opened(None, "t")
        where = template.variable_scope
        get("a/t/w")
        members = len(template.global_variables)
        with scope("b", reuse=True, dtype="bool"):
            dtype = template().dtype.name
        done.append(True)
        template()
        assert where is not None
        return [where.name, outside, members, dtype, len(template.global_variables)]

    assert both(program) == ["a/t", "a/t_1", 0, "int32", 2]
    assert names(program) == {"a/t/w", "a/t/v", "b/t/u"}


def test_create_scope_now_opens_no_name_scope():
    """R49: the first call opens the first one."""

    def program() -> None:
        template = js.make_template("t", lambda: js.Variable(0.0, name="u"), create_scope_now_=True)
        template()

    assert names(program) == {"t/u"}


def test_a_later_call_has_the_options_of_the_first():
    """R50: those of the place where the scope was made, whatever the later place."""

    def program() -> list[Any]:
        seen: list[Any] = []
        template = js.make_template("t", lambda: seen.append(options(js.get_variable_scope())))
        with scope("a", **OPTIONS):
            template()
        with scope("b", dtype="bool", initializer=zeros, regularizer=fail, constraint=jnp.sqrt):
            template()
        plain_one = js.make_template("t", lambda: seen.append(options(js.get_variable_scope())))
        plain_one()
        with scope("c", **OPTIONS):
            plain_one()
        return seen

    assert both(program) == [OPTIONS, OPTIONS, PLAIN, PLAIN]


def test_a_later_call_makes_nothing():
    """R51: not by jumps, first and later calls of other templates, nor js.Variable; only until it ends."""

    def program() -> list[str]:
        with scope("out") as out:
            pass
        shared = js.make_template("shared", get)
        shared()
        calls: list[bool] = []

        def body() -> list[str]:
            if not calls:
                calls.append(True)
                return []
            found = [code(get)]
            with scope("", reuse=AUTO):
                found.append(code(lambda: get("new")))
            shared()
            with scope("", reuse=AUTO):
                found.append(code(lambda: get("new")))
            with scope(out):
                found.append(code(lambda: get("new")))
                found.append(code(js.make_template("inner", get)))
                found.append(code(lambda: get("new")))
            with scope(out, reuse=True):
                found.append(code(lambda: get("new")))
            return [*found, code(lambda: js.Variable(0.0))]

        template = js.make_template("t", body)
        template()
        found = template()
        get("after")
        return found

    new, missing = "template_new_variable", "missing"
    assert both(program) == [missing, new, new, new, new, new, missing, new]


@pytest.mark.parametrize("error", [MineError, KeyboardInterrupt])
def test_a_first_call_that_fails_leaves_nothing(error: type[BaseException]):
    """R52: variables, values, losses, names, counts, its scope and other first calls; it is then a first."""
    failing: list[bool] = []

    def program() -> list[Any]:
        failing[:] = [True]
        inner = js.make_template("inner", get)

        def body() -> str:
            get("v", regularizer=lambda _: 1.0)
            js.add_to_collection("c", 1)
            js.Variable(0.0, name="u")
            inner()
            number = opened(None, "d")
            if failing.pop():
                raise error
            return number

        template = js.make_template("t", body)
        with pytest.raises(error):
            template()
        after = [template.variable_scope, inner.variable_scope, len(js.get_collection("variables"))]
        failing.append(False)
        number = template()
        where = template.variable_scope
        return [
            after,
            number,
            where and where.name,
            js.get_collection("c"),
            len(js.get_collection("regularization_losses")),
        ]

    assert both(program) == [[None, None, 0], "t/d", "t", [1], 1]
    assert names(program) == {"t/v", "t/u", "t/inner/v"}


def test_a_failing_later_call_undoes_nothing():
    """R52: the template stays called, what was added stays."""

    def program() -> list[Any]:
        def body(fails: bool) -> jax.Array:
            js.add_to_collection("c", fails)
            if fails:
                raise MineError
            return get()

        template = js.make_template("t", body)
        first = template(False)
        caught(lambda: template(True))
        return [js.get_collection("c"), template(False) is first]

    assert both(program) == [[False, True], True]


def test_a_scope_made_at_once_survives_a_failing_first_call():
    """R49, R52: make_template made it, not the call."""

    def program() -> list[Any]:
        calls: list[bool] = []

        def body() -> jax.Array:
            calls.append(True)
            if len(calls) == 1:
                raise MineError
            return get()

        with scope("a"):
            template = js.make_template("t", body, create_scope_now_=True)
        before = template.variable_scope
        caught(template)
        kept = template.variable_scope is before
        template()
        return [kept, template.variable_scope is not None]

    assert both(program) == [True, True]
    assert names(program) == {"a/t/v"}


def test_the_variables_of_a_template():
    """R53: by collection, filtered by the template's scope; empty until a call succeeded."""

    def program() -> list[Any]:
        def body() -> None:
            get("v")
            get("frozen", trainable=False)
            js.get_local_variable("local", [1])

        get("outside")
        template = js.make_template("t", body)
        counts = []
        for _ in range(2):
            counts.append(
                [
                    len(template.global_variables),
                    len(template.trainable_variables),
                    len(template.local_variables),
                ]
            )
            template()
        return counts

    assert both(program) == [[0, 0, 0], [2, 1, 1]]


def test_later_calls_make_nothing_that_is_given():
    """R3, R51: a replay refuses a new variable in a template's later call, though a value is given for it."""

    @js.transform
    def net() -> Any:
        names = iter(["v", "w"])

        def body() -> Any:
            with js.variable_scope("a", reuse=AUTO):
                return js.get_variable(next(names), [])

        template = js.make_template("t", body)
        template()
        return template()

    given = {"t/a/v": jnp.ones([]), "t/a/w": jnp.ones([])}
    for run in (net.spec, lambda: net.apply(given), lambda: jax.jit(net.apply)(given)):
        with pytest.raises(js.errors.TemplateError) as problem:
            run()
        assert problem.value.code == "template_new_variable"
