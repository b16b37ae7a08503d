"""A block means what the loop means: each test is the least program in which the two once differed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.depth.same import Failure, assert_same, outcome

X = jnp.asarray([0.5, -1.0, 2.0])
Body = Callable[..., Any]
Lift = Callable[[Body], Body]


def as_it_is(block: Body) -> Body:
    return block


def layers(block: Body) -> Body:
    def run(x: Any, *rest: Any) -> Any:
        for index in range(2):
            with js.variable_scope(f"layer_{index}"):
                x = block(x, *rest)
        return x

    return run


def members(block: Body) -> Body:
    def run(x: Any, *rest: Any) -> Any:
        results: list[Any] = []
        for index in range(2):
            with js.variable_scope(f"member_{index}"):
                results.append(block(x, *rest))
        return jnp.stack(results).sum(0)

    return run


def scanned(block: Body) -> Body:
    return js.scan_layers(block, 2)


def ensemble(block: Body) -> Body:
    made = js.ensemble(block, 2)
    return lambda *args: made(*args).sum(0)


LIFTS = [
    pytest.param(js.jit, as_it_is, id="jit"),
    pytest.param(scanned, layers, id="scan_layers"),
    pytest.param(ensemble, members, id="ensemble"),
]
lifts = pytest.mark.parametrize(("lift", "bare"), LIFTS)


def compare(program: Callable[[Lift], Body], lift: Lift, bare: Lift) -> Any:
    """Check that a program comes to the same with a block and with the loop; return what that is."""
    expected = outcome(program(bare), X, eagerly=False)
    assert_same(outcome(program(lift), X, eagerly=False), expected)
    return expected


def noise() -> Any:
    return jax.random.uniform(js.next_key())


def weight(name: str = "v") -> Any:
    return js.get_variable(name, [3])


def apart(x: Any, block: Body, change: Callable[[], None], *args: Any) -> Any:
    """Call a block in two scopes, with a change between the calls."""
    with js.variable_scope("a"):
        x = block(x, *args)
    change()
    with js.variable_scope("b"):
        return block(x, *args)


# --- random keys ----------------------------------------------------------------------------------


@lifts
def test_keys_of_a_key_that_the_block_closes_over(lift: Lift, bare: Lift):
    """The keys of one key object are counted over all calls of a block, also where it is no argument."""

    def program(lift: Lift) -> Body:
        def net(x: Any) -> Any:
            key = jax.random.key(7)

            def block(x: Any) -> Any:
                with js.random_keys(key):
                    return x + noise()

            block = lift(block)
            return block(block(x))

        return net

    compare(program, lift, bare)


@lifts
def test_keys_of_a_key_that_is_used_outside_as_well(lift: Lift, bare: Lift):
    """So are those taken outside of the block, before and after."""

    def program(lift: Lift) -> Body:
        def net(x: Any) -> Any:
            key = jax.random.key(7)

            def own(x: Any) -> Any:
                with js.random_keys(key):
                    return x + noise()

            with js.variable_scope("layer_0"):
                x = own(x)
            x = lift(own)(own(x))
            with js.variable_scope("layer_0"):
                return own(own(x))

        return net

    compare(program, lift, bare)


@lifts
def test_keys_in_the_body_of_a_loop(lift: Lift, bare: Lift):
    """In the body of a loop, a block that was called outside before is refused a key like a plain call."""

    def program(lift: Lift) -> Body:
        def net(x: Any) -> Any:
            block = lift(lambda x: x + noise())
            with js.random_keys(jax.random.key(7)):
                x = block(x)
                return jax.lax.scan(lambda x, _: (block(x), None), x, None, length=2)[0]

        return net

    expected = compare(program, lift, bare)
    assert expected["spec"] == Failure("KeyStreamError", "key_in_loop")


# --- what a block reads of the program around it --------------------------------------------------


@lifts
@pytest.mark.parametrize(
    "what", ["number", "list", "dict", "array", "default", "attribute", "method", "helper"]
)
def test_what_changes_between_two_calls(lift: Lift, bare: Lift, what: str):
    """A block sees what the function around it has changed since the last call, wherever it reads it from."""

    def program(lift: Lift) -> Body:
        def net(x: Any) -> Any:
            number = 0.5
            values, table, array = [0.5], {"scale": 0.5}, np.asarray([0.5], np.float32)
            module = Module()

            def default(x: Any, values: list[float] = values) -> Any:
                return x * values[0] * weight()

            def helper() -> float:
                return values[0]

            block = {
                "number": lambda x: x * number * weight(),
                "list": lambda x: x * values[0] * weight(),
                "dict": lambda x: x * table["scale"] * weight(),
                "array": lambda x: x * array[0] * weight(),
                "default": default,
                "attribute": lambda x: x * module.inner.scale * weight(),
                "method": module.call,
                "helper": lambda x: x * helper() * weight(),
            }[what]

            def change() -> None:
                nonlocal number
                number = values[0] = table["scale"] = array[0] = module.inner.scale = 2.0

            return apart(x, lift(block), change)

        return net

    compare(program, lift, bare)


class Module:
    """Something with a part that can be set."""

    def __init__(self) -> None:
        self.inner = Part()

    def call(self, x: Any) -> Any:
        return x * self.inner.scale * weight()


class Part:
    scale = 0.5


@lifts
@pytest.mark.parametrize("what", ["attribute of the class", "list of an attribute"])
def test_what_changes_in_an_argument(lift: Lift, bare: Lift, what: str):
    """So it does where an argument is an object, of which something inside was changed."""

    def program(lift: Lift) -> Body:
        def net(x: Any) -> Any:
            kind = type("Kind", (), {"scale": 0.5})
            given = kind()
            given.values = [0.5]

            def block(x: Any, given: Any) -> Any:
                return x * (given.scale if what.endswith("class") else given.values[0]) * weight()

            def change() -> None:
                kind.scale = given.values[0] = 2.0

            return apart(x, lift(block), change, given)

        return net

    compare(program, lift, bare)


# --- what held from the start ---------------------------------------------------------------------


@lifts
def test_errors_that_a_block_catches(lift: Lift, bare: Lift):
    """A block that catches an error leaves behind what the loop leaves, and goes on as it does."""

    def program(lift: Lift) -> Body:
        def block(x: Any) -> Any:
            try:
                return x * weight() * weight()
            except js.errors.VariableExistsError as error:
                return x * len(error.code) * weight("other")

        return lambda x: lift(block)(x)

    assert len(compare(program, lift, bare)["spec"]) >= 2


@lifts
def test_numbers_of_default_names(lift: Lift, bare: Lift):
    """Default names in a block, and after it in a scope that it has entered, are those of the loop."""

    def program(lift: Lift) -> Body:
        def numbered(x: Any) -> Any:
            with js.variable_scope(None, "d"):
                return x * weight()

        def net(x: Any) -> Any:
            x = lift(lambda x: numbered(numbered(x)))(numbered(x))
            with js.variable_scope("layer_0"):
                return numbered(numbered(x))

        return net

    compare(program, lift, bare)


@lifts
@pytest.mark.parametrize("constant", [1, 1.0, True, 0.0, -0.0])
def test_constants_that_are_equal(lift: Lift, bare: Lift, constant: Any):
    """Scopes whose initializers are equal, and yet of other types or signs, give a block other variables."""

    def program(lift: Lift) -> Body:
        def block(x: Any) -> Any:
            value = js.get_variable("v").astype("float32")
            return x + jnp.arctan2(value, jnp.float32(-1))

        def net(x: Any) -> Any:
            lifted = lift(block)
            for name, initializer in (("p", constant), ("q", 1), ("r", True), ("s", 0.0), ("t", -0.0)):
                with js.variable_scope(name, initializer=initializer):
                    x = lifted(x)
            return x

        return net

    compare(program, lift, bare)


# --- state, and what is passed in -----------------------------------------------------------------


def counted(x: Any) -> Any:
    value = js.get_variable("s", [3], initializer=js.initializers.zeros, trainable=False)
    js.set_variable("s", value + jax.lax.stop_gradient(x))
    return x + value


@lifts
@pytest.mark.parametrize(("inner", "inner_bare"), LIFTS)
def test_state_of_a_block_in_a_block(lift: Lift, bare: Lift, inner: Lift, inner_bare: Lift):
    """A block in a block sets its variables, each time that it is called."""

    def program(lift: Lift) -> Body:
        inside = inner if lift is not bare else inner_bare

        def net(x: Any) -> Any:
            return apart(x, lift(inside(counted)), lambda: None)

        return net

    compare(program, lift, bare)


@lifts
def test_scope_objects_as_arguments(lift: Lift, bare: Lift):
    """A block that is given scope objects, and jumps to them, is run as it is, or refused."""

    def program(lift: Lift) -> Body:
        def jumping(x: Any, scope: Any) -> Any:
            with js.variable_scope(scope, reuse=js.AUTO_REUSE):
                return x * weight()

        def net(x: Any) -> Any:
            block = lift(jumping)
            with js.variable_scope("s") as s:
                x = block(x, s)
            with js.variable_scope("t") as t:
                x = block(x, t)
            return block(x, s)

        return net

    found = outcome(program(lift), X, eagerly=False)
    if found["spec"] != Failure("TraceError", "cannot_lift"):
        assert_same(found, outcome(program(bare), X, eagerly=False))


def by_getter(x: Any) -> Any:
    def getter(getter: Any, name: str, **kwargs: Any) -> Any:
        return getter(name, **kwargs) * x

    return x * js.get_variable("v", [3], custom_getter=getter)


def by_regularizer(x: Any) -> Any:
    return x * js.get_variable("v", [3], regularizer=lambda value: jnp.sum(value * x))


def by_scope_regularizer(x: Any) -> Any:
    with js.variable_scope("r", regularizer=lambda value: jnp.sum(value * x)):
        return x * weight()


@lifts
@pytest.mark.parametrize("block", [by_getter, by_regularizer, by_scope_regularizer])
def test_functions_that_close_over_what_a_block_computes(lift: Lift, bare: Lift, block: Body):
    """A getter or a regularizer may close over what a block computes: that is as in the loop."""
    found, expected = (outcome(lambda x, way=way: way(block)(x), X, eagerly=False) for way in (lift, bare))
    for one in (found, expected):  # each has a regularizer of its own
        one["spec"] = {name: [*facts[:4], facts[4] is None] for name, facts in one["spec"].items()}
    assert_same(found, expected)
