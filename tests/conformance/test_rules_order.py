"""Rules R23 to R32: the order of the checks, and initializers, by small programs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js
from tests.conformance.rules import (
    AUTO,
    both,
    caught,
    code,
    fail,
    get,
    names,
    ones,
    opened,
    plain,
    scope,
    specs,
    zeros,
)

# --- the order of the checks -------------------------------------------------------------------


def test_the_order_before_the_getters():
    """R23: (2) string initializer, (3) constant and dtype, (4) getter; also for what exists."""

    def codes() -> list[str]:
        return [
            code(lambda: js.get_variable("v", initializer="zeros", dtype="int32", custom_getter=3)),
            code(lambda: js.get_variable("v", initializer=1.0, dtype="int32", custom_getter=3)),
            code(lambda: js.get_variable("v", [-1], initializer=1.0, custom_getter=3)),
            code(lambda: js.get_variable("v", initializer=1.0, dtype="int32")),
        ]

    def program() -> list[Any]:
        get("v")
        with scope("", reuse=True):
            return [codes(), code(lambda: js.get_variable("v", dtype="float32"))]

    expected = [
        "string_initializer",
        "constant_dtype_conflict",
        "getter_not_callable",
        "constant_dtype_conflict",
    ]
    assert both(codes) == expected
    assert both(program) == [expected, "no error"]


def test_the_order_behind_the_getters():
    """R23: (6) constant and shape, (7) dimensions, (8) what exists, (9) missing, (10) js.Variable."""
    conflict = {"trainable": False, "collections": ["trainable_variables"]}

    def program() -> list[str]:
        get("v", [1, 2])
        js.Variable(0.0, name="u")
        found = [
            code(lambda: get("v", [-1], initializer=1.0)),
            code(lambda: get("v", [-1])),
            code(lambda: get("v", [3], "int32", **conflict)),
            code(lambda: js.get_variable("u", **conflict)),
        ]
        with scope("", reuse=True):
            found += [
                code(lambda: get("v", [-1], initializer=1.0)),
                code(lambda: get("v", [-1, 2])),
                code(lambda: get("v", [3], "int32")),
                code(lambda: get("v", [1, 2], "int32")),
                code(lambda: js.get_variable("v", **conflict)),
                code(lambda: js.get_variable("u", **conflict)),
            ]
        with scope("", initializer=1.0):
            found.append(code(lambda: get("w", [1])))
        return found

    assert both(program) == [
        "constant_with_shape",
        "negative_dimension",
        "exists",
        "exists",
        "constant_with_shape",
        "negative_dimension",
        "shape_mismatch",
        "dtype_mismatch",
        "no error",
        "missing",
        "constant_with_shape",
    ]


def test_the_order_of_making():
    """R23: (11) no shape, no default, (12) a full shape, (13) dtype, (14) collections, (15) templates."""
    conflict = {"trainable": False, "collections": ["trainable_variables"]}
    given = {"initializer": lambda key, shape, dtype: jnp.zeros(shape, dtype)}
    steps = [
        (lambda: js.get_variable("w", **conflict), "no_shape"),
        (lambda: js.get_variable("w", [None], "complex64", **conflict), "no_default_for_dtype"),
        (lambda: js.get_variable("w", [None], **conflict), "init_needs_full_shape"),
        (lambda: js.get_variable("w", **given, **conflict), "init_needs_full_shape"),
        (lambda: js.get_variable("w", [1], **conflict), "trainable_conflict"),
    ]

    def inherited() -> str:  # the getter passes on a constant, behind (3)
        def getter(getter: Any, **kwargs: Any) -> Any:
            return getter(**{**kwargs, "initializer": 1})

        with scope("", custom_getter=getter):
            return code(lambda: js.get_variable("w", dtype="float32", **conflict))

    def program() -> list[str]:
        called: list[str] = []

        def creator(following: Any, **kwargs: Any) -> Any:
            called.append(kwargs["name"])
            return following(**kwargs)

        def body() -> list[str]:
            with scope("", reuse=AUTO), js.variable_creator_scope(creator):
                return [code(step) for step, _ in steps] + [inherited()]

        def later() -> list[str]:
            with scope("", reuse=AUTO):
                again = [code(lambda: get("new")), code(lambda: js.get_variable("new"))]
            return [*body(), *again, code(lambda: get("new"))]

        once: list[Any] = []
        template = js.make_template("t", lambda: later() if once else body())
        first = template()
        once.append(True)
        return [first, template(), called]  # type: ignore[return-value]

    expected = [error for _, error in steps] + ["constant_dtype_conflict"]
    new = ["template_new_variable", "no_shape", "missing"]
    assert both(program) == [expected, expected + new, []]


def test_a_variable_of_js_variable_is_no_reason_for_other_errors():
    """R23: (10) comes before (11) to (13)."""

    def program() -> list[str]:
        js.Variable(0.0, name="u")
        return [
            code(lambda: js.get_variable("u")),
            code(lambda: js.get_variable("u", [None])),
            code(lambda: js.get_variable("u", [1])),
        ]

    assert both(program) == ["exists"] * 3


def test_what_fails_leaves_nothing():
    """R24: no variable, no collection entry and no name, by get_variable and by js.Variable."""

    def program() -> list[Any]:
        def follow(following: Any, **kwargs: Any) -> Any:
            return following(**kwargs)

        caught(lambda: get("v", regularizer=fail, collections=["c"]))
        caught(lambda: js.Variable(0.0, name="u", regularizer=fail, collections=["c"]))
        with js.variable_creator_scope(follow):
            caught(lambda: get("v", regularizer=fail, collections=["c"]))
            caught(lambda: js.Variable(0.0, name="u", regularizer=fail, collections=["c"]))
        members = len(js.get_collection("c"))
        get("v")
        js.Variable(0.0, name="u")
        return [members, len(js.get_collection("variables"))]

    assert both(program) == [0, 2]
    assert names(program) == {"v", "u"}


def test_an_initializer_that_fails_leaves_nothing():
    """R24, R31: the error passes unchanged, and the name is free."""

    def program() -> None:
        caught(lambda: get("v", initializer=fail, collections=["c"]))
        assert not js.get_collection("c")
        get("v")

    assert names(program) == {"v"}


def test_shapes_that_fit():
    """R25: equal ranks, and equal sizes but for None; a missing shape fits any."""

    def program() -> list[str]:
        get("v", [2, 3])
        get("s", [])
        with scope("", reuse=True):
            asked = [None, [2, 3], (None, 3), [None, None], [2], [2, 3, 1], [3, 2], [], [None], [2, None, 1]]
            scalar = [code(lambda a=a: js.get_variable("s", a)) for a in (None, [], [1], [None])]
            return [code(lambda a=a: js.get_variable("v", a)) for a in asked] + scalar

    good, bad = "no error", "shape_mismatch"
    assert both(program) == [good] * 4 + [bad] * 6 + [good] * 2 + [bad] * 2


def test_which_dtype_is_compared():
    """R26: on reuse the one that the call gave, as it arrives behind the getters; never the scope's."""

    def changes(getter: Any, **kwargs: Any) -> Any:
        return getter(**{**kwargs, "dtype": "int32"})

    def program() -> list[str]:
        made = get("t", [2], custom_getter=changes).dtype.name
        with scope("", reuse=True, dtype="bool"):
            return [
                made,
                code(lambda: js.get_variable("t")),
                code(lambda: js.get_variable("t", dtype="float32")),
                code(lambda: js.get_variable("t", dtype="float32", custom_getter=changes)),
                code(lambda: js.get_variable("t", dtype="int32", custom_getter=plain)),
                code(lambda: js.get_variable("t", dtype="float32", custom_getter=plain)),
                code(lambda: js.get_variable("t", custom_getter=plain)),
            ]

    good = "no error"
    assert both(program) == ["int32", good, "dtype_mismatch", good, good, "dtype_mismatch", good]


def test_a_get_of_what_exists_changes_nothing():
    """R27, R33, R41, R45: no collection, constraint, loss or creator of a later get has an effect."""
    called: list[str] = []

    def note(*args: Any, **kwargs: Any) -> Any:
        called.append("called")

    def program() -> None:
        get("v")
        with scope("", reuse=True, regularizer=note), js.variable_creator_scope(note):
            get("v", regularizer=note, trainable=False, collections=["c"], constraint=jnp.abs)
            get("v", trainable=False, collections=["trainable_variables"])

    spec = specs(program)["v"]
    assert (spec.trainable, spec.constraint, spec.regularizer) == (True, None, None)
    assert spec.collections == ("variables", "trainable_variables")
    assert not called


# --- initializers ------------------------------------------------------------------------------


def test_which_initializer():
    """R28: the explicit one, else the scope's, else by dtype."""
    glorot = js.initializers.glorot_uniform()

    def program() -> None:
        with scope("a", initializer=ones):
            get("explicit", initializer=js.initializers.zeros())
            get("scope")
        for dtype in ("float32", "bfloat16", "float16", "int32", "uint8", "bool"):
            get(dtype, dtype=dtype)

    found = {name: spec.initializer for name, spec in specs(program).items()}
    assert found == {
        "a/explicit": zeros(),
        "a/scope": ones(),
        **dict.fromkeys(("float32", "bfloat16", "float16"), glorot),
        **dict.fromkeys(("int32", "uint8", "bool"), zeros()),
    }


def test_strings_are_no_initializers():
    """R29: in get_variable (under reuse, too), variable_scope and set_initializer."""

    def program() -> list[str]:
        get("v")
        with scope("a", reuse=AUTO) as a:
            found = [
                code(lambda: get("v", initializer="ones")),
                code(lambda: a.set_initializer("ones")),
                code(lambda: opened("b", initializer="ones")),
            ]
        with scope("", reuse=True):
            return [*found, code(lambda: get("v", initializer="ones"))]

    assert both(program) == ["string_initializer"] * 4


def test_callables_whose_parameters_have_defaults():
    """R30: they decide shape and dtype where the shape is missing or not full; else they are like others."""

    def initializer(key: Any = None, shape: Any = (2, 3), dtype: Any = "int32") -> Any:
        return jnp.zeros(shape, dtype)

    class Made:
        def __call__(self, key: Any = None, shape: Any = (4,), dtype: Any = "bool") -> Any:
            return jnp.zeros(shape, dtype)

    def program() -> list[Any]:
        arrays = [
            js.get_variable("a", initializer=initializer),
            js.get_variable("b", [None, 7], initializer=initializer),
            js.get_variable("c", dtype="float16", initializer=initializer),
            js.get_variable("d", [5], initializer=initializer),
            js.get_variable("e", [5], "bool", initializer=initializer),
            js.get_variable("f", initializer=Made),
            js.get_variable("g", [1], initializer=Made),
            js.get_variable("h", [1], initializer=zeros),
        ]
        return [(array.shape, array.dtype.name) for array in arrays]

    decided = ((2, 3), "int32")
    assert both(program) == [
        decided,
        decided,
        decided,
        ((5,), "float32"),
        ((5,), "bool"),
        ((4,), "bool"),
        ((1,), "float32"),
        ((1,), "float32"),
    ]


def test_constants_give_shape_and_dtype():
    """R30, R32: whatever the scope's dtype is; arrays keep theirs."""

    def program() -> list[Any]:
        constants = [1, 2.5, True, [1, 2], np.ones(3, np.float16), np.zeros([2, 2], np.uint8), jnp.ones(1)]
        with scope("a", dtype="bfloat16"):
            arrays = [js.get_variable(f"v{n}", initializer=c) for n, c in enumerate(constants)]
        return [(array.shape, array.dtype.name) for array in arrays]

    assert both(program) == [
        ((), "int32"),
        ((), "float32"),
        ((), "bool"),
        ((2,), "int32"),
        ((3,), "float16"),
        ((2, 2), "uint8"),
        ((1,), "float32"),
    ]


def test_python_numbers_with_x64():
    """R32: they stay 32 bits wide; arrays have their own width."""

    def program() -> list[str]:
        constants = [1, 2.5, [1, 2], np.ones(3), np.arange(2)]
        return [js.get_variable(f"v{n}", initializer=c).dtype.name for n, c in enumerate(constants)]

    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    try:
        found = both(program)
    finally:
        jax.config.update("jax_enable_x64", before)
    assert found == ["int32", "float32", "int32", "float64", "int64"]


def test_initializers_that_do_not_fit():
    """R31: the signature, then the shape, then the dtype."""
    steps = [
        (lambda: get("v", initializer=lambda: 0.0), "init_call_failed"),
        (lambda: get("v", initializer=lambda key, shape, dtype: jnp.zeros([2], "int32")), "init_wrong_shape"),
        (lambda: get("v", initializer=lambda key, shape, dtype: jnp.zeros([2], dtype)), "init_wrong_shape"),
        (
            lambda: get("v", initializer=lambda key, shape, dtype: jnp.zeros(shape, "int32")),
            "init_wrong_dtype",
        ),
        (lambda: get("v", dtype="int32", initializer=js.initializers.glorot_uniform), "init_wrong_dtype"),
        (lambda: get("v", dtype="bool", initializer=js.initializers.constant(0.5)), "init_wrong_dtype"),
    ]
    found: list[str] = []
    specs(lambda: found.extend(code(step) for step, _ in steps))
    assert found == [error for _, error in steps]
