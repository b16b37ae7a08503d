"""Opening scopes: variable_scope, name_scope and variable_creator_scope."""

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any

from jaxscope._core.base import compat, names
from jaxscope._core.base.sites import here
from jaxscope._core.model.getters import compose
from jaxscope._core.passes.running import Pass, current, entered, running
from jaxscope._core.requests.arguments import (
    AUTO_REUSE,
    Reuse,
    as_dtype,
    check_getter,
    check_initializer,
    check_reuse,
)
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import (
    InvalidNameError,
    JaxscopeError,
    ReuseError,
    ScopeNestingError,
    TraceError,
)

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
        dtype: The dtype of variables that ask for none.
        custom_getter: A getter that each request in the scope goes through first.
        reuse: True to share variables that exist, `js.AUTO_REUSE` to share or make, None to inherit.
        partitioner: The default sharding annotation.
        constraint: The default constraint.

    Returns:
        A context manager that gives the `VariableScope`. Each entry is a new one.

    Raises:
        InvalidNameError: On entry, for a name that is no string, has characters that names may not
            have, or is missing.
        ReuseError: On entry, for a `reuse` without meaning, or with `default_name`.
        GetterError: On entry, for a custom getter that cannot be called as one.
        InitializerError: On entry, for a string as initializer.
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
        dtype: Any = None,
        custom_getter: Callable[..., Any] | None = None,
        reuse: Reuse | None = None,
        partitioner: Any = None,
        constraint: Any = None,
    ) -> None:
        del values
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
        active = run.traces.active
        if active:
            current("variable_scope")
        own = self._name_or_scope
        # The short way: nearly all scopes are like this.
        if type(own) is str and self._given is _NOTHING and own in names.sound:
            scope = self._enter_named(run, own, own)
        else:
            try:
                scope = self._enter(run)
            except JaxscopeError as error:
                error.add(scope=run.describe_scope())
                raise
        run.scope = scope
        run.quiet = True
        if active:
            run.rekey()
        return scope

    def _enter(self, run: Pass) -> VariableScope:
        given = self._name_or_scope
        if isinstance(given, VariableScope):
            self._check_options("a scope")
            return self._enter_jump(run, given)
        if given is None and self._default_name is None:
            raise InvalidNameError(
                "variable_scope has neither a name nor a default_name",
                code="no_scope_name",
                at=here(),
                fix="pass a name, a scope object, or default_name=",
            )
        own = self._default_name if given is None else given
        if type(own) is not str:
            names.check_string(own, "scope", here())
        assert own is not None
        if own == "" and given is not None:
            self._check_options("this scope")
            return self._enter_same(run)
        first = not run.name_scopes.path
        if not names.is_valid(own, first):
            raise names.invalid(own, "scope", here(), first=first)
        if self._reuse is not None or self._given:
            self._check_options(own)
        scope = self._enter_default(run, own) if given is None else self._enter_named(run, own, own)
        if not names.is_valid(scope._name):  # at the root, below a name scope: no variable can be in it
            scope._options = scope._options._replace(named=False, plain=False)
        return scope

    def _check_options(self, name: str) -> None:
        check_reuse(self._reuse, name)
        if self._name_or_scope is None and self._reuse:
            raise ReuseError(
                f"reuse={self._reuse} needs a name: default_name={self._default_name!r} may be numbered",
                code="reuse_without_name",
                at=here(),
                fix="pass the scope's name instead of default_name",
            )
        if "dtype" in self._given:
            as_dtype(self._given["dtype"])
        check_getter(self._given.get("custom_getter"))
        check_initializer(self._given.get("initializer"), f"scope {name!r}")

    def _enter_named(self, run: Pass, own: str, asked: str) -> VariableScope:
        outer = run.scope
        scopes = run.name_scopes
        path = scopes.path
        name = outer._prefix + own
        scope = VariableScope(name, outer._options, outer._books, outer, self, path)
        if self._given:
            self._set_options(scope)
        run.counts.log.append(name)
        scopes.path = scopes.ask(f"{path}/{asked}" if path else asked, run.entries)
        scope._named_scope = named_scope = run.named_scope(own)
        named_scope.__enter__()
        return scope

    def _enter_default(self, run: Pass, default: str) -> VariableScope:
        if compat.in_derivative_rule():
            raise TraceError(
                f"default_name={default!r} in a derivative rule that JAX runs by itself",
                code="default_name_in_rule",
                at=here(),
                fix="open the scope by name: the rule repeats a call whose number is not known here",
            )
        run.numbers_scopes = True
        return self._enter_named(run, run.counts.free_name(run.scope._prefix, default), default)

    def _enter_same(self, run: Pass) -> VariableScope:
        outer = run.scope
        path = run.name_scopes.path
        scope = VariableScope(outer._name, outer._options, outer._books, outer, self, path)
        self._set_options(scope)
        return scope

    def _enter_jump(self, run: Pass, target: VariableScope) -> VariableScope:
        run.admit(target)
        outer, counts, scopes = run.scope, run.counts, run.name_scopes
        # The object may come from an earlier pass: its books are not this one's.
        scope = VariableScope(target._name, target._options, outer._books, outer, self, scopes.path)
        self._set_options(scope)
        above, _, last = target._name.rpartition("/")
        mark = counts.mark()
        if target._name:
            counts.log.append(target._name)
        # R22: the count stays where the target's direct parent is open; the root always is.
        parent_is_open = any(open_._name == above for open_ in run.chain())
        scope._mark = counts.mark() if parent_is_open else mark
        if last:
            scopes.path = scopes.ask(names.join(scopes.path, last), run.entries)
            scope._named_scope = run.named_scope(last)
            scope._named_scope.__enter__()
        return scope

    def _set_options(self, scope: VariableScope) -> None:
        if self._given:
            options = dict(self._given)
            if "dtype" in options:
                options["dtype"] = as_dtype(options["dtype"])
            if "custom_getter" in options:
                options["custom_getter"] = compose(options["custom_getter"], scope.custom_getter)
            scope._options = scope._options.changed(**options)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = running()
        if run is None:
            return  # a generator that was closed after its pass had ended
        scope = run.scope
        if run.quiet and (error is None or isinstance(error, Exception)):
            current("variable_scope")
        if scope._manager is not self:
            if error is not None:
                return  # scopes are in disorder already; the error in flight says why
            raise ScopeNestingError(
                f"a scope is left while {run.describe_scope()} is the current one",
                at=here(),
                fix="leave scopes in the reverse order of entering; do not yield inside one",
            )
        run.name_scopes.path = scope._path
        if scope._mark is not None:
            run.counts.undo(scope._mark)
        elif scope._named_scope is not None:
            run.counts.log.append(scope._prefix)
        run.scope = scope.leave()
        if run.traces.active:
            run.rekey()


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
    run = current("get_variable_scope")
    return run.scope

