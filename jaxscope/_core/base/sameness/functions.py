"""Functions: what a look at one has to see: its code, and all that this takes from outside."""

import builtins
import functools
import gc
import sys
import types
from typing import Any, cast

from jaxscope._core.base.sameness.look import Look
from jaxscope._core.base.sameness.reach import Import, Name, Reads, is_library, is_library_name, reads_of
from jaxscope._core.base.sameness.same import Same, lasting

__all__ = [
    "ABSENT",
    "is_fixed",
    "see_builtin",
    "see_cache",
    "see_cell",
    "see_fixed",
    "see_function",
    "see_method",
    "see_module",
    "see_partial",
    "see_wrapping",
]

#: Marks in keys: what is not there, what a library offers under a name, what Python does.
ABSENT = object()
_FIXED = object()
_BUILTIN = object()

#: Builtins by which code gets at what its names do not tell.
_DYNAMIC = frozenset({"eval", "exec", "globals", "__import__", "open", "input"})


#: Libraries are taken as fixed, apart from what these parts of them are there to give: another value at each
#: call. What is in brackets makes something that is looked at by itself.
_CHANGING = {
    "builtins": set(dir(builtins)) - _DYNAMIC,
    "datetime.date.today": set[str](),
    "datetime.datetime.now": set[str](),
    "datetime.datetime.today": set[str](),
    "datetime.datetime.utcnow": set[str](),
    "importlib": {"resources"},
    "inspect.currentframe": set[str](),
    "inspect.stack": set[str](),
    "io": {"BytesIO", "StringIO"},
    "gc": set[str](),
    "numpy.fromfile": set[str](),
    "numpy.genfromtxt": set[str](),
    "numpy.load": set[str](),
    "numpy.loadtxt": set[str](),
    "numpy.memmap": set[str](),
    "os.environb": set[str](),
    "os.getenvb": set[str](),
    "os.listdir": set[str](),
    "os.read": set[str](),
    "os.scandir": set[str](),
    "os.stat": set[str](),
    "os.urandom": set[str](),
    "os.walk": set[str](),
    "random": {"Random"},
    "secrets": set[str](),
    "subprocess": set[str](),
    "sys._getframe": set[str](),
    "sys.modules": set[str](),
    "time": {"sleep"},
    "uuid": {"UUID"},
    "os.environ": set[str](),
    "os.getenv": set[str](),
    "numpy.random": {"Generator", "PCG64", "RandomState", "SeedSequence", "default_rng"},
}


@functools.lru_cache(maxsize=4096)
def _changes(*names: str) -> bool:
    """Tell whether what a library offers under a name gives another value at each call."""
    dotted = ".".join(names)
    return any(
        (dotted == part or dotted.startswith(part + ".")) and names[-1] not in makers
        for part, makers in _CHANGING.items()
    )


def is_builtin(value: Any) -> bool:
    """Tell whether a thing is one of Python's own builtins."""
    return value is None or isinstance(value, bool) or getattr(value, "__module__", None) == "builtins"


def is_fixed(value: Any) -> bool:
    """Tell whether a thing is what a library offers under a name; nobody changes that."""
    name, home = getattr(value, "__name__", None), getattr(value, "__module__", None)
    if not isinstance(name, str) or not is_library_name(home):
        return False
    return getattr(sys.modules[str(home)], name, None) is value


def see_fixed(look: Look, value: Any) -> None:
    """Look at a thing that is fixed."""
    look.add(_FIXED, lasting(value))
    look.calls.add((value.__module__, value.__name__))
    if _changes(value.__module__, value.__name__):
        look.give_up(f"{value.__module__}.{value.__name__}")


def see_function(look: Look, function: types.FunctionType) -> None:
    """Look at a function of Python's."""
    reads = reads_of(function.__code__)
    if reads.library and is_fixed(function):
        see_fixed(look, function)
        return
    if look.again(function):
        return
    outer = look.inside
    if not reads.library:
        look.users = True
        look.wraps = look.wraps or outer
    look.inside = reads.library and not reads.standard
    # Code gets at a function's own names, too.
    look.add(types.FunctionType, reads, function.__name__, function.__qualname__)
    look.see(function.__doc__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        see_cell(look, cell, name, reads)
    if function.__defaults__:
        look.see_at(".__defaults__", function.__defaults__)
    if function.__kwdefaults__:
        look.see_at(".__kwdefaults__", function.__kwdefaults__)
    look.see_attributes(function.__dict__)
    for taken in reads.names:
        _see_global(look, function, taken)
    for imported in reads.imports:
        _see_import(look, function, imported)
    look.inside = outer


def see_cell(
    look: Look, cell: types.CellType, name: str = "cell_contents", reads: Reads | None = None
) -> None:
    """Look at a variable that functions share; of a module, at what the code that is known takes of it."""
    try:
        content = cell.cell_contents
    except ValueError:  # not filled yet
        look.add(ABSENT)
        return
    taken = [one.attributes for one in reads.shared if one.name == name] if reads is not None else []
    if not taken or not isinstance(content, types.ModuleType):
        look.see_at(f" -> {name}", content)
        return
    for attributes in taken:
        see_module(look, content, attributes)


def _see_global(look: Look, function: types.FunctionType, taken: Name) -> None:
    value = function.__globals__.get(taken.name, ABSENT)
    if isinstance(value, types.ModuleType):
        see_module(look, value, taken.attributes)
    elif value is not ABSENT:
        look.see_at(f" -> {taken.name}", value)
        if isinstance(value, type) and _changes(value.__module__, value.__qualname__, *taken.attributes):
            look.give_up(f"a function that uses {'.'.join((taken.name, *taken.attributes))}")
    elif taken.name not in cast(Any, function).__builtins__:
        look.add(ABSENT)
    elif taken.name in _DYNAMIC:
        look.give_up(f"a function that calls {taken.name}()")
    else:  # which somebody may have put there
        builtin = cast(Any, function).__builtins__[taken.name]
        if getattr(builtins, taken.name, None) is builtin and is_builtin(builtin):
            look.add(_BUILTIN)
        else:
            look.see_at(f" -> {taken.name}", builtin)


def _see_import(look: Look, function: types.FunctionType, taken: Import) -> None:
    name = taken.resolved(str(function.__globals__.get("__package__") or ""))
    root = name.partition(".")[0]
    module = sys.modules.get(name)
    if is_library_name(root) or root in sys.stdlib_module_names:
        look.add(name)
        look.calls.add((name, *(taken.names or ())))
    elif module is None or taken.names is None:
        look.give_up(f"a function that imports {name}")
    else:
        for one in taken.names:
            see_module(look, module, (one,))


def see_module(look: Look, module: types.ModuleType, attributes: tuple[str, ...] = ()) -> None:
    """Look at what is taken of a module; if it is the user's, one has to know what that is."""
    if is_library(module):
        look.add(module)
        look.calls.add((module.__name__, *attributes))
        if _changes(module.__name__, *attributes):
            look.give_up(f"a function that uses {'.'.join((module.__name__, *attributes))}")
        return
    if not attributes:
        look.give_up(f"the module {module.__name__}, of which any part may be used")
        return
    value = getattr(module, attributes[0], ABSENT)
    if isinstance(value, types.ModuleType):
        see_module(look, value, attributes[1:])
    elif value is ABSENT:
        look.add(ABSENT)
    else:
        look.see_at(f".{attributes[0]}", value)


def see_method(look: Look, value: types.MethodType) -> None:
    """Look at a function together with its `self`."""
    look.add(types.MethodType)
    look.see(value.__func__)
    look.see_at(".__self__", value.__self__)


def see_builtin(look: Look, value: Any) -> None:
    """Look at a function or bound method of C's."""
    owner = value.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        look.add(_FIXED, value)
        if _changes(str(value.__module__), value.__name__):
            look.give_up(f"{value.__module__}.{value.__name__}")
    else:
        look.users = True
        look.add(type(value), value.__name__)
        look.see_at(".__self__", owner)


def see_partial(look: Look, value: "functools.partial[Any]") -> None:
    """Look at a function together with some arguments."""
    if not look.again(value):
        look.add(functools.partial)
        look.see_at(".func", value.func)
        look.see_at(".args", value.args)
        look.see_at(".keywords", value.keywords)
        look.see_attributes(value.__dict__)


def see_cache(look: Look, value: Any) -> None:
    """Look at a function with a cache, and at what the cache holds, which the code gets to see."""
    if is_fixed(value):
        see_fixed(look, value)
    elif not look.again(value):
        look.add(type(value))
        look.see_at(".__wrapped__", value.__wrapped__)
        held = _cached(value)
        if len(held) == value.cache_info().currsize:
            look.see_at(" -> its cache", held)
        else:
            look.give_up(f"{value.__qualname__}, whose cache cannot be seen")


def _cached(value: Any) -> list[Any]:
    """Return keys and results in a cache, in an order that lasts; as many as Python's collector shows."""
    parts = gc.get_referents(value)
    tables = [part for part in parts if type(part) is dict and part is not value.__dict__]
    # In a cache with a limit, the table leads to links, and each link shows its key, its result and its type.
    ends = [at for at, part in enumerate(parts) if getattr(part, "__name__", "") == "_lru_list_elem"]
    linked = [(parts[at - 2], parts[at - 1]) for at in ends if at >= 2]
    keys = {id(key) for table in tables for key in table}
    pairs = [pair for pair in linked if id(pair[0]) in keys] or [
        pair for one in tables for pair in one.items()
    ]
    return sorted(pairs, key=lambda pair: id(pair[0]))


def see_wrapping(look: Look, value: Any) -> None:
    """Look at what JAX made of a function; in which way, it does not tell."""
    if is_fixed(value):
        see_fixed(look, value)
    elif not look.again(value):
        look.add(type(value), Same(value))
        outer, look.inside = look.inside, True
        look.see_at(".__wrapped__", value.__wrapped__)
        look.inside = outer
