"""The model's scopes: names, reuse, inherited options, counts, jumps and name scopes."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.conformance.initial import Initial, RuleError

AUTO = "AUTO_REUSE"
UNSET = object()

FULL_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
INNER_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]+")


@dataclass(eq=False)
class Made:
    """A variable: in a replay, what was given for it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool = True
    init: Any = None
    constraint: Any = None
    plain: bool = False  # made by js.Variable


@dataclass
class Books:
    """What a pass notes down; what a failed first call of a template takes back (R52)."""

    store: dict[str, Made] = field(default_factory=dict)
    plain: dict[str, Made] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    collections: dict[str, list[Made]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    losses: list[Any] = field(default_factory=list)

    def copy(self) -> "Books":
        lists = {key: list(members) for key, members in self.collections.items()}
        new = {key: value.copy() for key, value in vars(self).items()}
        return Books(**{**new, "collections": lists})


@dataclass(eq=False)
class Scope:
    """A scope object: a name and the options that are in force (R18)."""

    model: "Scopes"
    name: str = ""
    reuse: Any = False
    dtype: str = "float32"
    initializer: Any = None
    regularizer: Any = None
    constraint: Any = None
    partitioner: Any = None
    getters: tuple[Any, ...] = ()

    @property
    def custom_getter(self) -> Any:
        return self.getters or None

    def reuse_variables(self) -> None:
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        refuse_string(initializer)
        self.initializer = initializer

    def set_regularizer(self, regularizer: Any) -> None:
        self.regularizer = regularizer

    def set_dtype(self, dtype: str) -> None:
        self.dtype = dtype

    def set_custom_getter(self, getter: Any) -> None:
        check_getter(getter)
        self.getters = () if getter is None else (getter,)

    def set_partitioner(self, partitioner: Any) -> None:
        self.partitioner = partitioner

    def get_collection(self, key: str) -> list[Any]:
        return self.model.get_collection(key, f"{self.name}/" if self.name else None)


def check_getter(getter: Any) -> None:
    if getter is None:
        return
    if not callable(getter):
        raise RuleError("getter_not_callable")
    code = getter.__code__
    if not code.co_flags & 0x08 and "constraint" not in code.co_varnames:
        raise RuleError("getter_signature")


def refuse_string(initializer: Any) -> None:
    if isinstance(initializer, Initial) and initializer.is_string:
        raise RuleError("string_initializer")


def join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


class Manager:
    """A `variable_scope(...)` that is evaluated afresh at each entry (R12)."""

    def __init__(self, enter: Callable[[], Any]) -> None:
        self.make = enter
        self.open: list[Any] = []

    def __enter__(self) -> Scope:
        manager = self.make()
        scope = manager.__enter__()
        self.open.append(manager)
        return scope

    def __exit__(self, *error: object) -> Any:
        return self.open.pop().__exit__(*error)


class Scopes:
    """The part of a pass that scopes touch."""

    AUTO_REUSE = AUTO

    def __init__(self) -> None:
        self.books = Books()
        self.stack = [Scope(self)]
        self.path = ""  # of name scopes
        self.creators: list[Any] = []

    def get_collection(self, key: str, scope: str | None = None) -> list[Any]:
        """R44."""
        if key == "regularization_losses":
            return list(self.books.losses)
        members, names = self.books.collections.get(key, []), self.books.names
        return [v for v in members if scope is None or re.match(scope, names[id(v)])]

    # Names. -------------------------------------------------------------------------------------------

    @staticmethod
    def check_full_name(name: Any) -> None:
        if not isinstance(name, str):
            raise RuleError("not_a_string")
        if name.endswith("/") or not FULL_NAME.fullmatch(name):
            raise RuleError("invalid_characters")

    def check_own_name(self, name: Any) -> None:
        """R7 for scopes and js.Variables."""
        if not isinstance(name, str):
            raise RuleError("not_a_string")
        pattern = INNER_NAME if self.path else FULL_NAME
        if name.endswith("/") or not pattern.fullmatch(name):
            raise RuleError("invalid_characters")

    def unique(self, name: str) -> str:
        """R57."""
        asked = self.books.asked
        i = asked[name]
        asked[name] += 1
        if i == 0:
            return name
        while asked[f"{name}_{i}"]:
            i += 1
        asked[f"{name}_{i}"] = 1
        return f"{name}_{i}"

    def default(self, prefix: str) -> str:
        """R20: the own name of a scope opened by default name."""
        counts, here = self.books.counts, self.stack[-1].name
        name, i = prefix, 0
        while counts[join(here, name)]:
            i += 1
            name = f"{prefix}_{i}"
        return name

    # Scopes. ------------------------------------------------------------------------------------------

    def get_variable_scope(self) -> Scope:
        return self.stack[-1]

    def variable_scope(self, name_or_scope: Any, default_name: Any = None, **options: Any) -> Manager:
        return Manager(lambda: self._entered(name_or_scope, default_name, **options))

    @contextmanager
    def _entered(
        self,
        first: Any,
        default_name: Any,
        reuse: Any = None,
        initializer: Any = None,
        custom_getter: Any = None,
        opens_name_scope: bool = True,
        **options: Any,
    ):
        jump = isinstance(first, Scope)
        by_default = first is None
        own = default_name if by_default else first
        if by_default and own is None:
            raise RuleError("no_scope_name")  # R10
        if not jump and not (isinstance(first, str) and not first):  # R9
            self.check_own_name(own)
        if not any(reuse is legal for legal in (None, False, True, AUTO)):
            raise RuleError("bad_reuse_value")  # R16
        if by_default and (reuse is True or reuse is AUTO):
            raise RuleError("reuse_without_name")  # R17
        check_getter(custom_getter)
        refuse_string(initializer)

        base = first if jump else self.stack[-1]  # R19
        changed = {key: value for key, value in options.items() if value is not None}
        if initializer is not None:
            changed["initializer"] = initializer
        if reuse:
            changed["reuse"] = reuse  # R14
        if custom_getter is not None:
            changed["getters"] = (custom_getter, *base.getters)
        name = base.name if jump or not own else join(base.name, self.default(own) if by_default else own)
        scope = replace(base, name=name, **changed)
        path, books = self.path, self.books
        if opens_name_scope and (last := name.rpartition("/")[2] if jump else own):
            self.path = self.unique(join(path, last))  # R56
        counted = jump or bool(own)
        before = books.counts.copy()
        if counted:
            books.counts[name] += 1  # R21
            if jump and self._is_open(name.rpartition("/")[0]):
                before = books.counts.copy()  # R22
        self.stack.append(scope)
        try:
            yield scope
        finally:
            self.stack.pop()
            self.path = path
            if jump:
                self.books.counts = before
            elif counted:
                counts = self.books.counts
                for below in [key for key in counts if key.startswith(f"{name}/")]:
                    del counts[below]

    def _is_open(self, name: str) -> bool:
        return any(scope.name == name for scope in self.stack)

    @contextmanager
    def name_scope(self, name: str | None):
        path = self.path
        if not name:
            self.path = ""
        elif isinstance(name, str) and name.endswith("/"):
            self.check_own_name(name.removesuffix("/"))
            self.path = name.removesuffix("/")
        else:
            self.check_own_name(name)
            self.path = self.unique(join(path, name))
        try:
            yield self.path
        finally:
            self.path = path

    @contextmanager
    def variable_creator_scope(self, creator: Any):
        self.creators.append(creator)
        try:
            yield
        finally:
            self.creators.pop()
