"""Sameness: keys are equal for what is surely the same, and nothing changes without changing its key."""

import collections
import contextvars
import copy
import dataclasses
import datetime as dt
import enum
import functools
import gc
import math
import os
import random
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable
from decimal import Decimal
from random import random as a_random_number
from time import time as now
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxscope as js
from jaxscope._core.base.calls import Arguments, Call
from jaxscope._core.base.recent import Recent
from jaxscope._core.base.sameness import UnknownError, held_by, key_of
from jaxscope._core.initializers.base import kind_of

# --- values ----------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    one: Any
    two: Any


class Text(str):
    __slots__ = ()


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclasses.dataclass
class Data:
    value: Any


def closing(value: Any) -> Callable[[], Any]:
    return lambda: value


DIFFERENT = [
    *(1, 1.0, True, np.int32(1), np.float32(1), np.float64(1), np.bool_(True), 1 + 0j, "1", b"1", Decimal(1)),
    *(
        0,
        0.0,
        -0.0,
        complex(0.0, -0.0),
        complex(0.0, 0.0),
        math.nan,
        np.float32(np.nan),
        None,
        ...,
        Decimal("1.0"),
    ),
    *((), [], {}, set(), frozenset(), (1,), (1.0,), [1], [True], [[1]], [1, 1], {1: 1}, {1: True}, {1.0: 1}),
    *(
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
        {1},
        frozenset({1}),
        range(3),
        range(0, 3, 2),
        slice(3),
        slice(0, 3),
    ),
    *(Color.RED, Color.BLUE, Pair(1, 2), (1, 2), Pair(1, 2.0), Text("1"), collections.deque([1])),
    *(collections.OrderedDict(a=1), collections.defaultdict(int, a=1), collections.defaultdict(list, a=1)),
    *(
        collections.Counter(a=1),
        types.SimpleNamespace(a=1),
        types.MappingProxyType({"a": 1}),
        bytearray(b"1"),
    ),
    *(np.zeros(2), np.ones(2), np.ones(2, np.float32), np.ones((2, 1)), np.ones(2, int), np.array([1, None])),
    *(
        np.dtype("int32"),
        np.dtype("float32"),
        int,
        float,
        jnp.float32,
        np.zeros(100),
        np.ones(100),
        "x" * 5000,
    ),
    *("x" * 4999 + "y", dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.timedelta(1)),
    *(
        Plain(1),
        Plain(1.0),
        Plain(True),
        Slotted(1),
        Slotted(1.0),
        Data(1),
        Data(1.0),
        Plain([1]),
        Plain([1.0]),
    ),
    *(math.sin, math.cos, jnp.sin, jnp.cos, jax.nn.relu, np.add, len, [].append, [1].append, "a".join),
    *(
        closing(1),
        closing(1.0),
        functools.partial(max, 1),
        functools.partial(max, 1.0),
        functools.partial(max, a=1),
    ),
    *(
        Plain(1).__init__,
        Plain(2).__init__,
        weakref.ref(Plain),
        property(len),
        staticmethod(len),
        classmethod(len),
    ),
    *(
        jax.ShapeDtypeStruct((2,), jnp.float32),
        jax.ShapeDtypeStruct((2,), jnp.int32),
        jax.tree.structure([1]),
    ),
    *(jax.tree.structure({1: 1}), jax.tree.structure({True: 1}), list[int], dict[str, int], int | None),
    *(jax.sharding.PartitionSpec("a"), jax.sharding.PartitionSpec("b"), jax.devices()[0]),
]


def test_what_differs_in_type_or_bits_has_another_key():
    """No two of many values that a program could tell apart have equal keys."""
    keys = [key_of(value) for value in DIFFERENT]
    for at, key in enumerate(keys):
        equal = [DIFFERENT[other] for other in range(at) if keys[other] == key]
        assert not equal, f"{DIFFERENT[at]!r} is taken for {equal}"


@pytest.mark.parametrize("value", DIFFERENT, ids=lambda value: type(value).__name__)
def test_a_key_is_the_same_at_the_next_look(value: Any):
    """A value that nobody changed has an equal key and hash."""
    assert key_of(value) == key_of(value)
    assert hash(key_of(value)) == hash(key_of(value))


_UNCOPIED = (weakref.ref, property, staticmethod, classmethod, types.MappingProxyType, jax.Device)
COPIES = [value for value in DIFFERENT if not callable(value) and not isinstance(value, _UNCOPIED)]


@pytest.mark.parametrize("value", COPIES, ids=lambda value: type(value).__name__)
def test_contents_count_not_identity(value: Any):
    """A deep copy has an equal key."""
    assert key_of(copy.deepcopy(value)) == key_of(value)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
trees: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        leaves
        | st.lists(trees, max_size=3)
        | st.tuples(trees, trees)
        | st.dictionaries(st.text(max_size=2) | st.integers() | st.booleans(), trees, max_size=3)
        | st.builds(Plain, trees)
        | st.builds(Slotted, trees)
        | st.builds(Data, trees)
    )
)


def spelled(value: Any) -> str:
    """Return all of a tree as text, with types."""
    if isinstance(value, Plain | Slotted | Data):
        return f"{type(value).__name__}({spelled(value.value)})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{spelled(k)}: {spelled(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(spelled, value))})"
    return f"{type(value).__name__}:{value!r}"


@given(trees, trees)
def test_keys_are_equal_exactly_where_contents_are(one: Any, two: Any):
    """Of random trees: as their spelling is, and as a copy's is."""
    assert (key_of(one) == key_of(two)) == (spelled(one) == spelled(two))
    assert key_of(copy.deepcopy(one)) == key_of(one)


def test_what_is_twice_alike_is_not_what_is_there_twice():
    """`is` cannot tell two calls with equal keys apart."""
    one, two = object(), object()
    assert key_of([one, one]) == key_of([two, two]) != key_of([one, two])
    shared = [1]
    assert key_of({"a": shared, "b": shared}) != key_of({"a": [1], "b": [1]})
    ring: list[Any] = []
    ring.append(ring)
    assert key_of(ring) == key_of(ring) != key_of([[]])


def test_arrays_are_known_by_identity_and_not_kept():
    """An array of JAX never changes; its key holds it weakly, also after it was deleted."""
    array = jnp.ones(3)
    key = key_of(Plain(array))
    assert key == key_of(Plain(array)) != key_of(Plain(jnp.ones(3)))
    array.delete()
    assert key == key_of(Plain(array))
    seen = weakref.ref(array)
    del array
    gc.collect()
    assert seen() is None
    assert all(key != key_of(Plain(jnp.ones(3))) for _ in range(10))


def test_no_object_is_kept():
    """Neither an object, nor its class, nor a function's closure is kept by a key."""

    class Local:
        pass

    held = Local()
    key = key_of((held, closing(held), functools.partial(print, held), held.__init__))
    gone = [weakref.ref(held), weakref.ref(Local)]
    assert key is not None
    del held, Local
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_traced_values_compare_only_where_their_trace_lasts():
    """Within a trace by identity; for good they are unknown."""
    found: list[Any] = []

    def trace(x: jax.Array, y: jax.Array) -> jax.Array:
        with pytest.raises(UnknownError, match="a traced value"):
            key_of(closing(x))
        keys = [key_of(closing(value), alive=True) for value in (x, x, y)]
        found.append((keys[0] == keys[1], keys[0] == keys[2]))
        return x

    jax.eval_shape(trace, 1.0, 1.0)
    assert found == [(True, False)]


# --- what cannot be looked into --------------------------------------------------------------------

UNKNOWN = {
    "a numpy.random._generator.Generator": lambda: np.random.default_rng(0),
    "a generator": lambda: (x for x in ()),
    "a list_iterator": lambda: iter([1]),
    "a NumPy array of 8000000 bytes": lambda: np.zeros(1_000_000),
    "too large or too deep to look through": lambda: functools.reduce(
        lambda inner, _: [inner], range(1000), []
    ),
    "a function that calls eval()": lambda: lambda: eval("1"),
    "the module tests.unit.test_sameness, of which any part may be used": lambda: lambda: THIS,
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_the_unknown_is_named(what: str):
    """With its place, and where it is inside of something; nothing is said of what cannot be looked into."""
    thing = UNKNOWN[what]()
    with pytest.raises(UnknownError) as caught:
        Arguments((), (1, {"a": Plain([thing])}), {}).key()
    assert caught.value.what == what
    place = caught.value.place
    assert place.startswith("args[1]['a'].value[0]")


THIS = sys.modules[__name__]


@pytest.mark.parametrize(
    "function",
    [
        lambda: random.random(),
        lambda: random.gauss(0, 1),
        lambda: a_random_number(),
        lambda: np.random.normal(),  # noqa: NPY002
        lambda: time.perf_counter(),
        lambda: now(),
        lambda: os.environ["HOME"],
        lambda: os.getenv("HOME"),
    ],
)
def test_what_changes_at_each_call_is_unknown(function: Any):
    """Random numbers, the time and the environment, by module or by name."""
    with pytest.raises(UnknownError):
        key_of(function)


@pytest.mark.parametrize(
    "function",
    [
        lambda: random.Random(0).random(),
        lambda: np.random.default_rng(0).normal(),
        lambda: jax.random.normal(jax.random.key(0)),
        lambda: os.path.join("a", "b"),
        lambda: time.sleep(0),
    ],
)
def test_what_does_not_is_known(function: Any):
    """Also where random numbers begin with a seed."""
    assert key_of(function) == key_of(function)


def test_places_of_a_call():
    """As the user writes the call: by position, by name, and `self`."""
    rng = np.random.default_rng(0)

    def place(*args: Any, **kwargs: Any) -> str:
        with pytest.raises(UnknownError) as caught:
            Arguments(("bound",), args, kwargs).key()
        return caught.value.place

    assert place(1, [2, Plain(rng)]) == "args[1][1].value"
    assert place(rng=Plain({"x": rng})) == "rng.value['x']"
    with pytest.raises(UnknownError) as caught:
        Arguments((Plain(rng),), (), {}).key()
    assert caught.value.place == "self.value"


def test_things_that_fail_when_they_are_looked_at_are_unknown():
    """Whatever an object does when it is asked for its parts, a call with it runs as it is."""

    class Breaking:
        def __getattribute__(self, name: str) -> Any:
            raise ZeroDivisionError

    with pytest.raises(UnknownError, match="Breaking, which gives ZeroDivisionError"):
        key_of([Breaking()])


LEVEL: contextvars.ContextVar[Any] = contextvars.ContextVar("level", default=0)
LOCAL = threading.local()


def test_values_of_the_context_and_the_thread():
    """A context variable is what it is here and now; so is what a thread keeps for itself."""
    by_context, by_thread = (lambda: LEVEL.get()), (lambda: LOCAL.level)
    LOCAL.level = 0
    before = key_of(by_context), key_of(by_thread)
    token = LEVEL.set(1)
    LOCAL.level = 1
    assert key_of(by_context) != before[0]
    assert key_of(by_thread) != before[1]
    LEVEL.reset(token)
    LOCAL.level = 0
    assert (key_of(by_context), key_of(by_thread)) == before


def test_variables_are_known():
    """A function may close over the variables of another one: they are arrays by name."""
    one = js.Variables({"a/w": jnp.ones(2), "b": jnp.zeros(2)}, non_trainable=["b"])
    same = js.Variables(dict(one), non_trainable=["b"])
    assert key_of(closing(one)) == key_of(closing(same)) != key_of(closing(js.Variables(dict(one))))
    assert key_of(closing(one)) != key_of(closing(one.replace({"b": jnp.zeros(2)})))
    assert len(held_by(closing(one))) == 2


def test_large_things_are_given_up_quickly():
    """A list of a million numbers is unknown, and not kept in a key."""
    with pytest.raises(UnknownError, match="too large"):
        key_of([0] * 1_000_000)


# --- functions -------------------------------------------------------------------------------------


def module(source: str, name: str = "helpers_of_a_test") -> types.ModuleType:
    """Return a module of the user's."""
    made = types.ModuleType(name)
    made.__file__ = f"/home/user/{name}.py"
    sys.modules[name] = made
    exec(compile(source, made.__file__, "exec"), made.__dict__)
    return made


SOURCE = """
import numpy as np
import jax.numpy as jnp
import helpers_below as below
from helpers_below import imported
K = 1.0
TABLE = {"a": [1.0]}
def helper(x): return x * K
class Layer:
    scale = 1.0
    def call(self, x): return helper(x) * self.scale
layer = Layer()
def by_global(x): return x * K
def by_table(x): return x * TABLE["a"][0]
def by_helper(x): return helper(x)
def by_module(x): return below.deep(x)
def by_import(x): return imported(x)
def by_local_import(x):
    from helpers_below import deep
    return deep(x)
def by_object(x): return layer.call(x)
def by_class(x): return Layer().call(x)
def by_default(x, k=[1.0]): return x * k[0]
def by_keyword(x, *, k=[1.0]): return x * k[0]
def by_inner(x):
    def inner(): return K
    return inner()
def by_comprehension(x): return [K for _ in range(3)]
def by_recursion(x): return by_recursion(x - K) if x > 0 else x
def by_lambda(x): return (lambda: helper(x))()
def by_decorator(x): return wrapped(x)
def by_cache(x): return cached(x)
def by_missing(x): return late(x)
def made(below):
    def by_closure(x): return below.deep(x)
    return by_closure
def made_inside(below):
    def by_inner_closure(x): return (lambda: below.deep(x))()
    return by_inner_closure
by_closure, by_inner_closure = made(below), made_inside(below)
import functools
def decorate(f):
    @functools.wraps(f)
    def call(*args): return f(*args)
    return call
@decorate
def wrapped(x): return x * K
@functools.lru_cache
def cached(x): return x * K
"""
BELOW = """
D = 1.0
def deep(x): return x * D
def imported(x): return x * D
"""


def set_global(name: str, value: Any) -> Callable[[Any, Any], None]:
    return lambda above, below: setattr(above, name, value)


CHANGES: dict[str, list[Callable[[Any, Any], Any]]] = {
    "by_global": [set_global("K", 2.0), set_global("K", 1), lambda above, below: delattr(above, "K")],
    "by_table": [lambda above, below: above.TABLE["a"].__setitem__(0, 2.0), set_global("TABLE", {"a": [1]})],
    "by_helper": [set_global("K", 2.0), set_global("helper", lambda x: x)],
    "by_module": [
        lambda above, below: setattr(below, "D", 2.0),
        lambda above, below: setattr(below, "deep", abs),
    ],
    "by_closure": [
        lambda above, below: setattr(below, "D", 2.0),
        lambda above, below: setattr(below, "deep", abs),
        lambda above, below: setattr(
            above.by_closure.__closure__[0], "cell_contents", module(BELOW, "other")
        ),
    ],
    "by_inner_closure": [lambda above, below: setattr(below, "D", 2.0)],
    "by_import": [lambda above, below: setattr(below, "D", 2.0)],
    "by_local_import": [lambda above, below: setattr(below, "D", 2.0)],
    "by_object": [
        set_global("K", 2.0),
        lambda above, below: setattr(above.layer, "scale", 2.0),
        lambda above, below: setattr(above.Layer, "scale", 2.0),
        lambda above, below: setattr(above.Layer, "call", lambda self, x: x),
    ],
    "by_class": [set_global("K", 2.0), lambda above, below: setattr(above.Layer, "more", property(abs))],
    "by_default": [lambda above, below: above.by_default.__defaults__[0].append(2)],
    "by_keyword": [lambda above, below: above.by_keyword.__kwdefaults__["k"].append(2)],
    "by_inner": [set_global("K", 2.0)],
    "by_comprehension": [set_global("K", 2.0)],
    "by_recursion": [set_global("K", 2.0)],
    "by_lambda": [set_global("K", 2.0)],
    "by_decorator": [set_global("K", 2.0)],
    "by_cache": [set_global("K", 2.0)],
    "by_missing": [set_global("late", abs)],
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_code_reaches_by_name_is_part_of_its_key(name: str):
    """Through globals, helpers, modules, imports, defaults, classes and objects."""
    for change in CHANGES[name]:
        below = module(BELOW, "helpers_below")
        above = module(SOURCE)
        function = getattr(above, name)
        before = key_of(function)
        assert key_of(function) == before
        above.unused = object()
        assert key_of(function) == before, "what the code does not name does not count"
        change(above, below)
        assert key_of(function) != before


@pytest.mark.parametrize(
    "use", ["(below,)", "below.__dict__", "(lambda f=below: f)()", "(below.deep, below)"]
)
def test_a_module_that_is_handed_on_is_unknown(use: str):
    """Of one that a function takes from the function around it, as of a global one."""
    space = {"below": module(BELOW, "helpers_below")}
    for source in (f"f = lambda: {use}", f"def make(below):\n return lambda: {use}\nf = make(below)"):
        exec(source, space)
        with pytest.raises(UnknownError):
            key_of(space["f"])


def test_libraries_are_fixed():
    """What JAX, NumPy, Python or jaxscope offer is known by its name, and not looked into."""

    def net(x: Any) -> Any:
        with js.variable_scope("a", initializer=js.initializers.ones):
            return jax.nn.relu(jnp.einsum("a->", np.asarray(x))) * math.pi * js.get_variable("w", [])

    assert len(key_of(net)) < 40  # type: ignore[arg-type]
    for function in (jnp.tanh, jax.nn.softmax, js.get_variable, np.linalg.norm, functools.reduce):
        assert len(key_of(function)) == 2  # type: ignore[arg-type]


def test_wrappers_of_jax_are_looked_through():
    """A change in the function below `jit`, `vmap`, `custom_vjp` or `transform` is another key."""
    table = [1.0]

    def f(x: Any) -> Any:
        return x * table[0]

    custom = jax.custom_vjp(f)
    custom.defvjp(lambda x: (f(x), None), lambda _, g: (g,))
    wrapped = [
        jax.jit(f),
        jax.vmap(f),
        jax.grad(f),
        jax.checkpoint(f),
        custom,
        js.transform(f),
        functools.partial(f),
    ]
    before = [key_of(function) for function in wrapped]
    assert [key_of(function) for function in wrapped] == before
    table[0] = 2.0
    assert all(key_of(function) != key for function, key in zip(wrapped, before, strict=True))


def test_functions_made_twice_are_one_kind():
    """Same code, same values: one kind of initializer, though they are different objects."""
    normal = jax.nn.initializers.normal
    assert kind_of(normal(0.02)) == kind_of(normal(0.02)) != kind_of(normal(0.03))
    assert hash(kind_of(normal(0.02))) == hash(kind_of(normal(0.02)))
    assert kind_of(jax.nn.initializers.he_normal()) == kind_of(jax.nn.initializers.he_normal())
    assert kind_of(Data(1.0)) == kind_of(Data(1.0)) != kind_of(Data(1))
    assert kind_of(js.initializers.zeros()) != kind_of(js.initializers.ones())
    assert kind_of(closing(np.random.default_rng(0))) is None


def test_the_arrays_of_a_key():
    """Those that it compares by identity, each once."""
    one, two = jnp.ones(2), jnp.zeros(2)
    found = held_by([closing(one), Plain({"a": two, "b": one})])
    assert len(found) == 2
    assert found[0] is one
    assert found[1] is two


def test_the_structure_of_a_call():
    """Types of keys and data of nodes count, though JAX compares them by `==`."""

    @jax.tree_util.register_pytree_node_class
    class Node:
        def __init__(self, child: Any, data: Any) -> None:
            self.child, self.data = child, data

        def tree_flatten(self) -> Any:
            return (self.child,), self.data

        @classmethod
        def tree_unflatten(cls, data: Any, children: Any) -> Any:
            return cls(*children, data)

    x = np.ones(2)
    calls = [({1: x},), ({True: x},), (Node(x, 1),), (Node(x, 1.0),), (Node(x, True),), ([x],), ((x,),), (x,)]
    keys = [Call(*call).key() for call in calls]
    assert len(set(keys)) == len(keys)
    assert Call(Node(x, 1)).key() == Call(Node(2 * x, 1)).key()


def test_recent_forgets_what_was_not_used_for_longest():
    """A use makes an entry young again; a value is made once."""
    recent: Recent[int] = Recent(2)
    made: list[str] = []

    def get(key: str) -> int:
        return recent.get_or(key, lambda: (made.append(key), len(made))[1])

    assert [get(key) for key in "abaca"] == [1, 2, 1, 3, 1]
    assert "b" not in recent
    assert len(recent) == 2


@pytest.mark.parametrize("size", [None, 1, 8])
def test_what_a_cache_holds_is_part_of_its_key(size: int | None):
    """A cached result may be changed, and then be used again; to look one up is no change."""
    settings = functools.lru_cache(maxsize=size)(lambda: {"k": 1.0})
    before = key_of(settings)
    settings()
    filled = key_of(settings)
    assert filled != before
    settings()
    assert key_of(settings) == filled
    settings()["k"] = 2.0
    assert key_of(settings) != filled


def test_the_order_of_use_of_a_cache_does_not_count():
    """Nor does how often it was asked."""
    square = functools.lru_cache(lambda x: x * x)
    for x in (1, 2, 3):
        square(x)
    before = key_of(square)
    square(1)
    assert key_of(square) == before
