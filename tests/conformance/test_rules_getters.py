"""Rules R33 to R45: what a variable is made with, getters, creators and collections."""

from typing import Any

import jax
import jax.numpy as jnp

import jaxscope as js
from tests.conformance.rules import (
    AUTO,
    OPTIONS,
    MineError,
    both,
    caught,
    code,
    get,
    logs,
    names,
    no_getter,
    opened,
    scope,
    specs,
)

# --- regularizers, constraints, partitioners ---------------------------------------------------


def test_regularizers():
    """R33, R34: explicit before the scope's, once per variable, in order, for all kinds; None is no loss."""
    calls: list[str] = []

    def loss(name: str, value: float | None) -> Any:
        def regularizer(_: Any) -> Any:
            calls.append(name)
            return value

        return regularizer

    def program() -> list[Any]:
        calls.clear()
        with scope("a", regularizer=loss("scope", 1.0)):
            get("one")
            get("two", regularizer=loss("own", 2.0))
            get("three", trainable=False)
            js.get_local_variable("four", [1], regularizer=loss("local", 3.0))
            get("none", regularizer=loss("none", None))
            get("off", regularizer=js.no_regularizer)
        found = [js.get_collection("regularization_losses") for _ in range(2)]
        return [*found, list(calls)]

    losses = [1.0, 2.0, 1.0, 3.0]
    assert both(program) == [losses, losses, ["scope", "own", "scope", "local", "none"]]


def test_constraints_and_partitioners():
    """R35, R36: inherited by scopes and jumps, replaced by explicit ones; no name or shape is changed."""
    part, other = jax.sharding.PartitionSpec("x"), jax.sharding.PartitionSpec(None)

    def program() -> None:
        with scope("a", constraint=jnp.abs, partitioner=part) as a:
            get("v", [4])
            get("own", [4], constraint=jnp.sqrt, partitioner=other)
        with scope(a), scope("b"), scope(""):
            get("v", [4])

    found = {name: (s.shape, s.constraint, s.sharding) for name, s in specs(program).items()}
    inherited = ((4,), jnp.abs, part)
    assert found == {"a/v": inherited, "a/b/v": inherited, "a/own": ((4,), jnp.sqrt, other)}


# --- getters and creators ----------------------------------------------------------------------


def test_getters_are_checked_where_they_are_given():
    """R37: in all four places; each argument must be taken, also the last ones."""

    def all_but_one(
        getter: Any, name: Any, shape: Any, dtype: Any, initializer: Any, regularizer: Any, reuse: Any,
        trainable: Any, collections: Any, partitioner: Any,
    ) -> None: ...  # fmt: skip

    def renamed(get_it: Any, **kwargs: Any) -> None: ...

    def places(getter: Any) -> list[str]:
        return [
            code(lambda: get(custom_getter=getter)),
            code(lambda: opened("a", custom_getter=getter)),
            code(lambda: js.make_template("t", get, custom_getter_=getter)),
            code(lambda: js.get_variable_scope().set_custom_getter(getter)),
        ]

    getters = (3, no_getter, all_but_one, renamed)
    errors = ["getter_not_callable"] + ["getter_signature"] * 3
    assert both(lambda: [places(getter) for getter in getters]) == [[error] * 4 for error in errors]


def test_chains_of_getters():
    """R38: innermost first, on reuse too; get_variable's and set_custom_getter's replace, a jump's chain."""

    def program() -> list[list[str]]:
        log: list[str] = []
        seen: list[list[str]] = []

        def ask(name: str, **kwargs: Any) -> None:
            log.clear()
            get(name, **kwargs)
            seen.append(list(log))

        with scope("a", custom_getter=logs(log, "outer")), scope("b", custom_getter=logs(log, "inner")) as b:
            ask("v")
            ask("w", custom_getter=logs(log, "own"))
        with scope(b, custom_getter=logs(log, "jump"), reuse=True) as jump:
            ask("v")
            jump.set_custom_getter(logs(log, "set"))
            ask("v")
            jump.set_custom_getter(None)
            ask("v")
        return seen

    assert both(program) == [["inner", "outer"], ["own"], ["jump", "inner", "outer"], ["set"], []]


def test_the_result_of_a_getter_is_that_of_get_variable():
    """R38: whatever it is."""
    assert both(lambda: get(custom_getter=lambda getter, **kwargs: (getter(**kwargs), "mine")[1])) == "mine"


def test_what_a_getter_receives():
    """R38, R39: the full name and the rest from the scope; what is left out has plain defaults."""
    received: list[dict[str, Any]] = []

    def inner(getter: Any, **kwargs: Any) -> Any:
        received.append(kwargs)
        return getter(kwargs["name"], kwargs["shape"])

    def outer(getter: Any, **kwargs: Any) -> Any:
        received.append(kwargs)
        return getter(**kwargs)

    def program() -> None:
        received.clear()
        given = {name: OPTIONS[name] for name in OPTIONS if name != "custom_getter"}
        with scope("a", custom_getter=outer, reuse=AUTO), scope("b", custom_getter=inner, **given):
            get("v", [2], trainable=False, collections=["c"])

    spec = specs(program)["a/b/v"]
    given = {name: OPTIONS[name] for name in OPTIONS if name != "custom_getter"}
    common = {"name": "a/b/v", "shape": [2], "reuse": AUTO}
    assert received[0] == {**common, **given, "trainable": False, "collections": ["c"]}
    bare = {**dict.fromkeys(given), "dtype": "float32", "trainable": True, "collections": None}
    assert received[1] == {**common, **bare}
    assert (spec.dtype, spec.trainable, spec.constraint) == (jnp.float32, True, None)
    assert spec.collections == ("variables", "trainable_variables")
    assert spec.initializer == js.initializers.glorot_uniform()


def test_reuse_passed_on():
    """R39: None means AUTO, and is still None for the next getter; left out, it is the scope's for both."""

    def program() -> list[Any]:
        received: list[Any] = []

        def notes(getter: Any, **kwargs: Any) -> Any:
            received.append(kwargs["reuse"])
            return getter(**kwargs)

        def passes_none(getter: Any, **kwargs: Any) -> Any:
            return getter(**{**kwargs, "reuse": None})

        def leaves_out(getter: Any, *, reuse: Any, **kwargs: Any) -> Any:
            return getter(**kwargs)

        def ask(getter: Any, reuse: Any, name: str) -> str:
            with scope("", custom_getter=notes, reuse=reuse), scope("", custom_getter=getter):
                return code(lambda: get(name))

        found = [ask(passes_none, None, "v"), ask(passes_none, None, "v"), ask(passes_none, True, "w")]
        found += [ask(leaves_out, None, "v"), ask(leaves_out, True, "v"), ask(leaves_out, True, "x")]
        return [found, received]

    good, exists, missing = "no error", "exists", "missing"
    assert both(program) == [
        [good, good, good, exists, good, missing],
        [None, None, None, False, True, True],
    ]


def test_a_getter_asks_as_often_as_it_likes():
    """R40: each for itself; what was made stays where a later one, or the getter, fails."""

    def twice(getter: Any, *, name: str, **kwargs: Any) -> Any:
        getter(name=f"{name}_one", **kwargs)
        getter(name=f"{name}_two", **kwargs)
        raise MineError

    def program() -> int:
        caught(lambda: get("v", custom_getter=twice))
        return len(js.get_collection("variables"))

    assert both(program) == 2
    assert names(program) == {"v_one", "v_two"}


def test_creators():
    """R41: innermost first, below the getters; they rename what js.Variable makes, but no other."""

    def program() -> list[Any]:
        log: list[Any] = []

        def creator(label: str) -> Any:
            def renames(following: Any, *, name: Any, **kwargs: Any) -> Any:
                log.append((label, name))
                return following(name=f"{name}_{label}", **kwargs)

            return renames

        with (
            scope("a", custom_getter=logs(log, "getter")),
            js.variable_creator_scope(creator("outer")),
            js.variable_creator_scope(creator("inner")),
        ):
            get("v")
            js.Variable(0.0, name="u")
            js.Variable(0.0)
        return log

    assert both(program) == [
        "getter",
        ("inner", "a/v"),
        ("outer", "a/v_inner"),
        ("inner", "u"),
        ("outer", "u_inner"),
        ("inner", None),
        ("outer", "None_inner"),
    ]
    assert names(program) == {"a/v", "a/u_inner_outer", "a/None_inner_outer"}


# --- collections -------------------------------------------------------------------------------


def test_which_collections():
    """R42, R43: the list exactly, copied, each once; trainables are added, even to an empty list."""
    mine = ["c"]

    def program() -> None:
        get("default")
        get("frozen", trainable=False)
        get("mine", collections=mine)
        get("twice", collections=["c", "c", "trainable_variables", "c"], trainable=True)
        get("empty", collections=[])
        get("none", collections=[], trainable=False)
        js.get_local_variable("local", [1])
        js.get_local_variable("also", [1], trainable=True, collections=["c"])
        get("kept", collections=(copied := ["c", "trainable_variables"]))
        copied.append("d")

    trained = "trainable_variables"
    assert {name: spec.collections for name, spec in specs(program).items()} == {
        "default": ("variables", trained),
        "frozen": ("variables",),
        "mine": ("c", trained),
        "twice": ("c", trained),
        "empty": (trained,),
        "none": (),
        "local": ("local_variables",),
        "also": ("c", "local_variables"),
        "kept": ("c", trained),
    }
    assert not specs(program)["also"].trainable
    assert mine == ["c"]


def test_collections_of_scopes():
    """R44: a scope's name and `/` at the start, as an expression; js.get_collection's as it is."""

    def program() -> list[int]:
        made = {}
        for name in ("a.b/v", "a_b/v", "a.bc/v", "x/a.b/v"):
            made[name] = get(name)
        js.add_to_collection("variables", 3)
        with scope("a.b") as inside:
            found = inside.get_collection("variables")
        return [
            [n for n, v in made.items() if any(v is f for f in found)],
            len(js.get_variable_scope().get_collection("variables")),
            *(len(js.get_collection("variables", key)) for key in ("a.b", "a.b/", "b", ".*b/v", "a\\.b/")),
        ]  # type: ignore[return-value]

    assert both(program) == [["a.b/v", "a_b/v"], 5, 3, 2, 0, 3, 1]


def test_the_order_of_a_collection():
    """R44: values that are added stand where they were added."""

    def program() -> list[Any]:
        one = get("one", collections=["c"])
        js.add_to_collection("c", "added")
        two = get("two", collections=["c"])
        js.add_to_collection("c", "last")
        found = js.get_collection("c")
        return [item if isinstance(item, str) else [item is one, item is two] for item in found]

    assert both(program) == [[True, False], "added", [False, True], "last"]


def test_trainables_that_are_not():
    """R45, R54: at the making, by js.Variable too, before the creators and behind them."""
    called: list[Any] = []

    def freezes(following: Any, **kwargs: Any) -> Any:
        called.append(kwargs["name"])
        return following(**{**kwargs, "trainable": False})

    def program() -> list[str]:
        listed = {"collections": ["trainable_variables"]}
        called.clear()
        with js.variable_creator_scope(freezes):
            found = [
                code(lambda: get("v", trainable=False, **listed)),
                code(lambda: js.Variable(0.0, trainable=False, **listed)),
            ]
            assert not called
            found += [code(lambda: get("v", **listed)), code(lambda: js.Variable(0.0, **listed))]
        found += [code(lambda: js.Variable(0.0, trainable=False, **listed))]
        return [*found, code(lambda: js.Variable(0.0, trainable=False, name="é", **listed))]

    assert both(program) == ["trainable_conflict"] * 5 + ["invalid_characters"]
