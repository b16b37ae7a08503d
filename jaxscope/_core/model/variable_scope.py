"""variable_scope: a prefix for names, and defaults that the requests in it inherit."""

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any

from jaxscope._core.base import compat, names
from jaxscope._core.base.sites import here
from jaxscope._core.passes.base_pass import Pass, current, entered, running
from jaxscope._core.requests.arguments import (
    Reuse,
    as_dtype,
    check_callable,
    check_getter,
    check_initializer,
    check_reuse,
    refuse_others,
)
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import InvalidNameError, JaxscopeError, ReuseError, ScopeNestingError, TraceError

_NOTHING: dict[str, Any] = {}


class variable_scope(contextlib.ContextDecorator):  # noqa: N801 - TF1's name
    """Open a scope: a prefix for the names in it, and defaults that they inherit.

    Also opens a `jax.named_scope`, so that profiles and HLO show the name.

    Args:
        name_or_scope: The scope's own name (`""` keeps the current name and only sets options), or a
            scope object, to which this is then a jump.
        default_name: The own name where `name_or_scope` is None; a number is added if it is taken.
        values: Not used; TF1 has it in this place.
        initializer: The default initializer in the scope.
        regularizer: The default regularizer in the scope.
        reuse: True to share variables that exist, `js.AUTO_REUSE` to share or make, None to inherit.
        dtype: The dtype of variables that ask for none.
        custom_getter: A getter that each request in the scope goes through first.
        partitioner: The default sharding annotation.
        constraint: The default constraint.
        **others: None; TF1's arguments that steer the graph are refused, each with what to do instead.

    Returns:
        A context manager that gives the `VariableScope`. Each entry is a new one.

    Raises:
        InvalidNameError: On entry, for a name that is no string, has characters that names may not
            have, or is missing.
        ReuseError: On entry, for a `reuse` without meaning, or with `default_name`.
        GetterError: On entry, for a custom getter that cannot be called as one.
        InitializerError: On entry, for a string as initializer.
        NotCallableError: On entry, for a regularizer or a constraint that cannot be called.
        GraphArgumentError: An argument of TF1's that steers the graph (`auxiliary_name_scope`, ...).
        ScopeNestingError: On leaving, where a scope that was entered later is still open.
        NoPassError: On entry outside a transformed function.

    Source:
        `tf.compat.v1.variable_scope`.

    Example:
        >>> import jax, jaxscope as js
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("dense"):
        ...         return x * js.get_variable("w", [3])
        >>> list(net.spec(1.0))
        ['dense/w']
    """

    def __init__(
        self,
        name_or_scope: str | VariableScope | None = None,
        default_name: str | None = None,
        values: object = None,
        initializer: Any = None,
        regularizer: Any = None,
        *,
        reuse: Reuse | None = None,
        dtype: Any = None,
        custom_getter: Callable[..., Any] | None = None,
        partitioner: Any = None,
        constraint: Any = None,
        **others: Any,
    ) -> None:
        del values
        if others:
            refuse_others("variable_scope", others)
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._reuse = reuse
        self._given = _NOTHING  # the options that replace inherited ones
        if not (
            initializer is None
            and regularizer is None
            and dtype is None
            and custom_getter is None
            and reuse is None
            and partitioner is None
            and constraint is None
        ):
            options: dict[str, Any] = {
                "reuse": reuse or None,
                "dtype": dtype,
                "initializer": initializer,
                "regularizer": regularizer,
                "custom_getter": custom_getter,
                "partitioner": partitioner,
                "constraint": constraint,
            }
            self._given = {name: given for name, given in options.items() if given is not None}

    def _recreate_cm(self) -> "variable_scope":
        return self  # as a decorator: entries are kept by the pass, not here

    def __enter__(self) -> VariableScope:
        run = entered("variable_scope")  # noted by the first request inside, or when the scope is left
        traces = run.traces
        if traces.active:
            current("variable_scope")
        own = self._name_or_scope
        if type(own) is str and self._given is _NOTHING and self._reuse is None and own in names.sound:
            scope = run.scopes.enter(own, own, _NOTHING, self, run.books.entries)
        else:
            try:
                scope = self._enter(run)
            except JaxscopeError as error:
                error.add(scope=run.describe_scope())
                raise
        traces.quiet = True
        return scope

    def _enter(self, run: Pass) -> VariableScope:
        given, default = self._name_or_scope, self._default_name
        entries = run.books.entries
        if isinstance(given, VariableScope):
            self._check_options("a scope")
            run.around.border.enters(given)
            return run.scopes.jump(given, self._given, self, entries)
        if given is None and default is None:
            raise InvalidNameError(
                "variable_scope has neither a name nor a default_name",
                code="no_scope_name",
                at=here(),
                fix="pass a name, a scope object, or default_name=",
            )
        own: Any = default if given is None else given
        if type(own) is not str:
            names.check_string(own, "scope", here())
        if own == "" and given is not None:
            self._check_options("this scope")
            return run.scopes.enter_same(self._given, self)
        first = not run.scopes.names.path
        if not names.is_valid(own, first):
            raise names.invalid(own, "scope", here(), first=first)
        self._check_options(own)
        name = self._numbered(run, own) if given is None else own
        return run.scopes.enter_unchecked(name, own, self._given, self, entries)

    def _numbered(self, run: Pass, default: str) -> str:
        if compat.in_derivative_rule(Pass.run.__code__):
            raise TraceError(
                f"default_name={default!r} in a derivative rule that JAX runs by itself",
                code="default_name_in_rule",
                at=here(),
                fix="open the scope by name: the rule repeats a call whose number is not known here",
            )
        if compat.looks_for_nans(Pass.run.__code__):
            raise FloatingPointError(
                f"a NaN or an Inf came out of a jitted function that opens default_name={default!r}"
                f" (at {here()}); to find the operation, open the scope by name, or use jax.disable_jit()"
            )
        return run.scopes.free_name(default)

    def _check_options(self, name: str) -> None:
        check_reuse(self._reuse, name)
        if self._name_or_scope is None and self._reuse:
            raise ReuseError(
                f"reuse={self._reuse} needs a name: default_name={self._default_name!r} may be numbered",
                code="reuse_without_name",
                at=here(),
                fix="pass the scope's name instead of default_name",
            )
        given = self._given
        if "dtype" in given:
            as_dtype(given["dtype"])
        check_getter(given.get("custom_getter"))
        check_initializer(given.get("initializer"), f"scope {name!r}")
        check_callable(given.get("regularizer"), "regularizer", name)
        check_callable(given.get("constraint"), "constraint", name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = running()
        if run is None:
            return  # a generator that was closed after its pass had ended
        if error is None:
            if run.traces.quiet:
                current("variable_scope")
        elif isinstance(error, Exception):
            if run.traces.quiet:
                current("variable_scope")
            _note_scope(error, run.scopes.current)
        try:
            run.scopes.leave(self)
        except ScopeNestingError:
            if error is None:  # else scopes are in disorder already; the error in flight says why
                raise


def _note_scope(error: Exception, scope: VariableScope) -> None:
    """Say in which scope an exception arose, once."""
    notes: list[str] = getattr(error, "__notes__", [])
    if not isinstance(error, JaxscopeError) and not any(note.startswith(_IN_SCOPE) for note in notes):
        error.add_note(f"{_IN_SCOPE}{scope._name}")


_IN_SCOPE = "in scope "


def get_variable_scope() -> VariableScope:
    """Return the current scope.

    Returns:
        The scope object that was opened last, or the pass's root scope.

    Raises:
        NoPassError: Outside a transformed function.

    Source:
        `tf.compat.v1.get_variable_scope`.

    Example:
        >>> import jaxscope as js
        >>> net = js.transform(lambda: js.get_variable_scope().reuse)
        >>> net.apply({})
        False
    """
    return current("get_variable_scope").scopes.current
