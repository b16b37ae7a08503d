"""Requests are understood once for all that are alike; these are the places in which that could be wrong."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

import jaxscope as js
from jaxscope.errors import InitializerError, InvalidNameError


@pytest.mark.parametrize("own", ["_a", "-a", "/b"])
def test_a_scope_in_which_no_name_is_valid(own: str):
    """Below a name scope, such a scope may be opened at the root; a variable's name may not begin so (R7)."""

    @js.transform
    def net() -> None:
        with js.name_scope("x"), js.variable_scope(own) as scope:
            js.get_variable("w", [2])
        raise AssertionError(scope)

    def jump(inner: str | None) -> Any:
        def net() -> None:
            with js.name_scope("x"), js.variable_scope(own, reuse=js.AUTO_REUSE) as scope:
                pass
            with js.variable_scope(scope), js.variable_scope(inner) if inner else contextlib.nullcontext():
                js.get_variable("w", [2])

        return js.transform(net)

    js.transform(lambda: js.get_variable("w", [2])).spec()  # so that the own name is known
    for case in (net, jump(None), jump("inner")):
        with pytest.raises(InvalidNameError, match="not a valid name"):
            case.spec()
        given = {f"{own}/{rest}": jnp.zeros(2) for rest in ("w", "inner/w")}
        with pytest.raises(InvalidNameError, match="not a valid name"):
            case.apply(given)


def test_what_a_getter_takes_away_stays_away():
    """Sharding and constraint of each variable of a block are those of its request, behind the getter."""

    def without(getter: Any, name: str, **kwargs: Any) -> Any:
        return getter(name, **{**kwargs, "partitioner": None, "constraint": None})

    def block(x: jax.Array) -> jax.Array:
        first = js.get_variable("w", [2], custom_getter=without)
        return x + first + js.get_variable("v", [2], custom_getter=without)

    @js.transform
    def net(x: jax.Array) -> jax.Array:
        with js.variable_scope("a", partitioner=PartitionSpec("x"), constraint=jnp.abs):
            function, values = js.lift(block, x)
            return function(values, x)

    specs = net.spec(jnp.ones(2))
    assert [(spec.sharding, spec.constraint) for spec in specs.values()] == [(None, None)] * 2


def test_a_scope_gives_each_its_sharding_and_constraint():
    """Each request has those of its scope."""

    @js.transform
    def net() -> None:
        with js.variable_scope("a", partitioner=PartitionSpec("x"), constraint=jnp.abs):
            for name in "uvw":
                js.get_variable(name, [2])

    found = {(spec.sharding, spec.constraint) for spec in net.spec().values()}
    assert found == {(PartitionSpec("x"), jnp.abs)}


def test_an_initializer_that_changes():
    """Is checked each time it is used, however often the function ran before."""

    class Grows:
        extra = 0

        def __call__(self, key: Any, shape: Any, dtype: Any) -> jax.Array:
            return jnp.zeros((*shape, *[1] * self.extra), dtype)

    @js.transform
    def net() -> None:
        start = Grows()
        js.get_variable("a", [2], initializer=start)
        start.extra = 1
        js.get_variable("b", [2], initializer=start)

    for _ in range(3):
        with pytest.raises(InitializerError, match="'b'"):
            net.spec()


def test_creators_that_are_left_in_disorder():
    """Are an error, after which they can still be left in order; none stays in force."""

    def frozen(following: Any, **kwargs: Any) -> Any:
        return following(**{**kwargs, "trainable": False})

    def same(following: Any, **kwargs: Any) -> Any:
        return following(**kwargs)

    @js.transform
    def net() -> None:
        one, two = js.variable_creator_scope(frozen), js.variable_creator_scope(same)
        one.__enter__()
        two.__enter__()
        with pytest.raises(js.errors.ScopeNestingError):
            one.__exit__(None, None, None)
        two.__exit__(None, None, None)
        one.__exit__(None, None, None)
        for name in "uvw":
            js.get_variable(name, [2])

    assert all(spec.trainable for spec in net.spec().values())


def test_a_value_whose_shape_fails():
    """Is no array, as one without a shape."""

    class Strange:
        @property
        def shape(self) -> Any:
            raise AttributeError("no shape today")

    net = js.transform(lambda: js.get_variable("w", [2]))
    with pytest.raises(js.errors.JaxscopeError, match="'w'"):
        net.apply({"w": Strange()})


def test_a_scope_object_takes_no_other_attributes():
    """It has its options; what is set by mistake would be lost in silence."""

    @js.transform
    def net() -> None:
        with pytest.raises(AttributeError):
            js.get_variable_scope().initialiser = js.initializers.zeros  # type: ignore[attr-defined]

    net.apply({})
