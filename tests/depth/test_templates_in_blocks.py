"""Templates that are made or called in blocks share what they share in the loop."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope import layers
from tests.depth.lifts import Block, Lift, as_it_is, counting, ensemble, layer, loop, scanned, side_by_side
from tests.depth.same import Failure, X, assert_same, count_equations, outcome

LIFTS = [
    pytest.param(js.jit, as_it_is, id="jit"),
    pytest.param(js.remat, as_it_is, id="remat"),
    pytest.param(scanned, loop, id="scan_layers"),
    pytest.param(ensemble, side_by_side, id="ensemble"),
    pytest.param(lambda f: loop(js.jit(f)), loop, id="jit in layers"),
    pytest.param(lambda f: scanned(js.remat(f)), loop, id="remat in scan_layers"),
]


def made_inside(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        template = js.make_template("t", layer)
        other = js.make_template("t", layer, create_scope_now_=True)
        return other(template(layer(template(x))))

    return lift(block)(x)


def with_state_and_losses(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        with js.variable_scope("s", regularizer=js.regularizers.l2(0.5)):
            template = js.make_template("t", counting)
            return template(template(x))

    return lift(block)(x), js.get_collection("regularization_losses")


def with_arguments(lift: Lift, x: Any) -> Any:
    def doubled(getter: Any, name: str, **kwargs: Any) -> Any:
        return 2 * getter(name, **kwargs)

    def block(x: Any) -> Any:
        template = js.make_template(
            "t", lambda x, by: layer(x) * by, unique_name_="u", custom_getter_=doubled, by=0.5
        )
        with js.variable_scope("deeper"):
            x = template(x)
        return template(x)

    return lift(block)(x)


def called_twice_in_one_scope(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        return js.make_template("t", layer)(x)

    block = js.jit(block) if lift is not as_it_is else block
    return block(block(x))


def made_outside(lift: Lift, x: Any) -> Any:
    template = js.make_template("t", counting)
    return lift(lambda x: template(layer(x)))(x)


def called_outside_too(lift: Lift, x: Any) -> Any:
    template = js.make_template("t", counting)
    y = lift(lambda x: layer(template(x)))(template(x))
    return template(y)


def is_the_block(lift: Lift, x: Any) -> Any:
    return lift(js.make_template("t", layer))(x)


def around_the_block(lift: Lift, x: Any) -> Any:
    template = js.make_template("t", lift(counting))
    return template(x), template(x + 1)


def made_when_first_needed(lift: Lift, x: Any) -> Any:
    kept: list[Any] = []

    def block(x: Any) -> Any:
        if not kept:
            kept.append(js.make_template("t", layer))
        return kept[0](x)

    return lift(block)(x)


def later_call_that_makes(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        template = js.make_template("t", lambda x, name: x * js.get_variable(name, [3]))
        return template(template(x, "a"), "b")

    return lift(block)(x)


def a_call_that_fails(lift: Lift, x: Any) -> Any:
    """Its first call leaves nothing behind, and the block goes on."""

    def block(x: Any) -> Any:
        def failing(x: Any, fail: bool) -> Any:
            y = layer(x)
            if fail:
                raise ZeroDivisionError
            return y

        template = js.make_template("t", failing)
        try:
            return template(x, True)
        except ZeroDivisionError:
            return template(x, False)

    return lift(block)(x)


def layer_objects(lift: Lift, x: Any) -> Any:
    def block(x: Any) -> Any:
        dense = layers.Dense(3, activation=jnp.tanh)
        return dense(dense(x[None]))[0]

    return lift(block)(x)


PROGRAMS = [
    made_inside, with_state_and_losses, with_arguments, called_twice_in_one_scope, made_outside,
    called_outside_too, is_the_block, around_the_block, made_when_first_needed, later_call_that_makes,
    a_call_that_fails, layer_objects,
]  # fmt: skip


def comes_to(program: Callable[..., Any], lift: Lift) -> dict[str, Any]:
    found = outcome(functools.partial(program, lift), eagerly=False)
    if isinstance(found["spec"], dict):  # of regularizers made anew in each run
        found["spec"] = {name: (*facts[:4], facts[4] is None) for name, facts in found["spec"].items()}
    return found


expected_of = functools.cache(comes_to)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize(("lift", "bare"), LIFTS)
def test_as_in_the_loop(lift: Lift, bare: Lift, program: Callable[..., Any]):
    """Names, values, gradients, state, losses and errors are those of the loop."""
    expected = expected_of(program, bare)
    assert_same(comes_to(program, lift), expected)
    assert isinstance(expected["spec"], Failure) == (program is later_call_that_makes)


def twice_by_template(x: Any) -> Any:
    template = js.make_template("t", layer)
    return template(template(x))


def by_itself(x: Any) -> Any:
    """A template whose function holds it, which only Python's collector finds to be of no use any more."""
    template = js.make_template("t", lambda x: layer(x) if callable(template) else x)
    return template(x)


def by_object(x: Any) -> Any:
    return layers.Dense(3)(x[None])[0]


@pytest.mark.parametrize("block", [twice_by_template, by_itself, by_object])
def test_made_inside_is_scanned(block: Block):
    """Templates of the block's own leave it one program at any depth."""

    def size(length: int) -> int:
        net = js.transform(js.scan_layers(block, length))
        given = net.init(jax.random.key(0), X).stack("layer_{}")
        return count_equations(jax.make_jaxpr(net.apply)(given, X).jaxpr)

    assert size(2) == size(32)
