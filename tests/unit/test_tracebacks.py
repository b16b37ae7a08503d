"""Tracebacks: the user's frames, as JAX leaves out its own; and all frames where JAX shows its own."""

import traceback
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope._core.base.compat import OWN_FOLDER

X = jnp.ones([2, 3])


@js.transform
def net(x: jax.Array, *, wrong: bool = False) -> jax.Array:
    y = js.layers.dense(x, 2, name="dense")
    return jnp.concatenate([y, x[0]]) if wrong else y


def frames(problem: BaseException) -> list[str]:
    """Return the files of a traceback."""
    return [frame.filename for frame in traceback.extract_tb(problem.__traceback__)]


CALLS = {
    "apply": lambda: net.apply({}, X),
    "jit": lambda: jax.jit(net.apply)({}, X),
    "grad": lambda: jax.grad(lambda v: net.apply(v, X).sum())({}),
    "spec": lambda: js.transform(lambda x: net.apply({}, x)).spec(X),
}


@pytest.mark.parametrize("call", CALLS)
def test_errors_end_at_the_users_line(call: str):
    with pytest.raises(js.errors.VariableNotFoundError) as caught:
        CALLS[call]()
    found = frames(caught.value)
    assert found[-1] == __file__
    assert not [file for file in found if file.startswith(OWN_FOLDER)]


def test_errors_of_the_model_keep_what_they_went_through():
    """Of jaxscope's frames those between the user's are left out; JAX's own stay, or go, as JAX wants it."""
    variables = net.init(jax.random.key(0), X)
    with pytest.raises((TypeError, ValueError), match="concatenate") as caught:
        net.apply(variables, X, wrong=True)
    found = frames(caught.value)
    assert found.count(__file__) == 2
    assert not [file for file in found if file.startswith(OWN_FOLDER)]


def test_what_nobody_meant_ends_where_it_was(monkeypatch: pytest.MonkeyPatch):
    """A slip of jaxscope's own shows its place."""

    def broken(*_: Any, **__: Any) -> Any:
        raise AttributeError("a slip")

    monkeypatch.setattr("jaxscope._core.transform.calls.Calls.replay", broken)
    with pytest.raises(AttributeError, match="a slip") as caught:
        net.apply({}, X)
    assert frames(caught.value)[-1] == __file__  # of the function put in its place
    monkeypatch.undo()
    monkeypatch.setattr("jaxscope._core.passes.replaying.way_out", None)
    with pytest.raises(TypeError) as caught:
        net.apply({}, X)
    assert frames(caught.value)[-1].startswith(OWN_FOLDER)


def test_jaxs_switch_shows_all():
    before = jax.config.jax_traceback_filtering
    jax.config.update("jax_traceback_filtering", "off")
    try:
        with pytest.raises(js.errors.VariableNotFoundError) as caught:
            net.apply({}, X)
    finally:
        jax.config.update("jax_traceback_filtering", before)
    assert sum(file.startswith(OWN_FOLDER) for file in frames(caught.value)) > 5
