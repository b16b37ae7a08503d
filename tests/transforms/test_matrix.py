"""Every transform around every use of variables, in every mode, comes to what the bare function comes to."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
from tests.transforms import cases, outcomes, table, wrappers
from tests.transforms.outcomes import BY_INPUT, MODES, Failure
from tests.transforms.wrappers import ALL, PAIRS, Wrapper

# `JAXSCOPE_MATRIX=full` runs all; else each wrapper meets some of the cases, and each case many wrappers.
FULL = os.environ.get("JAXSCOPE_MATRIX") == "full"
STYLES = ("module", "fresh")


def _singles() -> list[Any]:
    names = list(cases.CASES)
    chosen: list[Any] = []
    for row, wrapper in enumerate(ALL):
        mine = [name for name in names if not wrapper.repeats or name in cases.SHARING]
        for column, name in enumerate(mine):
            for number, style in enumerate(STYLES):
                always = name in {"made", "default_names"} and style == STYLES[row % 2]
                if FULL or always or (row + 3 * column + 5 * number) % 24 == 0:
                    chosen.append(pytest.param(wrapper, name, style, id=f"{wrapper}-{name}-{style}"))
    return chosen


def _runner(wrapper: Wrapper, style: str) -> Any:
    """Return what wraps a function: once for all, as a decorator does, or a new closure of it each time."""
    if style == "module":
        return functools.partial(_decorated, wrapper)
    return lambda f: wrapper.wrap(lambda x: f(x))


def _decorated(wrapper: Wrapper, f: Any) -> Any:
    # The function keeps it: a cache of ours would grow with each pass, and a program that changes what it
    # reads is run as written.
    if not hasattr(f, "wrapped"):
        f.wrapped = wrapper.wrap(f)
    return f.wrapped


@functools.cache
def _bare(name: str, replacement: Any) -> dict[str, Any]:
    return _outcomes(name, replacement)


def _outcomes(name: str, run: Any) -> dict[str, Any]:
    case = cases.CASES[name]
    return outcomes.of(lambda x: case(run, x), (*MODES, *BY_INPUT), cases.FAILING.get(name))


def _compare(wrapper: Wrapper, expected: Mapping[str, Any], got: Mapping[str, Any]) -> None:
    for mode, one in expected.items():
        refusal = wrapper.refused.get(mode)
        if refusal is not None and isinstance(got[mode], Failure) and got[mode].kind in refusal.errors:
            continue
        difference = outcomes.difference(one, got[mode])
        assert not difference, f"{mode}: {difference}"


@pytest.mark.parametrize(("wrapper", "name", "style"), _singles())
def test_one(wrapper: Wrapper, name: str, style: str):
    """The tree of names, initial bits, values, gradients and errors are the bare function's."""
    _compare(wrapper, _bare(name, wrapper.bare), _outcomes(name, _runner(wrapper, style)))


def _pairs() -> list[Any]:
    chosen: list[Any] = []
    for number, pair in enumerate(PAIRS):
        names = ("default_names", "reused", "made") if FULL else ("default_names",)
        if FULL or number % 10 == number // 16 % 10:
            chosen += [pytest.param(pair, name, id=f"{pair}-{name}") for name in names]
    return chosen


@pytest.mark.parametrize(("pair", "name"), _pairs())
def test_two(pair: Wrapper, name: str):
    """So they are with one transform inside another, as far as JAX itself can do both."""
    expected, got = _bare(name, pair.bare), _outcomes(name, _runner(pair, "module"))
    difficult = [part for part in wrappers.DIFFICULT if part in pair.name]
    for mode, one in expected.items():
        if difficult and isinstance(got[mode], Failure) and got[mode].kind in wrappers.DIFFICULTIES:
            continue
        difference = outcomes.difference(one, got[mode])
        assert not difference, f"{mode}: {difference}"


@pytest.mark.parametrize("wrapper", ALL, ids=str)
def test_writing(wrapper: Wrapper):
    """`set_variable` inside counts as often as the body runs, or is refused; it is never lost in silence."""
    net = js.transform(lambda x: cases.written(wrapper.wrap, x))
    variables = js.Variables({"a/n": jnp.float32(3), "b/n": jnp.float32(5)}, non_trainable=["a/n", "b/n"])
    x = jnp.asarray(outcomes.X)

    def loss(x: jax.Array) -> Any:
        y, state = net.apply_with_state(variables, x)
        return jnp.sum(y), state

    ways = {
        "apply_with_state": lambda: net.apply_with_state(variables, x)[1],
        "jit": lambda: jax.jit(net.apply_with_state)(variables, x)[1],
        "grad": lambda: jax.value_and_grad(loss, has_aux=True)(x)[0][1],
        "jit(grad)": lambda: jax.jit(jax.value_and_grad(loss, has_aux=True))(x)[0][1],
    }
    for mode, way in ways.items():
        got = outcomes.attempt(way)
        if isinstance(got, Failure):
            refused = wrapper.refused.get("grad(apply)") if "grad" in mode else None
            kinds = (*wrapper.write_refused, *(refused.errors if refused else ()))
            assert got.kind in kinds, f"{mode}: {got}"
        else:
            assert dict(got) == {"a/n": 3 + 2 * wrapper.steps, "b/n": 5 + wrapper.steps}, mode


def test_callbacks_have_no_pass():
    """What runs on the host, after the pass, cannot ask for variables; results may go there."""

    def back(x: jax.Array) -> jax.Array:
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(lambda x: x * js.get_variable("w", [3]), shape, x)

    net = js.transform(lambda x: jax.jit(back)(x) + js.get_variable("b", [3]))
    assert list(net.spec(outcomes.X)) == ["b"]
    with pytest.raises(jax.errors.JaxRuntimeError, match="NoPassError"):
        jax.jit(net.apply)({"b": jnp.ones(3)}, outcomes.X).block_until_ready()


def test_the_table_is_up_to_date():
    """transforms.md has the table of these wrappers: `python -m tests.transforms.table` writes it."""
    page = table.PAGE.read_text()
    assert page == table.rewritten(page)
