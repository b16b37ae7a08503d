"""Whatever comes in: the right thing comes out, or an error that says what was wrong, and leaves nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import (
    DtypeMismatchError,
    InitializerError,
    InvalidNameError,
    InvalidShapeError,
    JaxscopeError,
    KeyStreamError,
    NoPassError,
    ShapeMismatchError,
    VariableExistsError,
    VariableNotFoundError,
    VariablesMismatchError,
)

KEY = jax.random.key(0)
ONE = jnp.ones(3)


@js.transform
def scale(x: Any) -> Any:
    return x * js.get_variable("w", [3])


def refused(kind: type[JaxscopeError], code: str, run: Callable[[], Any]) -> JaxscopeError:
    with pytest.raises(kind) as caught:
        run()
    assert caught.value.code == code
    return caught.value


def recorded(function: Callable[..., Any], *args: Any) -> js.VariableSpecs:
    return js.transform(function).spec(*args)


# --- shapes ------------------------------------------------------------------------------------

GOOD_SHAPES = [
    ([2, 3], (2, 3)),
    ((2, 3), (2, 3)),
    ([], ()),
    ((), ()),
    (4, (4,)),
    (np.int64(4), (4,)),
    (np.array([2, 3]), (2, 3)),
    (np.array(4), (4,)),
    (range(2, 4), (2, 3)),
    ([np.int32(2), 3], (2, 3)),
    ([0, 3], (0, 3)),
    ([2**40, 2**40], (2**40, 2**40)),
]


@pytest.mark.parametrize(("given", "shape"), GOOD_SHAPES, ids=map(str, range(len(GOOD_SHAPES))))
def test_shapes(given: Any, shape: tuple[int, ...]):
    found = recorded(lambda: js.get_variable("w", given))["w"].shape
    assert found == shape
    assert all(type(size) is int for size in found)


def test_a_shape_of_another_array():
    assert recorded(lambda x: js.get_variable("w", x.shape), jnp.ones((2, 3)))["w"].shape == (2, 3)
    assert recorded(lambda x: js.get_variable("w", jnp.shape(x)), 1.0)["w"].shape == ()


@pytest.mark.parametrize(
    "given",
    [
        [float("nan")],
        [float("inf")],
        [2.0],
        2.5,
        [True],
        True,
        "ab",
        ["2"],
        [[2]],
        [2**63],
        [print],
        print,
        [1j],
    ],
    ids=repr,
)
def test_shapes_that_are_none(given: Any):
    refused(InvalidShapeError, "invalid_shape", lambda: recorded(lambda: js.get_variable("w", given)))


@pytest.mark.parametrize("given", [-1, [-1], [2, -3], np.array([-1])], ids=repr)
def test_negative_shapes(given: Any):
    refused(InvalidShapeError, "negative_dimension", lambda: recorded(lambda: js.get_variable("w", given)))


def test_traced_shapes():
    for shape in (lambda n: n, lambda n: [n], lambda n: [2, n + 1]):
        net = js.transform(lambda n: js.get_variable("w", shape(n)))
        for run in (
            lambda: net.spec(jnp.int32(3)),
            lambda: net.init(KEY, jnp.int32(3)),
            lambda: jax.jit(net.apply)({"w": ONE}, jnp.int32(3)),
        ):
            error = refused(InvalidShapeError, "invalid_shape", run)
            assert "a size is traced" in error.summary


def test_no_shape_and_a_shape_with_a_hole():
    with pytest.raises(JaxscopeError) as caught:
        recorded(lambda: js.get_variable("w"))
    assert caught.value.code == "no_shape"
    refused(
        InitializerError, "init_needs_full_shape", lambda: recorded(lambda: js.get_variable("w", [None, 2]))
    )


def test_symbolic_shapes():
    """Sizes of `jax.export` may be those of the inputs, and serve in requests."""
    (rows,) = jax.export.symbolic_shape("n")
    net = js.transform(lambda x: x @ js.get_variable("w", [3, 2]))
    x = jax.ShapeDtypeStruct((rows, 3), jnp.float32)
    assert net.spec(x)["w"].shape == (3, 2)
    exported = jax.export.export(jax.jit(net.apply))({"w": jnp.ones((3, 2))}, x)
    np.testing.assert_array_equal(
        exported.call({"w": jnp.ones((3, 2))}, jnp.ones((5, 3))), np.full((5, 2), 3)
    )


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [None, 1, True, b"w", ["w"], ("a", "w"), print], ids=lambda name: type(name).__name__
)
def test_names_that_are_no_strings(name: Any):
    def in_scope() -> None:
        with js.variable_scope("a" if name is None else name):
            js.get_variable(None, [2])

    def in_name_scope() -> None:
        with js.name_scope(1 if name is None else name):
            pass

    for function in (
        lambda: js.get_variable(name, [2]),
        in_scope,
        in_name_scope,
        lambda: js.set_variable(name, 1),
    ):
        refused(InvalidNameError, "not_a_string", lambda: recorded(function))


@pytest.mark.parametrize(
    "name", ["", "é", "重み", "w ", " w", "a\n", "a\tb", "w:0", "a/", "/w", "_w", "\ud800", "w\0"]
)
def test_names_of_other_characters(name: str):
    error = refused(
        InvalidNameError, "invalid_characters", lambda: recorded(lambda: js.get_variable(name, [2]))
    )
    assert str(error).isprintable() or "\n" in str(error)


def test_names_that_are_only_just_names():
    """Empty parts are legal where they are in TF1: in the middle."""
    for name in ("a//b", ".", "..", "a/../b", "A", "0", "w" * 10_000, "/".join("abc" * 100)):
        net = js.transform(lambda: js.get_variable(name, [2]))
        assert list(net.init(KEY)) == [name]
        assert net.apply({name: jnp.ones(2)}).tolist() == [1, 1]

    def inside() -> list[Any]:
        with js.variable_scope("s"):
            return [js.get_variable(name, [2]) for name in ("/v", "_v", "v//w", ">")]

    assert set(recorded(inside)) == {"s//v", "s/_v", "s/v//w", "s/>"}


def test_long_names_are_short_in_messages():
    error = refused(
        InvalidNameError, "invalid_characters", lambda: recorded(lambda: js.get_variable("é" * 10_000, [2]))
    )
    assert len(str(error)) < 500


# --- what is given to apply --------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [None, 3, [ONE], [("w", ONE)], (ONE,), ONE, "w", {"w"}], ids=lambda g: type(g).__name__
)
def test_variables_that_are_no_mapping(given: Any):
    for run in (scale.apply, scale.apply_with_state):
        refused(VariablesMismatchError, "mismatch", lambda: run(given, ONE))


@pytest.mark.parametrize(
    "leaf", [None, [1.0, 2.0, 3.0], 1.0, "w", object(), {"w": ONE}], ids=lambda g: type(g).__name__
)
def test_leaves_that_are_no_arrays(leaf: Any):
    refused(DtypeMismatchError, "not_an_array", lambda: scale.apply({"w": leaf}, ONE))


def test_a_leaf_of_none_under_jit():
    refused(DtypeMismatchError, "not_an_array", lambda: jax.jit(scale.apply)({"w": None}, ONE))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_leaves(wrap: Any):
    apply = wrap(scale.apply)
    np.testing.assert_array_equal(apply({"w": np.arange(3, dtype=np.float32)}, ONE), [0, 1, 2])
    assert apply({"w": jnp.ones(3, jnp.bfloat16)}, jnp.ones(3, jnp.bfloat16)).dtype == jnp.bfloat16
    refused(ShapeMismatchError, "shape_mismatch", lambda: apply({"w": jnp.ones((3, 1))}, ONE))
    refused(ShapeMismatchError, "shape_mismatch", lambda: apply({"w": np.float32(1)}, ONE))
    refused(VariableNotFoundError, "missing", lambda: apply({}, ONE))
    refused(VariableNotFoundError, "missing", lambda: apply({"W": ONE}, ONE))


def test_extra_leaves_are_not_looked_at():
    np.testing.assert_array_equal(scale.apply({"w": ONE, "more": None, "most": object()}, ONE), ONE)


def test_numpy_leaves_become_jax_arrays():
    """So that `.at` and transforms work on them."""
    net = js.transform(lambda: js.get_variable("w", [3]).at[0].set(5))
    np.testing.assert_array_equal(net.apply({"w": np.zeros(3, np.float32)}), [5, 0, 0])


@pytest.mark.parametrize(
    "key", [0, None, "key", 1.5, jnp.ones(3), np.zeros(3, np.uint32)], ids=lambda k: type(k).__name__
)
def test_keys_that_are_none(key: Any):
    refused(KeyStreamError, "not_a_key", lambda: scale.init(key, ONE))


def test_a_batch_of_keys():
    refused(KeyStreamError, "key_batch", lambda: scale.init(jax.random.split(KEY, 3), ONE))


# --- what raises in the middle -----------------------------------------------------------------


class MineError(Exception):
    """Of the user's own."""


def failing(key: Any, shape: Any, dtype: Any) -> Any:
    raise MineError


def test_an_initializer_that_raises_passes_unchanged():
    net = js.transform(lambda: js.get_variable("w", [2], initializer=failing))
    for run in (net.spec, lambda: net.init(KEY)):
        with pytest.raises(MineError):
            run()
    assert net.apply({"w": jnp.ones(2)}).tolist() == [1, 1]  # a replay has no use for it


def test_a_regularizer_that_raises_leaves_no_variable():
    def bad(value: Any) -> Any:
        raise MineError

    def net() -> None:
        with pytest.raises(MineError):
            js.get_variable("w", [2], regularizer=bad)
        assert js.get_collection("variables") == []
        js.get_variable("w", [3])

    assert recorded(net)["w"].shape == (3,)


def failures() -> Iterator[Callable[[], Any]]:
    """Requests that fail, each for another reason and at another depth."""

    def in_scopes() -> None:
        with (
            js.variable_scope("a", reuse=js.AUTO_REUSE, dtype="int32"),
            js.name_scope("n"),
            js.variable_scope(None, "d"),
            js.random_keys(KEY),
        ):
            raise MineError

    def in_getter(getter: Any, **kwargs: Any) -> Any:
        raise MineError

    def in_creator(next_creator: Any, **kwargs: Any) -> Any:
        next_creator(**kwargs)
        raise MineError

    def created() -> None:
        with js.variable_creator_scope(in_creator):
            raise MineError

    def jitted() -> None:
        @jax.jit
        def inner(x: Any) -> Any:
            with js.variable_scope("a"), js.variable_scope("b"):
                raise MineError

        inner(1.0)

    yield lambda: js.get_variable("w", [2], initializer=failing)
    yield lambda: js.get_variable("w", [-2])
    yield lambda: js.get_variable("é", [2])
    yield lambda: js.get_variable("w", [2], custom_getter=in_getter)
    yield lambda: js.get_variable("w", [2], trainable=False, collections=["trainable_variables"])
    yield lambda: js.get_variable("w", [2], initializer="zeros")
    yield lambda: js.Variable(object(), name="v")
    yield lambda: js.variable_scope("é").__enter__()
    yield lambda: js.variable_scope("a", reuse=3).__enter__()
    yield lambda: js.variable_scope("a", custom_getter=3).__enter__()
    yield lambda: js.name_scope("é").__enter__()
    yield js.make_template("t", in_scopes)
    yield in_scopes
    yield created
    yield jitted


@pytest.mark.parametrize("fails", list(failures()))
def test_what_fails_leaves_nothing(fails: Callable[[], Any]):
    """A function that catches the error goes on as if nothing had been asked."""

    def go_on(x: Any) -> Any:
        with js.variable_scope(None, "layer"):
            w = js.get_variable("w", [3], regularizer=js.regularizers.l2(1.0))
        v = js.Variable(1.0, name="v")
        scope = js.get_variable_scope()
        assert (scope.name, scope.reuse, scope.dtype) == ("", False, jnp.float32)
        assert len(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES)) == 1
        return x * w + v

    def net(x: Any) -> Any:
        with pytest.raises((JaxscopeError, MineError)):
            fails()
        return go_on(x)

    bare, tried = js.transform(go_on), js.transform(net)
    assert list(tried.spec(ONE)) == list(bare.spec(ONE)) == ["layer/w", "v"]
    variables = bare.init(KEY, ONE)
    jax.tree.map(np.testing.assert_array_equal, tried.init(KEY, ONE), variables)
    stacks = []
    for apply in (tried.apply, bare.apply):
        jaxpr = jax.make_jaxpr(apply)(variables, ONE)
        stacks.append([str(equation.source_info.name_stack) for equation in jaxpr.eqns])
    assert stacks[0][-2:] == stacks[1][-2:] == ["", ""]


def test_a_pass_that_raises_leaves_nothing_outside():
    @js.transform
    def net(x: Any) -> Any:
        with js.variable_scope("a", reuse=js.AUTO_REUSE):
            js.get_variable("w", [3])
            raise MineError

    for run in (
        lambda: net.spec(ONE),
        lambda: net.apply({"a/w": ONE}, ONE),
        lambda: jax.jit(net.apply)({"a/w": ONE}, ONE),
    ):
        with pytest.raises(MineError):
            run()
        refused(NoPassError, "no_pass", js.get_variable_scope)
    np.testing.assert_array_equal(scale.apply({"w": ONE}, ONE), ONE)


def test_a_first_request_that_fails_does_not_take_the_name():
    def net() -> None:
        refused(InvalidShapeError, "negative_dimension", lambda: js.get_variable("w", [-1]))
        js.get_variable("w", [2])
        refused(VariableExistsError, "exists", lambda: js.get_variable("w", [2]))

    assert list(recorded(net)) == ["w"]
