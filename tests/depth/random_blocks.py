"""Random programs in which blocks - `js.jit`, `js.scan_layers`, `js.ensemble` - stand for loops.

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


# --- running one ----------------------------------------------------------------------------------

_KEY: ContextVar[Any] = ContextVar("key")
Body = Callable[[jax.Array], jax.Array]


def rounded(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **kwargs).astype("bfloat16").astype("float32")


def short(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **kwargs).astype("bfloat16")


def shrunk(next_creator: Any, **kwargs: Any) -> Any:
    return next_creator(**{**kwargs, "dtype": jnp.dtype("bfloat16")})


GETTERS = base.GETTERS | {"rounded": rounded, "short": short}
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


Wrap = Callable[[Body], Body]
_OF = {
    "js.jit": (js.jit, same),
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
                return super().main(x)
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
            return self.run(s.block, x * number, list(kept))

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


# --- making one -----------------------------------------------------------------------------------

# One in which a body runs three times would also write three times.
WRAPPERS = tuple(name for name in base.WRAPPERS if name != "lax.scan, three steps")


def _wrapper() -> st.SearchStrategy[str]:
    return st.one_of(
        st.just("js.jit"),
        st.sampled_from(["js.jit", "js.scan_layers", "js.ensemble"]),
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
    return [call, call, call, *([template] if absolute else [])]


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
            st.builds(Results, st.sampled_from(["js.jit", "js.jit of js.jit"]), lifted),
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
