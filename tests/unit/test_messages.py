"""Messages: the whole text of errors, and both places, however a request came about.

What each error says is compared on the page of errors (`tests/test_errors_page.py`).
"""

import contextlib
import copy
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope import errors
from jaxscope.errors import JaxscopeError, VariableExistsError

AUTO = js.AUTO_REUSE


def line(function: Callable[..., Any], mark: str) -> int:
    """Return the number of the line of this file where `function` says `# mark`."""
    lines, start = inspect.getsourcelines(inspect.unwrap(function))
    (at,) = [at for at, text in enumerate(lines) if text.rstrip().endswith(f"# {mark}")]
    return start + at


def error_of(run: Callable[[], Any]) -> JaxscopeError:
    with pytest.raises(JaxscopeError) as caught:
        run()
    return caught.value


def exists(name: str, first: str, again: str, scope: str = "the root scope (reuse=False)") -> str:
    return (
        f"variable {name!r} already exists, and this scope does not share names\n"
        f"  first    float32[2]  test_messages.py:{first}\n"
        f"  again    test_messages.py:{again}\n"
        f"  scope    {scope}\n"
        "  fix      to share it, open the scope with reuse=True or js.AUTO_REUSE; "
        "for a new one, use another name"
    )


# --- two places --------------------------------------------------------------------------------


def plain() -> None:
    js.get_variable("w", [2])  # first
    js.get_variable("w", [2])  # again


def over_lines() -> None:
    js.get_variable(  # first
        "w",
        [2],
        initializer=js.initializers.zeros,
    )
    js.get_variable(  # again
        "w",
        [
            2,
        ],
    )


def local() -> None:
    js.get_local_variable("w", [2])  # first
    js.get_local_variable("w", [2])  # again


def by_getter() -> None:
    def getter(getter: Any, name: str, **kwargs: Any) -> Any:
        return getter(name, **kwargs)

    with js.variable_scope("", custom_getter=getter), js.variable_scope("", custom_getter=getter):
        js.get_variable("w", [2])
        js.get_variable("w", [2])


def by_creator() -> None:
    def creator(next_creator: Any, **kwargs: Any) -> Any:
        return next_creator(**kwargs)

    with js.variable_creator_scope(creator):
        js.get_variable("w", [2])  # first
    js.get_variable("w", [2])  # again


def in_jit() -> None:
    @jax.jit
    def inner(x: jax.Array) -> jax.Array:
        return x * js.get_variable("w", [2])  # first

    inner(jnp.ones(2))
    js.get_variable("w", [2])  # again


def in_scan() -> None:
    js.get_variable("w", [2])  # first
    jax.lax.scan(lambda c, _: (c * js.get_variable("w", [2]), None), jnp.ones(2), length=3)  # again


def in_template() -> None:
    template = js.make_template("t", lambda: js.get_variable("w", [2]), unique_name_="t")  # first
    template()
    js.get_variable("t/w", [2])  # again


def in_scope_object() -> None:
    with js.variable_scope("") as scope:
        js.get_variable("w", [2])  # first
    with js.variable_scope(scope):
        js.get_variable("w", [2])  # again


@pytest.mark.parametrize("function", [plain, over_lines, local, by_creator, in_jit, in_scan, in_scope_object])
def test_both_places(function: Callable[[], None]):
    """In a recording, in a replay, and under jit: the same text."""
    again_in = "<lambda>" if function is in_scan else function.__name__
    first_in = "inner" if function is in_jit else function.__name__
    expected = exists(
        "w", f"{line(function, 'first')} in {first_in}", f"{line(function, 'again')} in {again_in}"
    )
    net = js.transform(function)
    given = {"w": jnp.ones(2)}
    for run in (net.spec, lambda: net.apply(given), lambda: jax.jit(net.apply)(given)):
        error = error_of(run)
        assert type(error) is VariableExistsError
        assert str(error) == expected


def test_places_behind_getters():
    """A variable behind getters is made where the model asked for it, not where a getter passed that on."""
    error = error_of(js.transform(by_getter).spec)
    first = inspect.getsourcelines(by_getter)[1] + 5
    assert str(error) == exists("w", f"{first} in by_getter", f"{first + 1} in by_getter")


def test_places_that_are_one_line():
    """Of one line that ran twice, the lines that called its function are shown."""

    def dense() -> None:
        js.get_variable("w", [2])

    def net() -> None:
        dense()  # first
        dense()  # again

    error = error_of(js.transform(net).spec)
    here = inspect.getsourcelines(dense)[1] + 1
    calls = [f"test_messages.py:{line(net, mark)} in net" for mark in ("first", "again")]
    assert str(error) == exists("w", *(f"{here} in dense, called at {call}" for call in calls))


def test_places_in_templates():
    error = error_of(js.transform(in_template).spec)
    first, again = line(in_template, "first"), line(in_template, "again")
    assert str(error) == exists("t/w", f"{first} in <lambda>", f"{again} in in_template")


class Layer:
    """A layer as users write them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, x: jax.Array) -> jax.Array:
        with js.variable_scope(self.name):
            return x * self.weights()["w"]

    def weights(self) -> dict[str, jax.Array]:
        return {name: js.get_variable(name, [2]) for name in ["w"]}  # made


def test_places_in_methods():
    layer = Layer("layer")
    error = error_of(lambda: js.transform(lambda x: layer(layer(x))).spec(jnp.ones(2)))
    assert f"test_messages.py:{line(Layer.weights, 'made')} in " in str(error.facts["again"])
    assert str(error.facts["first"]).endswith(str(error.facts["again"]))
    assert error.facts["scope"] == "layer (reuse=False)"


def test_places_behind_decorators():
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any) -> Any:
            return function(*args)

        return call

    @logged
    @js.variable_scope("a")
    def twice() -> None:
        js.get_variable("w", [2])  # first
        js.get_variable("w", [2])  # again

    error = error_of(js.transform(twice).spec)
    one, two = (f"{line(twice, mark)} in twice" for mark in ("first", "again"))
    assert str(error) == exists("a/w", one, two, "a (reuse=False)")


def test_places_in_context_managers_of_users():
    @contextlib.contextmanager
    def tower(name: str) -> Any:
        with js.variable_scope(name, reuse="yes"):  # opened
            yield

    def net() -> None:
        with tower("a"):
            js.get_variable("w", [2])

    error = error_of(js.transform(net).spec)
    assert str(error.facts["at"]) == f"test_messages.py:{line(tower, 'opened')} in tower"


def test_the_place_of_a_making_is_its_first_request():
    def net() -> None:
        with js.variable_scope("", reuse=AUTO):
            for size in ([2], None, [3]):
                js.get_variable("w", size)  # all

    error = error_of(js.transform(net).spec)
    at = f"test_messages.py:{line(net, 'all')} in net"
    assert error.facts == {
        "first": f"float32[2]  {at}",
        "again": f"[3]  {at}",
        "scope": error.facts["scope"],
    }


def test_specs_remember_the_place():
    net = js.transform(plain_once)
    assert str(net.spec()["w"].site) == f"test_messages.py:{line(plain_once, 'first')} in plain_once"


def plain_once() -> None:
    js.get_variable("w", [2])  # first


# --- layout ------------------------------------------------------------------------------------


def test_layout():
    """Facts in the order given, those without content left out, and lines below each other."""
    error = JaxscopeError(
        "it fell", code="fall", fix="hold it\nby both ends", at="x.py:1", empty="", none=None
    )
    assert str(error) == "it fell\n  at       x.py:1\n  fix      hold it\n           by both ends"
    assert (error.summary, error.code, error.category) == ("it fell", "fall", "other")
    assert error.facts == {"at": "x.py:1"}
    assert error.args == ("it fell",)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_class_survives_a_pickle_and_a_copy(name: str):
    """With facts that cannot be pickled, too: these travel as their text."""
    kind = getattr(errors, name)
    error = kind("what\nhappened", code="a_code", fix="do", function=lambda: None, at="x.py:1")
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(made) is kind
        assert str(made) == str(error)
        assert (made.summary, made.code, made.category, made.fix) == (
            "what\nhappened",
            "a_code",
            kind.category,
            "do",
        )
        assert list(made.facts) == list(error.facts)
        assert repr(made) == repr(error)


def test_categories_are_those_of_the_rules():
    found = {getattr(errors, name).category for name in errors.__all__}
    assert found == {
        "exists",
        "missing",
        "shape_mismatch",
        "dtype_mismatch",
        "no_shape",
        "bad_initializer",
        "bad_name",
        "other",
    }
    assert {name for name in errors.__all__ if getattr(errors, name).__mro__[1] is not JaxscopeError} == {
        "JaxscopeError"
    }


TF1 = {
    "CheckpointError": [ValueError],
    "CollectionError": [ValueError],
    "DtypeMismatchError": [ValueError],
    "GetterError": [ValueError, TypeError],
    "GraphArgumentError": [TypeError],
    "InitializerError": [ValueError, TypeError],
    "InvalidDtypeError": [TypeError],
    "InvalidNameError": [ValueError, TypeError],
    "InvalidShapeError": [ValueError],
    "MergeError": [ValueError],
    "MissingShapeError": [ValueError],
    "NotCallableError": [ValueError, TypeError],
    "OptimizerError": [ValueError],
    "ReuseError": [ValueError],
    "ScopeNestingError": [RuntimeError],
    "ShapeMismatchError": [ValueError],
    "TemplateError": [ValueError],
    "VariableExistsError": [ValueError],
    "VariableNotFoundError": [ValueError],
    "VariablesMismatchError": [ValueError],
}


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_is_also_what_tf1_raises_there(name: str):
    """TF1 code asks by trying; and `except KeyError`, of a dict beside it, must not swallow what we say."""
    kind = getattr(errors, name)
    builtin = [ValueError, TypeError, RuntimeError, LookupError, AttributeError]
    assert [base for base in builtin if issubclass(kind, base)] == TF1.get(name, [])


def test_asking_by_trying():
    """The idiom of TF1 code that shares what is there."""

    @js.transform
    def net() -> jax.Array:
        with js.variable_scope("a") as scope:
            js.get_variable("w", [2])
            try:
                return js.get_variable("w", [2])
            except ValueError:
                scope.reuse_variables()
                return js.get_variable("w", [2])

    assert list(net.spec()) == ["a/w"]


def test_near_names_are_few_and_alike():
    names = [f"layer_{number}/kernel" for number in range(50)] + ["bias"]
    assert errors.near("layer_7/kernal", names).split(", ")[0] == "layer_7/kernel"
    assert len(errors.near("layer_7/kernal", names).split(", ")) == 3
    assert errors.near("zzz", names) == ""
