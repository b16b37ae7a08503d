"""Templates: functions that make their variables in the first call, and share them in all later ones."""

import functools
import itertools
import weakref
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from jaxscope._core.base.sites import here
from jaxscope._core.model.variable_scope import variable_scope
from jaxscope._core.passes.base_pass import Pass, current
from jaxscope._core.requests.arguments import check_getter
from jaxscope._core.requests.graph_keys import GraphKeys
from jaxscope._core.scopes.scope import VariableScope
from jaxscope.errors import InvalidNameError

P = ParamSpec("P")
R = TypeVar("R")

#: Templates are numbered in the order in which they are made; a number beside a template makes it no other.
_following = itertools.count(1)
_numbers: "weakref.WeakKeyDictionary[Template[Any, Any], int]" = weakref.WeakKeyDictionary()


class Template(Generic[P, R]):
    """A function whose calls share one set of variables; made by `make_template`.

    What it knows belongs to one pass: in each, the first call makes the variables.

    Source:
        `tensorflow.python.ops.template.Template`.

    Example:
        >>> import jax.numpy as jnp, jaxscope as js
        >>> encode = js.make_template("encode", lambda x: x * js.get_variable("w", []))
        >>> net = js.transform(lambda a, b: encode(a) - encode(b))
        >>> net.apply({"encode/w": jnp.float32(2)}, 3.0, 1.0)
        Array(4., dtype=float32)
    """

    def __init__(
        self,
        name: str | None,
        function: Callable[P, R],
        unique_name: str | None,
        custom_getter: Callable[..., Any] | None,
    ) -> None:
        self._name = name
        self._function = function
        self._unique_name = unique_name
        self._custom_getter = custom_getter
        functools.update_wrapper(self, function, assigned=("__module__", "__doc__"), updated=())
        _numbers[self] = next(_following)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function in the template's scope.

        Raises:
            TemplateError: A later call would make a variable.
            VariableExistsError: The first call meets a name that is taken.
        """
        run = current("make_template")
        run.around.border.calls(self)
        known = run.books.templates
        scope = self._scope(run)
        if scope is not None and (self, "called") in known:
            with run.during(lambda around: around._replace(frozen=True)), variable_scope(scope, reuse=True):
                return self._function(*args, **kwargs)
        mark = run.mark()
        try:
            with variable_scope(scope) if scope is not None else self._new_scope() as entered:
                result = self._function(*args, **kwargs)
        except BaseException:
            run.around.border.refused()
            run.undo(mark)  # R52: a first call that fails leaves nothing
            raise
        known[self, "scope"] = scope or entered
        known[self, "called"] = True
        run.books.changed()
        return result

    def _new_scope(self) -> variable_scope:
        return variable_scope(self._unique_name, self._name, custom_getter=self._custom_getter)

    def _create_scope(self, run: Pass) -> None:
        mark = run.scopes.names.mark()
        with self._new_scope() as scope:
            run.books.template_scopes[self] = scope
        run.scopes.names.undo(mark)  # R49: it has a name, options and a count, but no name scope yet
        run.books.changed()

    def _scope(self, run: Pass) -> VariableScope | None:
        # A scope made with the template stays, as the template does, where a call around it is undone.
        return run.books.templates.get((self, "scope")) or run.books.template_scopes.get(self)

    @property
    def variable_scope(self) -> VariableScope | None:
        """The scope of the template in this pass; None before its first call, unless made at once."""
        return self._scope(current("make_template"))

    @property
    def variable_scope_name(self) -> str | None:
        """The full name of that scope, or None."""
        scope = self.variable_scope
        return None if scope is None else scope.name

    @property
    def variables(self) -> list[Any]:
        """The variables in its scope, global and local ones; none before a call succeeded."""
        return [*self.global_variables, *self.local_variables]

    @property
    def global_variables(self) -> list[Any]:
        """The variables in its scope that are in `variables`; none before a call succeeded."""
        return self._members(GraphKeys.GLOBAL_VARIABLES)

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables in its scope that are in `trainable_variables`; none before a call succeeded."""
        return self._members(GraphKeys.TRAINABLE_VARIABLES)

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables in its scope that are not in `trainable_variables`; none before a call succeeded."""
        trainable = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in self.variables if id(variable) not in trainable]

    @property
    def local_variables(self) -> list[Any]:
        """The variables in its scope that are in `local_variables`; none before a call succeeded."""
        return self._members(GraphKeys.LOCAL_VARIABLES)

    def _members(self, key: str) -> list[Any]:
        scope, run = self.variable_scope, current("make_template")
        called = (self, "called") in run.books.templates
        return scope.get_collection(key) if scope is not None and called else []


def made_since() -> Callable[[Any], bool]:
    """Return what tells whether a template was made later than now."""
    now = next(_following)
    return lambda template: _numbers.get(template, 0) > now


def make_template(
    name_: str | None,
    func_: Callable[..., R],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Template[..., R]:
    """Return a function that shares its variables between its calls.

    The first call in a pass opens a scope and makes the variables; later calls jump to that scope with
    `reuse=True`.

    Args:
        name_: The scope's default name, to which a number is added where it is taken.
        func_: The function.
        create_scope_now_: Open the scope here rather than in the first call, which fixes its name.
        unique_name_: The scope's name, used as it is, in the place of `name_`.
        custom_getter_: A custom getter for the scope.
        **kwargs: Arguments of `func_` to fix.

    Returns:
        A `Template`, to call as `func_`.

    Raises:
        InvalidNameError: `name_` is None.
        GetterError: The custom getter cannot be called as one.
        NoPassError: With `create_scope_now_`, outside a transformed function.
        TypeError: `func_` is not callable.

    Source:
        `tf.compat.v1.make_template`.

    Example:
        >>> import jax, jax.numpy as jnp, jaxscope as js
        >>> @js.transform
        ... def net(a, b):
        ...     encode = js.make_template("encode", lambda x: x @ js.get_variable("w", [3, 2]))
        ...     return encode(a) - encode(b)
        >>> list(net.spec(jnp.ones(3), jnp.ones(3)))
        ['encode/w']
    """
    if name_ is None:
        raise InvalidNameError(
            "a template needs a name",
            code="template_without_name",
            at=here(),
            fix="pass name_=, also together with unique_name_",
        )
    if not callable(func_):
        raise TypeError(f"js.make_template takes a function, not {type(func_).__name__}")
    check_getter(custom_getter_)
    function = functools.partial(func_, **kwargs) if kwargs else func_
    template = Template(name_, function, unique_name_, custom_getter_)
    if create_scope_now_:
        template._create_scope(current("make_template"))
    return template
