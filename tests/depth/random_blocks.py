"""Random programs in which blocks - `js.jit`, `js.scan_layers`, `js.ensemble`, `js.remat` - stand for loops.

They extend `tests/transforms/random_programs.py`: in the bare world a lifted block is the Python loop over
the scopes of its layers, and a JAX transform is left out, as there.
"""

import dataclasses
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import jaxscope as js
from tests.transforms import random_programs as base
from tests.transforms import wrappers
from tests.transforms.random_programs import Program

# --- what is more in a program --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Typed:
    """`get_variable` with a constant that is easily taken for another, or with a dtype."""

    name: str
    options: str


@dataclasses.dataclass(frozen=True)
class State:
    """A variable that is not trainable; set, or only read."""

    name: str
    write: bool


@dataclasses.dataclass(frozen=True)
class Noise:
    """`next_key`."""


@dataclasses.dataclass(frozen=True)
class Stream:
    """`with random_keys(...)` around a block: of the program's key, or of a new one."""

    of: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Results:
    """A block under `js.jit` that returns more than arrays of strong types."""

    wrapper: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Changing:
    """Two calls of one block, which reads something of the function around it that changes between them."""

    wrapper: str
    what: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Again:
    """Two calls of one lifted block: as it stands, and then inside a transform."""

    lift: str
    wrapper: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Add:
    """`add_to_collection`, of something that the block computes, or not."""

    what: str


@dataclasses.dataclass(frozen=True)
class Each:
    """`js.scan_layers` of a block in which each layer has an input and an output of its own."""

    xs: str
    remat: bool
    block: tuple[Any, ...]


# --- running one ----------------------------------------------------------------------------------

_KEY: ContextVar[Any] = ContextVar("key")
Body = Callable[[jax.Array], jax.Array]


def rounded(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **kwargs).astype("bfloat16").astype("float32")


def short(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **kwargs).astype("bfloat16")


def shrunk(next_creator: Any, **kwargs: Any) -> Any:
    return next_creator(**{**kwargs, "dtype": jnp.dtype("bfloat16")})


def counted(getter: Any, name: str, **kwargs: Any) -> Any:
    """Count how often a variable is asked for, in a variable beside it."""
    beside = {"initializer": js.initializers.zeros, "trainable": False, "reuse": js.AUTO_REUSE}
    count = getter(f"{name}_n", [], "float32", **beside)
    js.set_variable(full_name=f"{name}_n", value=count + 1)
    value = getter(name, **kwargs)
    return value * (1 + 0.1 * count).astype(value.dtype)


GETTERS = base.GETTERS | {"rounded": rounded, "short": short, "counted": counted}
CREATORS = {"frozen": base.frozen, "shrunk": shrunk}
TYPED: dict[str, dict[str, Any]] = {
    "1": {"initializer": 1},
    "1.0": {"initializer": 1.0},
    "True": {"initializer": True},
    "0.0": {"initializer": 0.0},
    "-0.0": {"initializer": -0.0},
    "bfloat16": {"shape": (3,), "dtype": "bfloat16"},
    "float32": {"shape": (3,), "dtype": jnp.float32},
    "int32": {"shape": (3,), "dtype": np.int32},
}
OPTIONS = base.OPTIONS | {
    "bfloat16": {"dtype": "bfloat16"},
    **{name: options for name, options in TYPED.items() if "shape" not in options},
}


def one(value: Any) -> jax.Array:
    """Return a number that tells dtypes, and zeros of other signs, apart."""
    index = [str(t) for t in ("bool", "int32", "bfloat16", "float32")].index(str(value.dtype))
    plain = value.astype("float32")
    return 0.1 * jnp.sum(plain) + jnp.arctan2(jnp.max(plain), jnp.float32(-1)) + 0.3 * index


def layers(number: int, name: str = "layer_{}") -> Callable[[Body], Body]:
    """Return what puts a loop over scopes around a function."""

    def around(body: Body) -> Body:
        def run(x: jax.Array) -> jax.Array:
            for index in range(number):
                with js.variable_scope(name.format(index)):
                    x = body(x)
            return x

        return run

    return around


def members(body: Body, *, each: bool) -> Body:
    """Return the loop that an ensemble means, and the mean of its results."""

    def run(x: jax.Array) -> jax.Array:
        results = []
        for index in range(2):
            with js.variable_scope(f"member_{index}"):
                results.append(body(x * (index + 1) if each else x))
        return jnp.stack(results).mean(0)

    return run


def ensemble(body: Body, *, each: bool) -> Body:
    made = js.ensemble(body, 2, in_axes=0 if each else None)
    return lambda x: made(jnp.stack([x, 2 * x]) if each else x).mean(0)


def same(body: Body) -> Body:
    return body


def each(body: Any, xs: jax.Array, *, lifted: bool, remat: bool = False) -> Any:
    """Return layers with inputs and outputs of their own, and the mean of the latter."""

    def run(x: jax.Array) -> jax.Array:
        if lifted:
            x, outs = js.scan_layers(body, 2, xs=xs, outputs=True, remat=remat)(x)
            return x + outs.mean(0)
        found = []
        for index in range(2):
            with js.variable_scope(f"layer_{index}"):
                x, out = body(x, xs[index])
                found.append(out)
        return x + jnp.stack(found).mean(0)

    return run


def total(members: Any) -> jax.Array:
    """Return a number that is alike for values and for a stack of them, which has what is no array once."""
    found = jnp.float32(0)
    for member in members:
        leaves = jax.tree.leaves(member)
        arrays = [jnp.asarray(leaf, "float32") for leaf in leaves if isinstance(leaf, jax.Array | np.ndarray)]
        found += sum((jnp.sum(jnp.sin(array)) for array in arrays), jnp.float32(0))
        if not arrays:
            found += sum(leaf(2.0) if callable(leaf) else len(repr(leaf)) for leaf in leaves)
    return found


Wrap = Callable[[Body], Body]
_OF = {
    "js.jit": (js.jit, same),
    "js.remat": (js.remat, same),
    "js.remat, by policy": (
        lambda f: js.remat(f, policy=jax.checkpoint_policies.dots_saveable, prevent_cse=False),
        same,
    ),
    "js.scan_layers": (lambda f: js.scan_layers(f, 2), layers(2)),
    "js.scan_layers, remat": (lambda f: js.scan_layers(f, 2, remat=True), layers(2)),
    "js.scan_layers, unrolled": (lambda f: js.scan_layers(f, 3, "l{}", unroll=True), layers(3, "l{}")),
    "js.ensemble": (lambda f: ensemble(f, each=False), lambda f: members(f, each=False)),
    "js.ensemble, in_axes": (lambda f: ensemble(f, each=True), lambda f: members(f, each=True)),
    **{
        name: (wrappers.BY_NAME[name].wrap, same)
        for name in ("jax.jit", "jax.checkpoint", "jax.vmap", "jax.grad", "lax.scan", "lax.cond")
    },
}
_PAIRS = (
    "js.jit of js.jit",
    "js.scan_layers of js.jit",
    "js.ensemble of js.jit",
    "js.scan_layers of js.scan_layers",
    "js.ensemble of js.scan_layers",
    "js.scan_layers of js.ensemble",
    "js.jit of js.scan_layers",
    "js.jit of js.ensemble",
    "jax.jit of js.jit",
    "js.jit of jax.jit",
    "js.jit of jax.checkpoint",
    "js.scan_layers of jax.jit",
    "js.scan_layers of jax.checkpoint",
    "js.scan_layers of lax.cond",
    "jax.vmap of js.jit",
    "lax.scan of js.jit",
    "jax.grad of js.scan_layers",
    "jax.checkpoint of js.scan_layers",
    "lax.cond of js.ensemble",
    "js.jit of js.remat",
    "js.remat of js.jit",
    "js.remat of js.remat",
    "js.scan_layers of js.remat",
    "js.ensemble of js.remat",
    "js.remat of js.scan_layers",
    "js.remat of js.ensemble",
    "js.remat of jax.jit",
    "jax.jit of js.remat",
    "jax.vmap of js.remat",
    "jax.grad of js.remat",
    "lax.scan of js.remat",
    "lax.cond of js.remat",
    "jax.checkpoint of js.remat",
)


def _composed(name: str) -> tuple[Wrap, Wrap]:
    (outer, outer_bare), (inner, inner_bare) = (_OF[part] for part in name.split(" of "))
    return (lambda f: outer(inner(f))), (lambda f: outer_bare(inner_bare(f)))


LIFTS: dict[str, tuple[Any, Any]] = {name: of for name, of in _OF.items() if name.startswith("js")}
LIFTS |= {name: _composed(name) for name in _PAIRS}


class World(base.World):
    """One set of functions; of x and a key."""

    getters = GETTERS
    creators = CREATORS
    options = OPTIONS

    def main(self, x: jax.Array, key: Any) -> jax.Array:
        """Run the program."""
        token = _KEY.set(key)
        try:
            # A stream of another key than the one that is there to open streams of.
            with js.random_keys(jax.random.fold_in(key, 1)):
                x = super().main(x)
                members = [*js.get_collection("kept"), *js.get_collection("regularization_losses")]
                return x + 0.01 * total(members)
        finally:
            _KEY.reset(token)

    def _wrap(self, name: str | None, body: Any) -> Any:
        if name not in LIFTS:
            return super()._wrap(name, body)
        wrapped, bare = LIFTS[name]
        return (wrapped if self.wrapped else bare)(body)

    def _typed(self, s: Typed, x: jax.Array, _: Any) -> jax.Array:
        return jnp.tanh(x + one(js.get_variable(s.name, **TYPED[s.options])))

    def _state(self, s: State, x: jax.Array, _: Any) -> jax.Array:
        value = js.get_variable(s.name, (3,), initializer=js.initializers.zeros, trainable=False)
        if s.write:
            js.set_variable(s.name, jax.lax.stop_gradient(0.5 * value + x.astype(value.dtype)))
            with js.variable_scope("", reuse=True):
                value = value + js.get_variable(s.name)
        return jnp.tanh(x + value.astype("float32"))

    def _noise(self, s: Noise, x: jax.Array, _: Any) -> jax.Array:
        return x + jax.random.uniform(js.next_key())

    def _stream(self, s: Stream, x: jax.Array, kept: Any) -> jax.Array:
        key = _KEY.get()
        with js.random_keys(key if s.of == "key" else jax.random.fold_in(key, 3)):
            return self.run(s.block, x, kept)

    def _add(self, s: Add, x: jax.Array, _: Any) -> jax.Array:
        if s.what == "variable":
            value = js.get_variable("v", (3,))
            x = x + value.sum(dtype="float32")
        else:
            value = {
                "array": lambda: jnp.sum(x),
                "tree": lambda: {"a": jnp.cos(x), "b": "text", "n": 2},
                "numpy": lambda: np.arange(3.0),
                "string": lambda: "text",
                "number": lambda: 0.5,
                "function": lambda: _doubled,
            }[s.what]()
        js.add_to_collection("kept", value)
        return jnp.tanh(x)

    def _each(self, s: Each, x: jax.Array, kept: Any) -> jax.Array:
        xs: Any = np.asarray([0.5, 1.5], np.float32) if s.xs == "numpy" else jnp.stack([x, 0.5 + x])

        def body(x: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array]:
            x = self.run(s.block, x * own, list(kept))
            return jnp.tanh(x), x + own

        return each(body, xs, lifted=self.wrapped, remat=s.remat)(x)

    def _results(self, s: Results, x: jax.Array, kept: Any) -> jax.Array:
        def body(x: jax.Array) -> Any:
            weak = jnp.sin(jnp.asarray(0.5)) + 1.0
            return {
                "x": self.run(s.block, x, list(kept)),
                "half": x.astype("bfloat16"),
                "weak": weak,
                "text": "ab",
                "none": None,
                "plain": (2, -0.0, True),
            }

        out = self._wrap(s.wrapper, body)(x)
        weak = out["weak"]
        said = len(repr((out["text"], out["none"], out["plain"]))) + int(weak.weak_type)
        return jnp.tanh(out["x"] + weak + 0.01 * said + out["half"].astype("float32"))

    def _changing(self, s: Changing, x: jax.Array, kept: Any) -> jax.Array:
        holder = _Holder()
        values: list[Any] = [0.5, 2.0]
        table = {"scale": 0.5}
        scale: Any = x[0] if s.what == "array" else 1 if s.what == "type" else 0.5

        def body(x: jax.Array) -> jax.Array:
            number = {
                "float": lambda: scale,
                "array": lambda: scale,
                "type": lambda: len(str(scale)),
                "list": lambda: values[0],
                "dict": lambda: table["scale"],
                "attribute": lambda: holder.scale,
            }[s.what]()
            return self.run(s.block, jnp.tanh(x * number), list(kept))  # or else it grows, and so do errors

        wrapped = self._wrap(s.wrapper, body)
        with js.variable_scope("c0"):
            x = wrapped(x)
        if s.what in ("float", "array", "type"):  # one change, so that nothing else can tell
            scale = x[1] if s.what == "array" else 1.0 if s.what == "type" else 2.0
        elif s.what == "list":
            values[0] = 2.0
        elif s.what == "dict":
            table["scale"] = 2.0
        else:
            holder.scale = 2.0
        with js.variable_scope("c1"):
            return wrapped(x)

    def _again(self, s: Again, x: jax.Array, _: Any) -> jax.Array:
        lifted = self._wrap(s.lift, lambda x: self.run(s.block, x, []))
        x = lifted(x)
        return self._wrap(s.wrapper, lambda x: lifted(x))(x)


class _Holder:
    scale = 0.5


def _doubled(x: float) -> float:
    return 2 * x


# --- making one -----------------------------------------------------------------------------------

# One in which a body runs three times would also write three times.
WRAPPERS = tuple(name for name in base.WRAPPERS if name != "lax.scan, three steps")


def _wrapper() -> st.SearchStrategy[str]:
    return st.one_of(
        st.just("js.jit"),
        st.sampled_from(["js.jit", "js.scan_layers", "js.ensemble", "js.remat"]),
        st.sampled_from(list(LIFTS)),
        st.sampled_from(WRAPPERS),
    )


_NAMES = st.sampled_from(["v", "w", "d/v", "a/v"])
_REUSE = st.sampled_from([None, None, None, True, js.AUTO_REUSE, js.AUTO_REUSE])
_SCOPE_OPTIONS = st.sampled_from(["", "", "", "", "ones", "array", "l2", *OPTIONS, *GETTERS])


def _leaf(*, absolute: bool) -> st.SearchStrategy[Any]:
    shapes = st.sampled_from([(3,), (3,), (3,), (3,), (2,), None])
    own = st.sampled_from(["", "", "", "", *GETTERS])
    gets = st.builds(base.Get, _NAMES, shapes, st.sampled_from(["", "", "", "ones", "array", "l2"]), own)
    kinds = [
        gets,
        gets,
        gets,
        st.builds(Typed, st.sampled_from(["t", "v"]), st.sampled_from(list(TYPED))),
        st.builds(State, st.sampled_from(["s", "s", "s", "v"]), st.booleans()),
        st.builds(Noise),
        st.builds(base.Look, st.just("reuse")),
        st.builds(
            Add,
            st.sampled_from(["array", "array", "tree", "numpy", "string", "number", "function", "variable"]),
        ),
    ]
    if absolute:  # what cannot be said relative to a scope
        kinds += [
            st.builds(base.Own, st.sampled_from(["u", "a", "v", None])),
            st.builds(base.Change, st.sampled_from(["reuse", "ones", "doubled"])),
            st.builds(base.Look, st.sampled_from(["scope", "variables", "regularization_losses"])),
        ]
    return st.one_of(kinds)


def _calls(functions: int, *, absolute: bool) -> list[st.SearchStrategy[Any]]:
    if not functions:
        return []
    lower = st.integers(0, functions - 1)
    wrapped = st.one_of(_wrapper(), _wrapper(), st.none())
    call = st.builds(base.Call, lower, wrapped, st.sampled_from(["once", "once", "here", "fresh"]))
    template = st.builds(base.Call, lower, wrapped, st.just("once"), st.sampled_from(["t", "a"]))
    return [call, call, call, *([template] * (1 + absolute))]


@st.composite
def _blocks(
    draw: Any, functions: int, depth: int, shortest: int, longest: int, *, absolute: bool
) -> tuple[Any, ...]:
    kinds = [_leaf(absolute=absolute), *_calls(functions, absolute=absolute)]
    if depth:
        inner = _blocks(functions, depth - 1, 1, 2, absolute=absolute)
        lifted = _blocks(functions, depth - 1, 1, 2, absolute=False)
        scope = st.sampled_from(["a", "b", ""])
        lift = st.sampled_from(["js.jit", "js.jit", *LIFTS])
        kinds += [
            st.builds(base.Scope, scope, st.none(), _REUSE, _SCOPE_OPTIONS, inner),
            st.builds(base.Scope, st.none(), st.sampled_from(["d", "a"]), st.none(), _SCOPE_OPTIONS, inner),
            st.builds(base.Creator, inner, st.sampled_from(list(CREATORS))),
            st.builds(base.Attempt, inner),
            st.builds(base.Block, _wrapper(), lifted),
            st.builds(base.Block, _wrapper(), lifted),
            st.builds(Stream, st.sampled_from(["key", "key", "new"]), inner),
            st.builds(Results, st.sampled_from(["js.jit", "js.jit of js.jit", "js.remat"]), lifted),
            st.builds(Each, st.sampled_from(["numpy", "array"]), st.booleans(), lifted),
            st.builds(Again, lift, _wrapper(), lifted),
            st.builds(
                Changing,
                st.one_of(lift, _wrapper()),
                st.sampled_from(["float", "array", "type", "list", "dict", "attribute"]),
                lifted,
            ),
        ]
        if absolute:
            kinds += [
                st.builds(base.Jump, st.integers(0, 3), _REUSE, inner),
                st.builds(base.NameScope, st.sampled_from(["a", "n", "a/"]), inner),
            ]
    return tuple(draw(st.lists(st.one_of(kinds), min_size=shortest, max_size=longest)))


@st.composite
def programs(draw: Any) -> Program:
    """Draw a program of one to three functions; one in four uses what blocks may refuse."""
    count = draw(st.sampled_from([2, 1, 3]))
    absolute = draw(st.integers(0, 3)) == 3
    program = tuple(draw(_blocks(function, 2, 1, 3, absolute=absolute)) for function in range(count))
    if draw(st.integers(0, 3)) < 3:  # most programs end in `exists` early on, unless names are shared
        program = (*program[:-1], (base.Scope("", None, js.AUTO_REUSE, "", program[-1]),))
    return program
