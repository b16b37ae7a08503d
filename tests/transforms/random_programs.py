"""Random programs whose functions call one another, with JAX transforms around random parts of them.

A program is data. It runs in two worlds: as it is, and with the wrappers left out; nothing else differs.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import jaxscope as js
from tests.transforms import wrappers

# --- what a program is made of --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Get:
    """`get_variable`."""

    name: str
    shape: tuple[int, ...] | None = (3,)
    options: str = ""
    own_getter: str = ""


@dataclasses.dataclass(frozen=True)
class Own:
    """`js.Variable`."""

    name: str | None
    value: float = 0.5


@dataclasses.dataclass(frozen=True)
class Scope:
    """`with variable_scope(...)` around a block; kept in a local variable of the function."""

    name: str | None
    default: str | None
    reuse: Any
    options: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Jump:
    """`with variable_scope(the nth scope object kept so far, or the current one)` around a block."""

    nth: int
    reuse: Any
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class NameScope:
    """`with name_scope(...)` around a block."""

    name: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Creator:
    """`with variable_creator_scope(...)` around a block."""

    block: tuple[Any, ...]
    which: str = "frozen"


@dataclasses.dataclass(frozen=True)
class Attempt:
    """`try` around a block; a name that exists, or is missing, is made good."""

    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of the current scope object."""

    what: str


@dataclasses.dataclass(frozen=True)
class Look:
    """What the current scope and the collections are, as a number."""

    what: str


@dataclasses.dataclass(frozen=True)
class Block:
    """A transform around a block: a closure, made anew each time."""

    wrapper: str
    block: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of an earlier function, or of a template of it.

    `style`: wrapped `once`, as by a decorator; `here`, at each call; or a `fresh` closure of it `here`.
    """

    function: int
    wrapper: str | None
    style: str
    template: str | None = None


#: The last function is the program; each calls only those before it.
Program = tuple[tuple[Any, ...], ...]


def statements(block: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the statements of a block, and of the blocks in it."""
    for statement in block:
        yield statement
        yield from statements(getattr(statement, "block", ()))


def used(program: Program) -> set[str]:
    """Return the names of the wrappers in a program."""
    found = (getattr(s, "wrapper", None) for function in program for s in statements(function))
    return {name for name in found if name is not None}


# --- running one ----------------------------------------------------------------------------------


def doubled(getter: Any, name: str, **kwargs: Any) -> Any:
    return 2 * getter(name, **kwargs)


def renamed(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name + "_r", **kwargs)


def sharing(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **{**kwargs, "reuse": None})


def pair(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **kwargs) - getter(name + "_b", **kwargs)


GETTERS = {"doubled": doubled, "renamed": renamed, "sharing": sharing, "pair": pair}
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "ones": {"initializer": js.initializers.ones},
    "array": {"initializer": np.asarray([0.5, 1.0, 2.0], np.float32)},
    "l2": {"regularizer": js.regularizers.l2(0.1)},
}


def frozen(next_creator: Any, **kwargs: Any) -> Any:
    return next_creator(**{**kwargs, "trainable": False})


CREATORS: dict[str, Any] = {"frozen": frozen}


class World:
    """One set of functions, as a module holds them: the same in all passes."""

    #: What statements name.
    getters = GETTERS
    creators = CREATORS
    options = OPTIONS

    def __init__(self, program: Program, *, wrapped: bool) -> None:
        self.wrapped = wrapped
        self.functions = [self._function(block) for block in program]
        self._once: dict[Any, Any] = {}

    def _function(self, block: tuple[Any, ...]) -> Callable[[jax.Array], jax.Array]:
        return lambda x: self.run(block, x, [])

    def main(self, x: jax.Array) -> jax.Array:
        """Run the program."""
        return self.functions[-1](x)

    def run(self, block: tuple[Any, ...], x: jax.Array, kept: list[js.VariableScope]) -> jax.Array:
        """Run a block: each statement takes a value to another."""
        for statement in block:
            x = getattr(self, f"_{type(statement).__name__.lower()}")(statement, x, kept)
        return x

    def _get(self, s: Get, x: jax.Array, _: Any) -> jax.Array:
        options = self.options[s.options]
        shape = None if s.options == "array" else s.shape
        getter = self.getters.get(s.own_getter)
        value = js.get_variable(s.name, shape, custom_getter=getter, **options)
        return jnp.tanh(x * 1.5 + value.sum(dtype="float32"))

    def _own(self, s: Own, x: jax.Array, _: Any) -> jax.Array:
        return jnp.tanh(x - js.Variable(np.float32(s.value), name=s.name))

    def _scope(self, s: Scope, x: jax.Array, kept: Any) -> jax.Array:
        options = dict(self.options.get(s.options, {}))
        if s.options in self.getters:
            options["custom_getter"] = self.getters[s.options]
        with js.variable_scope(s.name, s.default, reuse=s.reuse, **options) as scope:
            kept.append(scope)
            return self.run(s.block, x, kept)

    def _jump(self, s: Jump, x: jax.Array, kept: Any) -> jax.Array:
        target = kept[s.nth % len(kept)] if kept else js.get_variable_scope()
        with js.variable_scope(target, reuse=s.reuse):
            return self.run(s.block, x, kept)

    def _namescope(self, s: NameScope, x: jax.Array, kept: Any) -> jax.Array:
        with js.name_scope(s.name):
            return self.run(s.block, x, kept)

    def _creator(self, s: Creator, x: jax.Array, kept: Any) -> jax.Array:
        with js.variable_creator_scope(self.creators[s.which]):
            return self.run(s.block, x, kept)

    def _attempt(self, s: Attempt, x: jax.Array, kept: Any) -> jax.Array:
        try:
            return self.run(s.block, x, list(kept))
        except (js.errors.VariableExistsError, js.errors.VariableNotFoundError):
            return x * 0.75

    def _change(self, s: Change, x: jax.Array, _: Any) -> jax.Array:
        scope = js.get_variable_scope()
        if s.what == "reuse":
            scope.reuse_variables()
        elif s.what in self.getters:
            scope.set_custom_getter(self.getters[s.what])
        else:
            scope.set_initializer(js.initializers.ones)
        return x

    def _look(self, s: Look, x: jax.Array, _: Any) -> jax.Array:
        if s.what == "reuse":
            return x + 0.01 * len(repr(js.get_variable_scope().reuse))
        if s.what == "scope":
            scope = js.get_variable_scope()
            return x + 0.1 * len(scope.name) + 0.01 * len(repr(scope.reuse))
        members = js.get_collection(s.what)
        return jnp.tanh(x + 0.1 * len(members) + sum((jnp.sum(m) for m in members), jnp.float32(0)))

    def _block(self, s: Block, x: jax.Array, kept: Any) -> jax.Array:
        # A copy: what a trace puts into a list of the user's is lost where JAX does not run it again.
        body = lambda x: self.run(s.block, x, list(kept))
        return self._wrap(s.wrapper, body)(x)

    def _wrap(self, name: str | None, body: Any) -> Any:
        return wrappers.BY_NAME[name].wrap(body) if self.wrapped and name is not None else body

    def _call(self, s: Call, x: jax.Array, _: Any) -> jax.Array:
        function = self.functions[s.function]
        if s.template is not None:
            key = ("template", s)
            if key not in self._once:
                self._once[key] = js.make_template(s.template, self._wrap(s.wrapper, function))
            return self._once[key](x)
        if s.style == "once":
            key = (s.function, s.wrapper)
            if key not in self._once:
                self._once[key] = self._wrap(s.wrapper, function)
            return self._once[key](x)
        if s.style == "fresh":
            return self._wrap(s.wrapper, lambda x: function(x))(x)
        return self._wrap(s.wrapper, function)(x)


# --- making one -----------------------------------------------------------------------------------

#: Each calls its function once, and has a derivative.
WRAPPERS = (
    "jax.jit",
    "jax.checkpoint",
    "lax.scan",
    "lax.scan, three steps",
    "lax.cond",
    "lax.cond, closure",
    "lax.switch",
    "lax.fori_loop",
    "lax.map",
    "jax.vmap",
    "jax.grad",
    "jax.value_and_grad",
    "jax.vjp",
    "jax.jvp",
    "jax.linearize",
    "jax.make_jaxpr",
    "jax.shard_map (Auto axes)",
    "jax.jit of jax.jit",
    "jax.jit of jax.checkpoint",
    "jax.checkpoint of lax.scan",
    "jax.vmap of jax.jit",
    "jax.grad of jax.jit",
    "lax.scan of jax.checkpoint",
)


def _wrapper() -> st.SearchStrategy[str]:
    # The first is the simplest, to which hypothesis reduces; the caches are JAX's, in jit above all.
    return st.one_of(st.just("jax.jit"), st.sampled_from(WRAPPERS))


_NAMES = st.sampled_from(["v", "w", "d/v", "a/v"])
_SHAPES = st.sampled_from([(3,), (3,), (3,), (3,), (2,), None, (None,)])
_REUSE = st.sampled_from([None, None, None, True, js.AUTO_REUSE, js.AUTO_REUSE])
_SCOPE_OPTIONS = st.sampled_from(["", "", "", "", "ones", "array", "l2", *GETTERS])


def _leaf() -> st.SearchStrategy[Any]:
    gets = st.builds(
        Get,
        _NAMES,
        _SHAPES,
        st.sampled_from(["", "", "", "ones", "array", "l2"]),
        st.sampled_from(["", "", "", "", *GETTERS]),
    )
    return st.one_of(
        gets,
        gets,
        st.builds(Own, st.sampled_from(["u", "a", "v", None])),
        st.builds(Change, st.sampled_from(["reuse", "ones", "doubled"])),
        st.builds(
            Look, st.sampled_from(["scope", "variables", "trainable_variables", "regularization_losses"])
        ),
    )


def _calls(functions: int) -> list[st.SearchStrategy[Any]]:
    if not functions:
        return []
    lower = st.integers(0, functions - 1)
    wrapped = st.one_of(_wrapper(), _wrapper(), st.none())
    call = st.builds(Call, lower, wrapped, st.sampled_from(["once", "once", "here", "fresh"]))
    template = st.builds(Call, lower, wrapped, st.just("once"), st.sampled_from(["t", "a"]))
    return [call, call, call, template]


@st.composite
def _blocks(draw: Any, functions: int, depth: int, shortest: int, longest: int) -> tuple[Any, ...]:
    kinds = [_leaf(), *_calls(functions)]
    if depth:
        inner = _blocks(functions, depth - 1, 1, 2)
        kinds += [
            st.builds(Scope, st.sampled_from(["a", "b", ""]), st.none(), _REUSE, _SCOPE_OPTIONS, inner),
            st.builds(Scope, st.sampled_from(["a", "b"]), st.none(), _REUSE, st.just(""), inner),
            st.builds(Scope, st.none(), st.sampled_from(["d", "a"]), st.none(), _SCOPE_OPTIONS, inner),
            st.builds(Jump, st.integers(0, 3), _REUSE, inner),
            st.builds(NameScope, st.sampled_from(["a", "n", "a/"]), inner),
            st.builds(Creator, inner),
            st.builds(Attempt, inner),
            st.builds(Block, _wrapper(), inner),
            st.builds(Block, _wrapper(), inner),
        ]
    return tuple(draw(st.lists(st.one_of(kinds), min_size=shortest, max_size=longest)))


@st.composite
def programs(draw: Any) -> Program:
    """Draw a program of one to three functions, the last of which calls others under sharing or not."""
    count = draw(st.sampled_from([2, 3, 1]))
    program = tuple(draw(_blocks(function, 2, 2, 3)) for function in range(count))
    if draw(st.booleans()):  # most programs end in `exists` early on, unless names are shared
        program = (*program[:-1], (Scope("", None, js.AUTO_REUSE, "", program[-1]),))
    return program
