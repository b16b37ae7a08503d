"""The model's templates: functions whose later calls share what their first one made."""

from collections.abc import Callable
from typing import Any

from tests.conformance.initial import RuleError
from tests.conformance.model_scopes import Scope, check_getter


class Template:
    """A function whose later calls share what its first one made."""

    def __init__(
        self,
        model: Any,
        name_: Any,
        func_: Callable[[], Any],
        create_scope_now_: bool = False,
        unique_name_: Any = None,
        custom_getter_: Any = None,
    ) -> None:
        if name_ is None:
            raise RuleError("template_without_name")  # R48
        check_getter(custom_getter_)
        self.model, self.func, self.done = model, func_, False
        self.variable_scope: Scope | None = None
        self.scope_options = {
            "first": unique_name_,
            "default_name": name_,
            "custom_getter": custom_getter_,
        }
        if create_scope_now_:  # R49
            with model._entered(**self.scope_options, opens_name_scope=False) as scope:
                self.variable_scope = scope
        self.born = self.variable_scope
        self.orphan = False  # made in a first call that failed
        model.templates.append(self)

    def __call__(self) -> Any:
        model = self.model
        if self.orphan and self.born is not None:
            # R52 does not say whether the scope that create_scope_now made there is still to be used.
            model.unsettled = True
        if self.done:
            with model.variable_scope(self.variable_scope, reuse=True):
                model.later_calls += 1  # R51
                try:
                    return self.func()
                finally:
                    model.later_calls -= 1
        books = model.books.copy()
        templates = {other: (other.variable_scope, other.done) for other in model.templates}
        try:
            if self.variable_scope is not None:
                with model.variable_scope(self.variable_scope):
                    result = self.func()
            else:
                with model._entered(**self.scope_options) as self.variable_scope:
                    result = self.func()
        except BaseException:  # R52
            model.books = books
            for other in model.templates:
                other.variable_scope, other.done = templates.get(other, (other.born, False))
                other.orphan = other.orphan or other not in templates
            raise
        self.done = True
        return result

    def _members(self, key: str) -> list[Any]:
        if not self.done or self.variable_scope is None:
            return []
        return self.variable_scope.get_collection(key)

    @property
    def global_variables(self) -> list[Any]:
        return self._members("variables")

    @property
    def trainable_variables(self) -> list[Any]:
        return self._members("trainable_variables")

    @property
    def local_variables(self) -> list[Any]:
        return self._members("local_variables")
