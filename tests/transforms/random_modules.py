"""Random modules: functions that read numbers from around them, which are changed between two eager calls."""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import jaxscope as js

#: Some are equal, and yet other numbers.
NUMBERS = (0.0, -0.0, 1, 1.0, True, False, 2.5, float("nan"))


@dataclasses.dataclass(frozen=True)
class Module:
    """What a module reads, through how many helper functions, and what its numbers are before and after.

    `kinds` has one way of reading for each number.
    """

    kinds: tuple[str, ...]
    helpers: int
    before: tuple[Any, ...]
    after: tuple[Any, ...]


class _Part:
    """Something with an attribute."""

    number: Any


def _read_global() -> Any:
    return NUMBER  # noqa: F821 # pyright: ignore - each reader has globals of its own


def _helper(read: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: (read(),)[0]


def reader(kind: str, number: Any) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    """Return a function that reads a number, and one that changes it."""
    cell, items, table, array = number, [number], {"number": number}, np.asarray([float(number)], np.float32)
    part, holder = _Part(), _Part()
    part.number, holder.number = number, part
    own = types.FunctionType(_read_global.__code__, {"NUMBER": number})

    def set_cell(new: Any) -> None:
        nonlocal cell
        cell = new

    def default(items: list[Any] = items) -> Any:
        return items[0]

    ways: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
        "closure": (lambda: cell, set_cell),
        "global": (own, lambda new: own.__globals__.update(NUMBER=new)),
        "list": (lambda: items[0], lambda new: items.__setitem__(0, new)),
        "dict": (lambda: table["number"], lambda new: table.update(number=new)),
        "array": (lambda: array[0], lambda new: array.__setitem__(0, new)),
        "default": (default, lambda new: items.__setitem__(0, new)),
        "attribute": (lambda: part.number, lambda new: setattr(part, "number", new)),
        "attribute of an attribute": (lambda: holder.number.number, lambda new: setattr(part, "number", new)),
        "class": (lambda: kind_of.number, lambda new: setattr(kind_of, "number", new)),
        "replaced function": (lambda: items_of[0](), lambda new: items_of.__setitem__(0, lambda: new)),
    }
    kind_of = type("Kind", (), {"number": number})
    items_of: list[Callable[[], Any]] = [lambda: number]
    return ways[kind]


KINDS = (
    "closure",
    "global",
    "list",
    "dict",
    "array",
    "default",
    "attribute",
    "attribute of an attribute",
    "class",
    "replaced function",
)


def outcomes(module: Module, *, wrapped: bool) -> list[Any]:
    """Return what two eager calls come to, before the change and after it."""
    reads, changes = zip(*map(reader, module.kinds, module.before), strict=True)

    def helped(read: Callable[[], Any], helpers: int) -> Callable[[], Any]:
        return _helper(helped(read, helpers - 1)) if helpers else read

    reads = [helped(read, module.helpers) for read in reads]

    def body(x: jax.Array) -> jax.Array:
        x = x * js.get_variable("w", [3], initializer=js.initializers.ones)
        for read in reads:
            number = read()
            said = len(type(number).__name__) if not isinstance(number, np.generic) else 0
            x = x + jnp.arctan2(jnp.float32(number), jnp.float32(-1)) + 0.01 * said
        return x

    @js.transform
    def net(x: jax.Array) -> jax.Array:
        return jax.jit(lambda x: body(x))(x) if wrapped else body(x)  # a function of its own for each pass

    x = jnp.ones(3)
    variables = net.init(jax.random.key(0), x)
    results = [net.apply(variables, x), net.apply(variables, x)]
    for change, number in zip(changes, module.after, strict=True):
        change(number)
    return [*results, net.apply(variables, x)]


@st.composite
def modules(draw: Any) -> Module:
    """Draw a module that reads one to three numbers."""
    kinds = tuple(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)))
    numbers = st.tuples(*(st.sampled_from(NUMBERS) for _ in kinds))
    return Module(kinds, draw(st.integers(0, 2)), draw(numbers), draw(numbers))
