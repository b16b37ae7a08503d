"""What a pass keeps by a key, and tells of its end."""

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope.errors import InitializerError, NoPassError


class Noted:
    """An object that is told of the end of its pass."""

    def __init__(self, log, error=None):
        self.log = log
        self.error = error

    def end_of_pass(self):
        self.log.append("end")
        if self.error is not None:
            raise self.error


def test_one_object_for_each_key():
    """Made once in a pass, anew in the next, also through inner traces."""
    made = []

    def make():
        made.append(object())
        return made[-1]

    @js.transform
    def net(x):
        one = js.per_pass("a", make)
        assert jax.jit(lambda x: (js.per_pass("a", make) is one, x)[1])(x) is not None
        js.get_variable("w", [])
        return js.per_pass("a", make) is one, js.per_pass(("b", 1), make) is one

    net.spec(1.0)
    assert len(made) >= 2  # one that starts again may have made but the first
    assert len({id(one) for one in made}) == len(made)
    same, other = jax.jit(net.apply)({"w": jnp.ones([])}, 1.0)
    assert (bool(same), bool(other)) == (True, False)


def test_the_end():
    """It is told once the function has returned, in every kind of call, and may refuse the call."""
    log = []

    @js.transform
    def net(error):
        js.per_pass("a", lambda: Noted(log, error))
        js.per_pass("b", list)  # which has no such method
        log.append("return")
        return js.get_variable("w", [])

    calls = (
        net.spec,
        lambda error: net.init(jax.random.key(0), error),
        lambda error: net.apply({"w": jnp.ones([])}, error),
    )
    for call in calls:
        log.clear()
        call(None)
        assert log
        assert log == ["return", "end"] * (len(log) // 2)
    with pytest.raises(InitializerError) as caught:
        net.spec(InitializerError("no"))
    assert str(caught.value.facts["at"]).startswith("test_per_pass.py:")
    with pytest.raises(KeyError):
        net.spec(KeyError())


def test_no_end_where_the_function_fails():
    """What it has to say is about a call that is complete."""
    log = []

    @js.transform
    def net():
        js.per_pass("a", lambda: Noted(log))
        raise ValueError

    with pytest.raises(ValueError):
        net.spec()
    assert log == []


def test_outside():
    with pytest.raises(NoPassError, match=r"js\.per_pass was called outside"):
        js.per_pass("a", list)
