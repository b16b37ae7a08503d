"""Every error of jaxscope, in one layout: what happened, the facts, how to mend it.

Each is also what TF1 raised there, since code that comes from TF1 asks by trying: `except ValueError` finds
that a name exists, `except TypeError` that a dtype is none. A class is both where TF1 raised now one, now the
other.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any, cast

__all__ = [
    "CheckpointError",
    "CollectionError",
    "DtypeMismatchError",
    "GetterError",
    "GraphArgumentError",
    "InitializerError",
    "InvalidDtypeError",
    "InvalidNameError",
    "InvalidShapeError",
    "JaxscopeError",
    "KeyStreamError",
    "MergeError",
    "MissingShapeError",
    "NoPassError",
    "NotCallableError",
    "OptimizerError",
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
        self.facts = {name: fact for name, fact in facts.items() if fact is not None and _text(fact)}

    def add(self, **facts: Any) -> None:
        """Add facts that were not known where the error was raised; those that are there stay."""
        place = facts.pop("at", None)
        if place is not None and not self.facts.keys() & {"at", "again"}:
            self.facts = {"at": place, **self.facts}
        for name, fact in facts.items():
            if fact is not None and _text(fact):
                self.facts.setdefault(name, fact)

    def __str__(self) -> str:
        rows = {**self.facts, "fix": self.fix} if self.fix else self.facts
        width = max(8, *map(len, rows), 0)
        lines = (f"  {name:<{width}} {_aligned(fact, width + 3)}" for name, fact in rows.items())
        return re.sub(_LONG, _cut, "\n".join([self.summary, *lines]))

    def __reduce__(self) -> tuple[Any, ...]:
        # Facts may hold what does not pickle (initializers, tracers): they travel as their text.
        facts = {name: _text(fact) for name, fact in self.facts.items()}
        return _rebuild, (type(self), self.summary, self.code, self.fix, facts)


_LONG = r"\S{200,}"  # compiled where it is used: compiling takes as long as importing this module


def _cut(word: re.Match[str]) -> str:
    return f"{word[0][:80]}...({len(word[0])} characters)"


def _aligned(fact: object, indent: int) -> str:
    return _text(fact).replace("\n", "\n" + " " * indent)


def _text(fact: object) -> str:
    """Return a fact as text; an error is told also where a fact of it cannot be shown."""
    try:
        return str(fact)
    except Exception:  # noqa: BLE001 - whatever a user's __str__ may raise
        return f"<{type(fact).__name__}, which cannot be shown>"


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


class VariableExistsError(JaxscopeError, ValueError):
    """A name was asked for a second time where the scope does not share."""

    category = default_code = "exists"


class VariableNotFoundError(JaxscopeError, ValueError):
    """A name was asked for that this pass has not made, or that is not among the given variables."""

    category = default_code = "missing"


class ShapeMismatchError(JaxscopeError, ValueError):
    """A variable has another shape than the one asked for."""

    category = default_code = "shape_mismatch"


class DtypeMismatchError(JaxscopeError, ValueError):
    """A variable has another dtype than the one asked for."""

    category = default_code = "dtype_mismatch"


class MissingShapeError(JaxscopeError, ValueError):
    """A new variable has neither a shape nor an initial value to take it from."""

    category = default_code = "no_shape"


class InvalidShapeError(JaxscopeError, ValueError):
    """A shape is not a sequence of sizes known while tracing, or does not allow what is asked of it."""

    default_code = "invalid_shape"


class InvalidDtypeError(JaxscopeError, TypeError):
    """What was given as a dtype is none."""

    default_code = "invalid_dtype"


class InitializerError(JaxscopeError, ValueError, TypeError):
    """An initializer cannot give the value that was asked for."""

    category = default_code = "bad_initializer"


class InvalidNameError(JaxscopeError, ValueError, TypeError):
    """A name is not a string, or has characters that names may not have."""

    category = "bad_name"
    default_code = "invalid_characters"


class ReuseError(JaxscopeError, ValueError):
    """A scope was opened with a `reuse` that has no meaning there."""

    default_code = "bad_reuse_value"


class GetterError(JaxscopeError, ValueError, TypeError):
    """A custom getter or creator cannot be called as one."""

    default_code = "getter_signature"


class NotCallableError(JaxscopeError, ValueError, TypeError):
    """A regularizer or a constraint is no function of a variable's value."""

    default_code = "regularizer_not_callable"


class GraphArgumentError(JaxscopeError, TypeError):
    """An argument of TensorFlow 1's steers the graph, which is not here."""

    default_code = "graph_argument"


class CollectionError(JaxscopeError, ValueError):
    """A variable or value cannot be in the collection that was named."""

    default_code = "trainable_conflict"


class TemplateError(JaxscopeError, ValueError):
    """A template's later call would make a variable."""

    default_code = "template_new_variable"


class ScopeNestingError(JaxscopeError, RuntimeError):
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


class MergeError(JaxscopeError, ValueError):
    """Two sets of variables disagree about a name that both have."""

    default_code = "merge"


class VariablesMismatchError(JaxscopeError, ValueError):
    """Given variables do not match the specs: names missing, extra, misshapen or mistyped."""

    default_code = "mismatch"


class OptimizerError(JaxscopeError, ValueError):
    """An optimizer's state, or what it was called with, is not what is needed."""

    default_code = "optimizer"


class CheckpointError(JaxscopeError, ValueError):
    """A file of variables is damaged or of no known format, or cannot hold what is to be saved."""

    default_code = "damaged"
