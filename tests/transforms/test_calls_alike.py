"""What tells calls apart: eager calls see what bare Python sees, and no effect happens twice."""

import datetime as dt
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from os import getenv
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback
from jax.scipy.sparse.linalg import cg

import jaxscope as js

VARIABLES = {"w": jnp.float32(2)}


def inside(x: Any, name: str = "w") -> Any:
    """Multiply by a variable that an inner trace asks for, so that an eager call is jitted whole."""
    return jax.jit(lambda x: x * js.get_variable(name, []))(x)


def named(name: str) -> Callable[[Any], Any]:
    def same(x: Any) -> Any:
        return x

    same.__name__ = same.__qualname__ = name
    return same


def test_functions_have_names():
    @js.transform
    def net(x, function):
        with js.variable_scope(function.__name__):
            return inside(function(x))

    variables = {"a/w": jnp.float32(2), "b/w": jnp.float32(5)}
    assert [float(net.apply(variables, 3.0, named(name))) for name in "abab"] == [6, 15, 6, 15]


def test_blocks_are_told_apart_by_names_of_functions():
    @js.transform
    def net(x):
        block = js.jit(lambda x, function: inside(x, function.__name__))
        return block(x, named("a")) + block(x, named("b"))

    assert float(net.apply({"a": jnp.float32(2), "b": jnp.float32(5)}, jnp.float32(1))) == 7


def test_classes_have_names_and_texts():
    class Kind:
        """a"""

    @js.transform
    def net(x, thing):
        return inside(x) * len(type(thing).__doc__) * len(type(thing).__name__)

    thing = Kind()
    assert float(net.apply(VARIABLES, 1.0, thing)) == 8
    Kind.__name__ = "K"
    assert float(net.apply(VARIABLES, 1.0, thing)) == 2
    Kind.__doc__ = "ab"
    assert float(net.apply(VARIABLES, 1.0, thing)) == 4


@pytest.mark.parametrize("make", [dict, lambda pairs: [dict(pairs)]])
def test_dicts_have_an_order(make: Any):
    @js.transform
    def net(x, values):
        (values,) = values if isinstance(values, list) else (values,)
        return inside(x) * next(iter(values.values()))

    pairs = [("a", 1.0), ("b", 5.0)]
    for order, right in ((pairs, 2), (pairs[::-1], 10), (pairs, 2), ([(1, 3.0), ("a", 1.0)], 6)):
        assert float(net.apply(VARIABLES, 1.0, make(order))) == right


def test_results_and_names_keep_the_order():
    @js.transform
    def net(**sizes):
        for size in sizes.values():
            with js.variable_scope(None, "part"):
                js.get_variable("w", [size])
        x = inside(1.0)
        return {name: size * x for name, size in sizes.items()}

    assert [spec.shape for spec in net.spec(z=2, a=3).values()] == [(2,), (3,), ()]
    assert list(net.apply(net.init(jax.random.key(0), z=2, a=3), z=2, a=3)) == ["z", "a"]


@pytest.mark.parametrize("solve", [cg, jax.scipy.sparse.linalg.bicgstab])
def test_what_traces_by_other_ways_has_its_effects_once(solve: Any):
    told: list[float] = []

    @js.transform
    def net(x):
        io_callback(lambda x: told.append(float(x)), None, x)
        with js.variable_scope("", reuse=js.AUTO_REUSE):
            return solve(lambda y: y * js.get_variable("w", []), x[None])[0][0]

    call = jax.jit(net.apply)
    for _ in range(2):
        call(VARIABLES, jnp.float32(3)).block_until_ready()
        jax.effects_barrier()
    assert told == [3, 3]


def test_other_variables_are_another_call():
    told: list[int] = []

    @js.transform
    def net(x):
        io_callback(lambda: told.append(1), None)
        try:
            js.get_variable("more", [])
        except js.errors.VariableNotFoundError:
            return x
        return inside(x)

    for given in (VARIABLES, VARIABLES | {"more": jnp.float32(1)}):
        jax.jit(net.apply)(given, 1.0).block_until_ready()
        jax.effects_barrier()
    assert len(told) == 2


@pytest.mark.parametrize(
    "wrap", [js.jit, lambda block: js.scan_layers(block, 1, "{}"), lambda block: js.ensemble(block, 1, "{}")]
)
def test_blocks_under_compile_time_eval(wrap: Any):
    def block(x: Any) -> Any:
        with js.variable_scope("s"):
            return x * js.get_variable("w", [])

    net = js.transform(wrap(block))
    variables = jax.tree.map(lambda _: jnp.float32(2), net.init(jax.random.key(0), jnp.float32(3)))
    with jax.ensure_compile_time_eval():
        assert float(jnp.sum(net.apply(variables, jnp.float32(3)))) == 6


# --- NumPy's arrays --------------------------------------------------------------------------------


def told(call: Callable[[], Any]) -> tuple[Any, str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, " ".join(str(warning.message) for warning in caught)


def test_given_numbers_are_not_cut():
    net = js.transform(lambda x: x * jax.jit(lambda: js.get_variable("n", [], "int32"))())
    assert float(net.apply({"n": np.array(5)}, 1)) == 5
    with pytest.raises(js.errors.DtypeMismatchError) as caught:
        net.apply({"n": np.array(2**40 + 5)}, 1)
    assert caught.value.code == "needs_x64"
    result, warned = told(lambda: net.apply({"n": np.array(6), "other": np.array(2**40)}, 1))
    assert float(result) == 6
    assert "given variables" in warned


def test_arguments_are_not_cut():
    hours = js.transform(lambda x, ms: inside(x) * jnp.float32((ms // 3_600_000) % 24))
    result, warned = told(lambda: hours.apply(VARIABLES, 1.0, np.array(1_700_000_000_000)))
    assert float(result) == 44
    assert "args[1]" in warned


def test_results_are_not_cut():
    net = js.transform(lambda x: (inside(x), np.array([2**40])))
    result, _ = told(lambda: net.apply(VARIABLES, 1.0))
    assert isinstance(result[1], np.ndarray)
    assert result[1].tolist() == [2**40]


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.int64(2**40), "int32"), (2**40, "int32"), (np.float64(1e300), "float32")]
)
def test_written_numbers_are_not_cut(value: Any, dtype: str):
    @js.transform
    def net():
        js.get_variable("s", [], dtype, initializer=js.initializers.zeros(), trainable=False)
        js.set_variable("s", value)

    with pytest.raises(js.errors.StateError, match="does not fit"):
        net.apply_with_state({"s": jnp.zeros([], dtype)})


@pytest.mark.parametrize("value", [np.int64(2**40), np.float64(1e300), np.ma.masked_array(3.0, True)])
def test_initial_numbers_are_not_cut(value: Any):
    net = js.transform(lambda: js.get_variable("n", initializer=value))
    with pytest.raises(js.errors.InitializerError):
        net.init(jax.random.key(0))


def test_initial_arrays_are_copied():
    buffer = np.ones(2, np.float32)
    specs = js.transform(lambda: js.get_variable("n", initializer=buffer)).spec()
    buffer[:] = 9
    assert specs.init(jax.random.key(0))["n"].tolist() == [1, 1]


# --- given on demand -------------------------------------------------------------------------------


class File(Mapping[str, Any]):
    """A file, in which one entry is damaged."""

    def __getitem__(self, name: str) -> Any:
        if name == "damaged":
            raise OSError("damaged")
        return VARIABLES[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*VARIABLES, "damaged"])

    def __len__(self) -> int:
        return len(VARIABLES) + 1


@pytest.mark.parametrize("function", [lambda x: x * js.get_variable("w", []), inside])
def test_what_nobody_asks_for_is_not_read(function: Any):
    net = js.transform(function)
    assert [float(net.apply(File(), 3.0)) for _ in range(3)] == [6, 6, 6]
    assert float(jax.jit(lambda x: net.apply(File(), x))(3.0)) == 6
    with pytest.raises(OSError, match="damaged"):
        js.transform(lambda: js.get_variable("damaged", [])).apply(File())


class Computed(Mapping[str, Any]):
    """Variables that are computed when they are asked for."""

    def __getitem__(self, name: str) -> Any:
        return jnp.asarray({"w": 1.0, "more": 2.0, "n": 0.0}[name]) + 0

    def __iter__(self) -> Iterator[str]:
        return iter(["w", "more", "n"])

    def __len__(self) -> int:
        return 3


@pytest.mark.filterwarnings("ignore:jaxscope runs this call")
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_what_is_computed_on_demand_serves_every_trace(known: bool, jit: bool):
    """It is computed where it was given, though an inner trace asks first; another call may ask for more."""

    numbers = [1] if known else iter([1] * 99)  # an iterator cannot be compared with another

    @js.transform
    def net(x):
        def add(total, _):
            js.set_variable("n", js.get_variable("n", [], trainable=False) + 1)
            return total + js.get_variable("w", []), None

        total, _ = jax.lax.scan(add, x.sum() + next(iter(numbers)), None, length=2)
        return total + (js.get_variable("more", []) if len(x) == 2 else 0)

    call = lambda x: net.apply_with_state(Computed(), x)
    for size in (1, 2, 1, 2):
        total, state = (jax.jit(call) if jit else call)(jnp.ones(size))
        assert float(total) == {1: 4, 2: 7}[size]
        assert float(state["n"]) == 2


def test_weak_types_are_not_given():
    """A variable has a dtype, also where the value that is given for it has a weak one."""

    @js.transform
    def net(x):
        function, values = js.lift(lambda x: x * js.get_variable("w", []), x)
        return function(values, x)

    assert float(net.apply({"w": jnp.full((), 2.0)}, 3.0)) == 6
    half = js.transform(lambda x: x * js.get_variable("w", []))
    assert half.apply({"w": jnp.full((), 2.0)}, jnp.float32(3)).dtype == jnp.float32


# --- what changes by itself ------------------------------------------------------------------------

CHANGING = {
    "getenv": lambda: len(getenv("JAXSCOPE_TEST", "")),
    "environ": lambda: len(os.environ.get("JAXSCOPE_TEST", "")),
    "uuid4": lambda: uuid.uuid4().int % 2,
    "now": lambda: dt.datetime.now(tz=dt.UTC).second,
    "urandom": lambda: len(os.urandom(1)),
}


@pytest.mark.parametrize("name", CHANGING)
def test_what_gives_another_value_at_each_call_is_called(name: str):
    read = CHANGING[name]
    _, warned = told(lambda: js.transform(lambda x: inside(x) * read()).apply(VARIABLES, 1.0))
    assert "operation by operation" in warned
