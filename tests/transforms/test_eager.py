"""Eager calls with inner traces are jitted, and yet see all changes that Python sees, and keep nothing."""

import collections
import dataclasses
import functools
import gc
import types
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

import jaxscope as js

ONES = js.initializers.ones
X = jnp.float32(1)
W = {"w": jnp.float32(2)}


@jax.jit
def layer(x: jax.Array) -> jax.Array:
    return x * js.get_variable("w", [], initializer=ONES)


class Plain:
    """An object with an attribute."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


class Inner(Plain):
    """An object that holds another."""

    def __init__(self, value: Any) -> None:
        super().__init__(Plain(value))


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclasses.dataclass(unsafe_hash=True)
class Hashed:
    """Equal, and of equal hash, where the value is equal: 1 and 1.0 are."""

    value: Any


class Computed:
    """A property that reads a list."""

    def __init__(self, value: Any) -> None:
        self.values = [value]

    @property
    def value(self) -> Any:
        return self.values[0]


class OfClass:
    """An attribute of the class."""

    value: Any


class Listed(list[Any]):
    pass


def of_class(value: Any) -> Any:
    return type("OfClass", (OfClass,), {"value": value, "__module__": __name__})()


class Thing:
    """Something with a number in it: how it is made, read, and changed."""

    def __init__(self, make: Any, read: Any, change: Any) -> None:
        self.make, self.read, self.change = make, read, change


def read_value(held: Any) -> Any:
    return held.value


def set_value(held: Any, value: Any) -> None:
    held.value = value


def closing(value: Any) -> Any:
    cell = [value]

    def read() -> Any:
        return value

    def change(new: Any) -> None:
        nonlocal value
        value = cell[0] = new

    read.change = change  # type: ignore[attr-defined]
    return read


#: How an object may change.
THINGS = {
    "attribute": Thing(Plain, read_value, set_value),
    "slot": Thing(Slotted, read_value, set_value),
    "attribute of an attribute": Thing(Inner, lambda h: h.value.value, lambda h, v: set_value(h.value, v)),
    "field": Thing(Hashed, read_value, set_value),
    "behind a property": Thing(Computed, read_value, lambda h, v: h.values.__setitem__(0, v)),
    "attribute of the class": Thing(of_class, read_value, lambda h, v: setattr(type(h), "value", v)),
    "method": Thing(
        lambda v: type("Own", (), {"read": lambda self: v, "__module__": __name__})(),
        lambda h: h.read(),
        lambda h, v: setattr(type(h), "read", lambda self: v),
    ),
    "namespace": Thing(lambda v: types.SimpleNamespace(value=v), read_value, set_value),
    "item of a dict": Thing(
        lambda v: Plain({"k": v}), lambda h: h.value["k"], lambda h, v: h.value.update(k=v)
    ),
    "element": Thing(lambda v: Plain([v]), lambda h: h.value[0], lambda h, v: h.value.__setitem__(0, v)),
    "element of a list of a class": Thing(
        lambda v: Plain(Listed([v])), lambda h: h.value[0], lambda h, v: h.value.__setitem__(0, v)
    ),
    "element of a deque": Thing(
        lambda v: Plain(collections.deque([v])), lambda h: h.value[0], lambda h, v: h.value.__setitem__(0, v)
    ),
    "element of a set": Thing(
        lambda v: Plain({v}), lambda h: next(iter(h.value)), lambda h, v: (h.value.clear(), h.value.add(v))
    ),
    "element of a NumPy array": Thing(
        lambda v: Plain(np.full(2, v, np.float32)),
        lambda h: h.value[0],
        lambda h, v: h.value.__setitem__(0, v),
    ),
    "array": Thing(lambda v: Plain(jnp.float32(v)), read_value, lambda h, v: set_value(h, jnp.float32(v))),
    "what a function closes over": Thing(closing, lambda h: h(), lambda h, v: h.change(v)),
    "function": Thing(lambda v: Plain(lambda: v), lambda h: h.value(), lambda h, v: set_value(h, lambda: v)),
    "bound method": Thing(
        lambda v: Plain(Plain([v]).value.__getitem__),
        lambda h: h.value(0),
        lambda h, v: h.value.__self__.__setitem__(0, v),
    ),
    "frozen view": Thing(
        lambda v: Plain([types.MappingProxyType({"k": v})]),
        lambda h: h.value[0]["k"],
        lambda h, v: h.value.__setitem__(0, types.MappingProxyType({"k": v})),
    ),
}

Call = Callable[[], Any]


class Model:
    """A model that reads its own attributes."""

    def __init__(self, held: Any, read: Any) -> None:
        self.held, self.read = held, read

    def method(self, x: Any) -> Any:
        return layer(x) * self.read(self.held)

    __call__ = method
    transformed = js.transform(method)


def as_global(held: Any, read: Any) -> Call:
    namespace = {"layer": layer, "held": held, "read": read, "__name__": __name__}
    exec("def helper(): return read(held)\ndef f(x): return layer(x) * helper()", namespace)
    net = js.transform(namespace["f"])
    return lambda: net.apply(W, X)


def in_module(held: Any, read: Any) -> Call:
    module = types.ModuleType("a_module_of_the_user")
    module.held, module.read = held, read  # type: ignore[attr-defined]
    namespace = {"layer": layer, "module": module, "__name__": __name__}
    exec("def f(x): return layer(x) * module.read(module.held)", namespace)
    net = js.transform(namespace["f"])
    return lambda: net.apply(W, X)


def bound_to(net: js.Transformed[..., Any], *args: Any, **kwargs: Any) -> Call:
    return lambda: net.apply(W, X, *args, **kwargs)


def nested(net: Any) -> Any:
    return js.transform(lambda x: net(x))


#: Where a call finds it.
PLACES: dict[str, Callable[[Any, Any], Call]] = {
    "argument": lambda h, read: bound_to(js.transform(lambda x, held: layer(x) * read(held)), h),
    "keyword": lambda h, read: bound_to(js.transform(lambda x, *, held: layer(x) * read(held)), held=h),
    "in an argument": lambda h, read: bound_to(
        js.transform(lambda x, t: layer(x) * read(t["a"][0])), {"a": [h]}
    ),
    "closure": lambda h, read: bound_to(js.transform(lambda x: layer(x) * read(h))),
    "closure of a helper": lambda h, read: bound_to(
        js.transform(lambda x, f=lambda: read(h): layer(x) * f())
    ),
    "default": lambda h, read: bound_to(js.transform(lambda x, held=h: layer(x) * read(held))),
    "partial": lambda h, read: bound_to(
        js.transform(functools.partial(lambda held, x: layer(x) * read(held), h))
    ),
    "global": as_global,
    "module": in_module,
    "bound method": lambda h, read: bound_to(js.transform(Model(h, read).method)),
    "callable object": lambda h, read: bound_to(js.transform(Model(h, read))),
    "self": lambda h, read: bound_to(Model(h, read).transformed),
    "function of an argument": lambda h, read: bound_to(
        js.transform(lambda x, f: layer(x) * f()), functools.partial(read, h)
    ),
    "another transformed function": lambda h, read: bound_to(
        nested(js.transform(lambda x: layer(x) * read(h)))
    ),
}


@pytest.mark.parametrize("thing", THINGS.values(), ids=list(THINGS))
@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
def test_every_change_is_seen(place: Any, thing: Thing):
    """Without a warning: the call is jitted, and jitted again where something changed."""
    held = thing.make(2.0)
    call = place(held, thing.read)
    assert [float(call()), float(call())] == [4, 4]
    thing.change(held, 3.0)
    assert float(call()) == 6
    thing.change(held, 2.0)
    assert float(call()) == 4


@pytest.mark.parametrize(("one", "two"), [(1, True), (1, 1.0), (0.0, -0.0), (np.int8(1), np.int32(1))])
@pytest.mark.parametrize("place", ["argument", "closure", "global", "self"])
def test_equal_numbers_are_not_the_same(place: str, one: Any, two: Any):
    """A program for one is not taken for the other, wherever they are."""
    held = Hashed(one)
    call = PLACES[place](held, lambda h: Product(jnp.asarray(h.value)))
    for value in (one, two, one):
        held.value = value
        result = call()
        assert result.dtype == jnp.asarray(value).dtype
        assert np.signbit(result) == np.signbit(value)


class Product:
    """A factor that takes the place of what it is multiplied with."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __rmul__(self, other: Any) -> Any:
        return self.value


def test_arrays_of_other_shapes_and_dtypes_are_inputs():
    """One kind of call for each."""
    net = js.transform(lambda x: layer(x.astype("float32")).sum())
    for shape in [(), (2,), (3, 2)]:
        for dtype in ("float32", "int8"):
            for value in (1, 2):
                assert float(net.apply(W, jnp.full(shape, value, dtype))) == 2 * value * np.prod(shape)


# --- how often it runs -----------------------------------------------------------------------------


def runs(capsys: pytest.CaptureFixture[str], call: Call) -> int:
    """Return how often a function that prints a line runs in a call."""
    capsys.readouterr()
    call()
    return capsys.readouterr().out.count("\n")


def test_the_same_call_is_not_traced_again(capsys: pytest.CaptureFixture[str]):
    """Nor is one with objects that are like the first one's, or with a nan; one with another number is."""

    def loud(x: Any, config: Any, number: float) -> Any:
        print("runs")
        return layer(x) * config.value * number

    net = js.transform(loud)
    net.apply(W, X, Plain([1.0]).value[0] and Plain(1.0), float("nan"))
    assert runs(capsys, lambda: net.apply(W, X, Plain(1.0), float("nan"))) == 0
    assert runs(capsys, lambda: net.apply({"w": X}, 2 * X, Plain(1.0), float("nan"))) == 0
    assert runs(capsys, lambda: net.apply(W, X, Plain(2.0), float("nan"))) > 0


def test_a_plain_function_runs_once(capsys: pytest.CaptureFixture[str]):
    """Where no function of the user's can be traced inside, each eager call runs the function once."""

    @js.transform
    def net(x: Any) -> Any:
        print("runs")
        return jax.nn.relu(jnp.tanh(x)) * js.get_variable("w", [])

    for _ in range(2):
        assert runs(capsys, lambda: net.apply(W, X)) == 1
    assert runs(capsys, lambda: net.apply(W, jnp.ones(3))) == 1
    assert runs(capsys, lambda: jax.jit(net.apply)(W, jnp.ones(5))) == 1


def test_what_spec_has_taught_serves_apply(capsys: pytest.CaptureFixture[str]):
    """A call that traces functions is not explored where `spec` has seen it, with variables like those."""

    def cast(x: jax.Array) -> jax.Array:
        w = js.get_variable("w", [])
        return x.astype(w.dtype) * w

    @js.transform
    def net(x: Any) -> Any:
        print("runs")
        return jax.jit(cast)(x)

    net.spec(X)
    assert runs(capsys, lambda: jax.jit(net.apply)(W, X)) == 1
    half = {name: value.astype(jnp.bfloat16) for name, value in W.items()}
    assert runs(capsys, lambda: jax.jit(net.apply)(half, X)) > 1


def test_weak_values_are_freed_where_a_call_needs_a_value():
    """An inner trace that JAX keeps must not hold what it would have to cast: `jnp.full(shape, 2.0)`, say."""
    inner = jax.jit(lambda x: x @ js.get_variable("w", [8, 8]))

    @js.transform
    def net(x: Any) -> Any:
        y = inner(x)
        return y * 2 if float(y.sum()) > 1e9 else y

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it runs operation by operation
        held = []
        for number in range(4):
            given = {"w": jnp.full((8, 8), float(number))}
            assert given["w"].weak_type
            held.append(weakref.ref(given["w"]))
            net.apply(given, jnp.ones(8))
            del given
    gc.collect()
    assert [one for one in held if one() is not None] == []


def counting(total: jax.Ref, x: Any, calls: Any, inner: Any) -> Any:
    total[...] += x
    io_callback(calls, None, x, ordered=True)
    return inner(x)


def effects(net: Any, *args: Any, how: Any = lambda f: f) -> tuple[float, int]:
    """Return what a call adds to a reference, and how often it calls back."""
    calls: list[Any] = []

    def run(x: Any) -> Any:
        total = jax.new_ref(jnp.float32(0))
        net.apply(W, total, x, calls.append, *args)
        return total[...]

    total = float(how(run)(X))
    jax.effects_barrier()
    return total, len(calls)


HOW = {"eager": lambda f: f, "jit": jax.jit}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("known", [False, True])
def test_effects_happen_once(how: str, known: bool):
    """In the first call of a function, and in the first of a kind when another kind is known."""

    def f(total: Any, x: Any, calls: Any, training: bool = False) -> Any:
        return counting(total, x, calls, layer if training else lambda x: x * js.get_variable("w", []))

    net = js.transform(f)
    if known:
        assert effects(net, how=HOW[how]) == (1, 1)
    for _ in range(3):
        assert effects(net, True, how=HOW[how]) == (1, 1)


@pytest.mark.parametrize("how", HOW)
def test_effects_happen_once_by_shape(how: str):
    """A shape that takes another way through the function is another kind of call."""

    def f(total: Any, x: Any, calls: Any, y: Any) -> Any:
        return counting(total, x, calls, layer if y.ndim else lambda x: x * js.get_variable("w", []))

    net = js.transform(f)
    for y in (X, jnp.ones(2), X, jnp.ones(3)):
        assert effects(net, y, how=HOW[how]) == (1, 1)


def test_effects_of_a_call_that_needs_values_happen_once():
    """Also where the call runs operation by operation."""

    def f(total: Any, x: Any, calls: Any) -> Any:
        return counting(total, x, calls, layer) if float(x) > 0 else x

    net = js.transform(f)
    with pytest.warns(UserWarning, match="needs a value"):
        assert effects(net) == (1, 1)
    assert effects(net) == (1, 1)


def test_rules_of_derivatives_read_the_object_of_the_call():
    """Though JAX runs them later, and the first object that a program saw has changed since."""

    def f(x: Any, config: Any) -> Any:
        clip = jax.custom_vjp(lambda x: x)
        clip.defvjp(lambda x: (x, None), lambda _, g: (g * config.value,))
        return layer(x) * clip(x)

    net = js.transform(f)
    one, two = Plain(2.0), Plain(2.0)
    derivative = jax.grad(lambda x, config: net.apply(W, x, config))
    assert [derivative(X, one), derivative(X, two)] == [6, 6]
    one.value = 3.0
    assert [derivative(X, two), derivative(X, one), derivative(X, two)] == [6, 8, 6]


# --- what cannot be jitted -------------------------------------------------------------------------


def warned(call: Call) -> tuple[Any, list[str]]:
    """Return the result of a call, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return call(), [str(one.message) for one in caught]


RNG = np.random.default_rng(0)
UNKNOWN: dict[str, tuple[Call, str]] = {
    "argument": (
        bound_to(js.transform(lambda x, *_: layer(x)), 1, Plain([RNG])),
        "args[2].value[0] (a numpy.random._generator.Generator)",
    ),
    "keyword": (bound_to(js.transform(lambda x, **_: layer(x)), rng={"a": RNG}), "rng['a']"),
    "self": (bound_to(Model(RNG, lambda _: 1).transformed), "self.held"),
    "global": (as_global(RNG, lambda _: 1), "f -> helper -> held"),
    "itself": (bound_to(js.transform(lambda x, _: layer(x)), RNG), "args[1] (a numpy.random"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_unknown_is_named_once(name: str):
    """The call runs as it is written, with one warning that says what may have changed."""
    call, place = UNKNOWN[name]
    result, (message,) = warned(call)
    assert result == 2
    assert f"it cannot tell whether {place}" in message
    assert warned(call) == (2, [])


def test_a_state_that_cannot_be_seen_is_used_at_each_call():
    """Random numbers of NumPy are drawn anew, as in Python."""
    rng = np.random.default_rng(0)
    net = js.transform(lambda x: layer(x) * rng.random())
    results, _ = warned(lambda: [float(net.apply(W, X)) for _ in range(5)])
    assert len(set(results)) == 5


def test_a_plain_function_may_hold_what_is_unknown():
    """Without an inner trace there is nothing to warn of."""
    net = js.transform(lambda x, _: x * js.get_variable("w", []))
    assert warned(lambda: net.apply(W, X, RNG)) == (2, [])


def test_traced_attributes():
    """An object that holds a traced value, in a derivative: the gradient is that of the present value."""
    config = Plain()
    net = js.transform(lambda x, config: layer(x) * config.value)

    def loss(value: Any) -> Any:
        config.value = value
        return net.apply({"w": jnp.float32(5)}, X, config)

    results, messages = warned(lambda: [float(jax.grad(loss)(value)) for value in (2.0, 3.0)])
    assert results == [5, 5]
    assert len(messages) == 1
    assert "args[1].value (a traced value)" in messages[0]
    assert jax.jit(jax.grad(loss))(2.0) == 5


def test_traced_closures():
    """A function that is transformed inside a derivative is differentiated by what it closes over."""

    def loss(scale: Any) -> Any:
        return js.transform(lambda x: layer(x) * scale).apply(W, X)

    assert warned(lambda: float(jax.grad(loss)(3.0)))[0] == 2
    assert jax.jit(jax.grad(loss))(3.0) == 2


FILLED = {
    "dict": ({}, lambda out, y: out.update(y=y)),
    "nested": ({"a": []}, lambda out, y: out["a"].append(y)),
    "list": ([], lambda out, y: out.append(y)),
    "replaced": ({"y": 0.0}, lambda out, y: out.update(y=y)),
    "object": (Plain(), lambda out, y: setattr(out, "value", y)),
}


@pytest.mark.parametrize("kind", FILLED)
@pytest.mark.parametrize("after_init", [False, True])
def test_arguments_are_filled(kind: str, after_init: bool):
    """What a function puts into its arguments is there after each call, as without the inner trace."""
    empty, fill = FILLED[kind]

    def filling(inner: Any) -> Any:
        def f(x: Any, out: Any) -> Any:
            fill(out, inner(x))
            return x

        return js.transform(f)

    def filled(net: Any, value: float) -> Any:
        out = Plain() if kind == "object" else jax.tree.map(lambda leaf: leaf, empty)
        net.apply({"w": jnp.float32(value)}, X, out)
        return jax.tree.leaves(vars(out) if kind == "object" else out)

    jitted, plain = filling(layer), filling(lambda x: x * js.get_variable("w", []))
    if after_init:
        jitted.init(
            jax.random.key(0), X, Plain() if kind == "object" else jax.tree.map(lambda leaf: leaf, empty)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in (2.0, 3.0):
            assert filled(jitted, value) == filled(plain, value) == [value]


def test_a_function_that_counts_its_calls():
    """A state that each run changes is changed by each call; one warning says why the call is not jitted."""
    counter = Plain(0)

    def f(x: Any) -> Any:
        counter.value += 1
        return layer(x) * counter.value

    net = js.transform(f)

    def call() -> float:
        before = counter.value
        result = float(net.apply(W, X))
        assert result == 2 * counter.value
        return counter.value - before

    counts, messages = warned(lambda: [call() for _ in range(6)])
    assert counts[-3:] == [1, 1, 1]
    assert len(messages) == 1
    assert "the function changes what it reads" in messages[0]


def test_a_function_that_fills_in_what_it_needs_once(capsys: pytest.CaptureFixture[str]):
    """What is made on demand, at the first run, is no reason to run all that follow."""
    table: dict[str, float] = {}

    def f(x: Any) -> Any:
        print("runs")
        return layer(x) * table.setdefault("k", 3.0)

    net = js.transform(f)
    assert [float(net.apply(W, X)) for _ in range(3)] == [6, 6, 6]
    assert runs(capsys, lambda: net.apply(W, X)) == 0
    table["k"] = 4.0
    assert net.apply(W, X) == 8


def test_results_that_stand_for_arrays():
    """A `ShapeDtypeStruct` comes out as it was returned."""
    net = js.transform(lambda x: (layer(x), jax.eval_shape(lambda x: x, x)))
    for _ in range(2):
        value, struct = net.apply(W, X)
        assert value == 2
        assert struct == jax.ShapeDtypeStruct((), jnp.float32)


def test_arguments_that_stand_for_arrays():
    """And goes in as it is given."""
    net = js.transform(lambda x, like: jnp.broadcast_to(layer(x), like.shape))
    for shape in [(2,), (3,), (2,)]:
        assert net.apply(W, X, jax.ShapeDtypeStruct(shape, jnp.float32)).shape == shape


class Params(Mapping[str, Any]):
    """A mapping that is no pytree; with a hash or without."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values_by_name = values

    def __getitem__(self, name: str) -> Any:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


class Hashable(Params):
    __hash__ = object.__hash__  # type: ignore[assignment]


class Subclass(dict[str, Any]):
    pass


@pytest.mark.parametrize(
    "kind",
    [Params, Hashable, Subclass, types.MappingProxyType, collections.ChainMap, collections.OrderedDict, dict],
)
def test_variables_in_any_mapping_are_inputs(kind: Any):
    """What is put into the mapping between two calls is used."""
    values = {"w": jnp.float32(2)}
    given = kind(values)
    store = given if isinstance(given, dict) else values
    net = js.transform(layer)
    for value in (2.0, 3.0):
        store["w"] = jnp.float32(value)
        assert net.apply(given, X) == value
        assert jax.grad(lambda x: net.apply(given, x))(X) == value


def test_disabled_jit_runs_the_function_with_values():
    """Under `jax.disable_jit` a model may be looked into."""
    seen: list[float] = []
    net = js.transform(lambda x: (y := layer(x), seen.append(float(y)))[0])
    with jax.disable_jit():
        assert net.apply(W, X) == 2
    assert seen == [2.0]


# --- nothing is kept -------------------------------------------------------------------------------


def alive(make: Callable[[int], tuple[Any, Call]]) -> int:
    """Return how many of twenty objects are alive after a call with each."""
    seen = []
    for number in range(20):
        thing, call = make(number)
        seen.append(weakref.ref(thing))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
        del thing, call
    gc.collect()
    return sum(reference() is not None for reference in seen)


def test_variables_and_arguments_are_freed():
    """Also those that objects and functions among the arguments hold, and those objects."""
    net = js.transform(lambda x, c=None, f=None: layer(x) * (c.value[0] if c else 1) * (f()[0] if f else 1))

    def variable(number: int) -> Any:
        w = jnp.float32(number)
        return w, lambda: net.apply({"w": w}, X)

    def held(number: int) -> Any:
        array = jnp.full(1000, number)
        return array, lambda: net.apply(W, X, Plain(array))

    def holder(number: int) -> Any:
        config = Plain(jnp.full(1000, number))
        return config, lambda: net.apply(W, X, config)

    def closed(number: int) -> Any:
        array = jnp.full(1000, number)
        return array, lambda: net.apply(W, X, None, lambda: array)

    def text(number: int) -> Any:
        config = Plain([str(number)])
        return config, lambda: js.transform(lambda x, c: layer(x)).apply(W, X, config)

    for make in (variable, held, holder, closed, text):
        assert alive(make) <= 1, make.__name__


def test_an_instance_is_freed():
    """A model whose method is transformed in its class goes when the user drops it, with its arrays."""

    def instance(number: int) -> Any:
        model = Model(jnp.full(1000, number), lambda held: held[0])
        return model.held, lambda: model.transformed.apply(W, X)

    assert alive(instance) <= 1


def test_calls_that_run_as_they_are_keep_nothing():
    """Where values are needed, the inner traces of a call take none of its variables into JAX's caches."""

    @js.transform
    def net(x: Any) -> Any:
        y = layer(x)
        return y if float(y) < 1e9 else 2 * y

    def variable(number: int) -> Any:
        w = jnp.float32(number)
        return w, lambda: net.apply({"w": w}, X)

    assert alive(variable) <= 1


@pytest.mark.parametrize("fresh", [False, True])
def test_no_trace_is_left_behind(fresh: bool):
    """JAX's own check of leaks finds nothing in spec, init, eager and jitted calls, and gradients."""

    def make() -> Any:
        @js.transform
        def net(x: Any) -> Any:
            inner = jax.jit(lambda x: x * js.get_variable("w", [], regularizer=js.regularizers.l2(1.0)))
            return jnp.tanh(inner(x)) + jax.checkpoint(lambda x: x * js.get_variable("b", []))(x)

        return net

    net, v = make(), {**W, "b": X}
    calls = [
        lambda net: net.spec(X),
        lambda net: net.init(jax.random.key(0), X),
        *(
            lambda net, how=how: how(net.apply)(v, X)
            for how in (jax.jit, jax.grad, lambda f: jax.jit(jax.grad(f)))
        ),
        lambda net: net.apply(v, X),
    ]
    with jax.checking_leaks():
        for call in calls:
            call(make() if fresh else net)


def test_eager_calls_leave_no_trace_in_functions_of_a_module():
    """Not even where JAX keeps the trace of an inner function for good."""
    net = js.transform(layer)
    with jax.checking_leaks():
        assert net.apply(W, X) == 2
    if not leaks_by_itself():
        with jax.checking_leaks():
            assert jax.grad(net.apply)(W, X)["w"] == 1


def leaks_by_itself() -> bool:
    """JAX 0.12 keeps a tracer that a function of a module closes over, in the cache of its jaxprs."""
    held = []
    function = jax.jit(lambda x: x * held[0])

    def call(w: jax.Array) -> jax.Array:
        held.append(w)
        return function(X) + held.pop()

    try:
        with jax.checking_leaks():
            jax.grad(call)(X)
    except Exception as problem:
        if "Leaked" not in str(problem):
            raise
        return True
    return False
