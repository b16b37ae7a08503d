"""Every error of jaxscope, in one layout: what happened, the facts, how to mend it."""

import difflib
import re
from collections.abc import Iterable
from typing import Any, cast

__all__ = [
    "CollectionError",
    "DtypeMismatchError",
    "GetterError",
    "InitializerError",
    "InvalidDtypeError",
    "InvalidNameError",
    "InvalidShapeError",
    "JaxscopeError",
    "KeyStreamError",
    "MergeError",
    "MissingShapeError",
    "NoPassError",
    "ReuseError",
    "ScopeNestingError",
    "ShapeMismatchError",
    "StateError",
    "TemplateError",
    "TraceError",
    "VariableExistsError",
    "VariableNotFoundError",
    "VariablesMismatchError",
]


class JaxscopeError(Exception):
    """Any error that jaxscope raises about a program or its variables.

    Attributes:
        summary: One sentence that says what happened.
        code: The broken rule in one word, stable across releases: `"exists"`, `"bad_reuse_value"`, ...
        category: The family of the code: `"exists"`, `"missing"`, `"shape_mismatch"`,
            `"dtype_mismatch"`, `"no_shape"`, `"bad_initializer"`, `"bad_name"` or `"other"`.
        fix: What to write instead.
        facts: What was known at that moment, by name: `scope`, `first`, `again`, `near`, ...

    Example:
        >>> error = JaxscopeError("the cat is out", code="cat", fix="close the door", seen="garden")
        >>> print(error)
        the cat is out
          seen     garden
          fix      close the door
    """

    category = "other"
    default_code = "other"

    def __init__(self, summary: str, *, code: str = "", fix: str = "", **facts: Any) -> None:
        super().__init__(summary)
        self.summary = summary
        self.code = code or self.default_code
        self.fix = fix
        self.facts = {name: fact for name, fact in facts.items() if fact is not None and str(fact)}

    def add(self, **facts: Any) -> None:
        """Add facts that were not known where the error was raised; those that are there stay."""
        place = facts.pop("at", None)
        if place is not None and not self.facts.keys() & {"at", "again"}:
            self.facts = {"at": place, **self.facts}
        for name, fact in facts.items():
            if fact:
                self.facts.setdefault(name, fact)

    def __str__(self) -> str:
        rows = {**self.facts, "fix": self.fix} if self.fix else self.facts
        width = max(8, *map(len, rows), 0)
        lines = (f"  {name:<{width}} {_aligned(fact, width + 3)}" for name, fact in rows.items())
        return _LONG.sub(_cut, "\n".join([self.summary, *lines]))

    def __reduce__(self) -> tuple[Any, ...]:
        # Facts may hold what does not pickle (initializers, tracers): they travel as their text.
        facts = {name: str(fact) for name, fact in self.facts.items()}
        return _rebuild, (type(self), self.summary, self.code, self.fix, facts)


_LONG = re.compile(r"\S{200,}")


def _cut(word: re.Match[str]) -> str:
    return f"{word[0][:80]}...({len(word[0])} characters)"


def _aligned(fact: object, indent: int) -> str:
    return str(fact).replace("\n", "\n" + " " * indent)


def _rebuild(
    kind: type[JaxscopeError], summary: str, code: str, fix: str, facts: dict[str, str]
) -> JaxscopeError:
    return kind(summary, code=code, fix=fix, **facts)


def near(name: str, names: Iterable[str]) -> str:
    """Return the existing names most like `name`, joined by commas, or `""` if none is alike."""
    strings = [known for known in names if isinstance(cast(object, known), str)]
    return ", ".join(difflib.get_close_matches(name, strings, n=3, cutoff=0.6))


class NoPassError(JaxscopeError):
    """A request was made where no transformed function is running."""

    default_code = "no_pass"


class VariableExistsError(JaxscopeError):
    """A name was asked for a second time where the scope does not share."""

    category = default_code = "exists"


class VariableNotFoundError(JaxscopeError):
    """A name was asked for that this pass has not made, or that is not among the given variables."""

    category = default_code = "missing"


class ShapeMismatchError(JaxscopeError):
    """A variable has another shape than the one asked for."""

    category = default_code = "shape_mismatch"


class DtypeMismatchError(JaxscopeError):
    """A variable has another dtype than the one asked for."""

    category = default_code = "dtype_mismatch"


class MissingShapeError(JaxscopeError):
    """A new variable has neither a shape nor an initial value to take it from."""

    category = default_code = "no_shape"


class InvalidShapeError(JaxscopeError):
    """A shape is not a sequence of sizes known while tracing."""

    default_code = "invalid_shape"


class InvalidDtypeError(JaxscopeError):
    """What was given as a dtype is none."""

    default_code = "invalid_dtype"


class InitializerError(JaxscopeError):
    """An initializer cannot give the value that was asked for."""

    category = default_code = "bad_initializer"


class InvalidNameError(JaxscopeError):
    """A name is not a string, or has characters that names may not have."""

    category = "bad_name"
    default_code = "invalid_characters"


class ReuseError(JaxscopeError):
    """A scope was opened with a `reuse` that has no meaning there."""

    default_code = "bad_reuse_value"


class GetterError(JaxscopeError):
    """A custom getter or creator cannot be called as one."""

    default_code = "getter_signature"


class CollectionError(JaxscopeError):
    """A variable or value cannot be in the collection that was named."""

    default_code = "trainable_conflict"


class TemplateError(JaxscopeError):
    """A template's later call would make a variable."""

    default_code = "template_new_variable"


class ScopeNestingError(JaxscopeError):
    """Scopes were left in another order than they were entered."""

    default_code = "scope_nesting"


class TraceError(JaxscopeError):
    """JAX cannot have a variable, or a value, made or read at this place of a trace."""

    default_code = "trace"


class StateError(JaxscopeError):
    """A variable cannot be written at this place."""

    default_code = "state"


class KeyStreamError(JaxscopeError):
    """A random key was asked for where none, or the same one again, would be handed out."""

    default_code = "keys"


class MergeError(JaxscopeError):
    """Two sets of variables disagree about a name that both have."""

    default_code = "merge"


class VariablesMismatchError(JaxscopeError):
    """Given variables do not match the specs: names missing, extra, misshapen or mistyped."""

    default_code = "mismatch"
