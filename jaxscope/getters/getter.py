"""The base of getters: one that is for some variables, and asks for others in their place."""

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, cast

import jax

import jaxscope as js
from jaxscope.getters import folds
from jaxscope.getters.arguments import check_where
from jaxscope.getters.asking import Asked
from jaxscope.getters.requests import DEFAULTS, Inside, Request, inside, pass_on, request_of
from jaxscope.getters.where import Notes, Where


class Getter:
    """The base of the getters in `js.getters`: immutable values, to be given as `custom_getter=`.

    A getter is equal to another that was made alike, so that a pattern is counted for the whole pass, however
    often the scope is opened that it is given to.
    """

    where: Where

    #: Whether it is also for the variables that getters in front of it ask for.
    follows = False

    def __post_init__(self) -> None:
        check_where(self)

    def __call__(self, getter: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what the model gets for a name; see docs/how_to/getters.md.

        Args:
            getter: The next getter: asks for the variable of a full name.
            name: The full name.
            *args: Shape, dtype and so on, in the order of `get_variable`.
            **kwargs: Likewise, by keyword.
        """
        given = {**dict(zip(DEFAULTS, args, strict=False)), **kwargs}
        if folds.bare():
            return getter(name, **given)
        front = inside()
        if front is None or front.name != name:
            folds.note(name, lambda: self(getter, name, **{**given, "reuse": True}))
        value = self._answer(getter, request_of(name, given), given)
        folds.report(name, value)
        return value

    def _answer(self, getter: Callable[..., Any], request: Request, given: dict[str, Any]) -> Any:
        chosen, request = self._chosen(getter, request, given)
        if isinstance(chosen, _Answered):
            return chosen.value
        if not chosen:
            return pass_on(getter, Inside(request.name, request.of, request.trainable), given)
        return self.get(Asked(getter, request, given))

    # --- what kinds of getters say -------------------------------------------------------------

    def unfit(self, request: Request) -> str:
        """Return why it cannot be for a variable; empty if it can."""
        raise NotImplementedError

    def default(self, request: Request) -> bool:
        """Tell whether it is for a variable that fits, where no predicate decides."""
        return request.trainable

    def get(self, asked: Asked) -> jax.Array:
        """Return what the model gets."""
        raise NotImplementedError

    def combine(self, request: Request, *values: jax.Array) -> jax.Array:
        """Return what the model gets, from what the requests made for it gave."""
        raise NotImplementedError

    # --- what it remembers ---------------------------------------------------------------------

    @property
    def notes(self) -> Notes[Asked]:
        """What it remembers of this pass."""
        return js.per_pass(("jaxscope.getters", self), lambda: Notes[Asked](repr(self), self.where))

    def _chosen(
        self, getter: Callable[..., Any], request: Request, given: dict[str, Any]
    ) -> "tuple[bool | _Answered, Request]":
        """Tell whether the getter is for a variable; and return the request with what is known of it."""
        notes = self.notes
        if request.of is not None and not self.follows:
            notes.pass_over(request, "is what a getter in front asks for")
            return False, request
        sharing = given.get("reuse") is not False
        if sharing and request.name in notes.chosen:
            return notes.chosen[request.name], request
        answered = None
        if sharing and request.shape is None:
            # A request for a variable that is there may leave out what it is: look at it.
            made: list[bool] = []
            with js.observe(lambda answer: made.append(bool(answer.made)) if answer.behind else None):
                value = pass_on(getter, Inside(request.name, request.of, request.trainable), given)
            request = request._replace(shape=value.shape, dtype=value.dtype)
            if any(made):  # a function without arguments decided what it is
                answered = _Answered(value)
        unfit = self.unfit(request)
        chosen = notes.choose(request, unfit, default=self.default(request))
        if answered is None:
            notes.chosen[request.name] = chosen
            return chosen, request
        notes.chosen[request.name] = False
        return answered, request

    # --- a value ---------------------------------------------------------------------------------

    def __repr__(self) -> str:
        given = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(cast(Any, self))
            if _hashable(getattr(self, field.name)) != _hashable(field.default)
        )
        return f"{type(self).__name__}({', '.join(given)})"

    def _fields(self) -> tuple[Hashable, ...]:
        values = (getattr(self, field.name) for field in dataclasses.fields(cast(Any, self)))
        return tuple(_hashable(value) for value in values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Getter) and type(self) is type(other) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))


class _Answered:
    """What a request that has been answered gave."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _hashable(value: Any) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return id(value)  # kept alive by the getter that has it
    return (type(value), value)


class Loss:
    """The loss that a model asks for on a variable, where a getter makes that of several.

    It belongs to one of them, asks for the others, and is of what the model gets.

    Args:
        regularizer: The model's.
        getter: Which getter.
        name: The full name of the variable that has the loss.
    """

    def __init__(self, regularizer: Callable[[jax.Array], Any], getter: Getter, name: str) -> None:
        self.regularizer = regularizer
        self.getter = getter
        self.name = name

    @classmethod
    def of(cls, asked: Asked, getter: Getter, own: str) -> "Loss | None":
        """Return the loss of a request, for the variable that the getter asks for last; None without one."""
        if asked.regularizer is None or asked.regularizer is js.no_regularizer:
            return None
        name = f"{asked.request.name}/{own}"
        getter.notes.asked[name] = asked
        return cls(asked.regularizer, getter, name)

    def __call__(self, value: jax.Array) -> Any:
        """Return the loss, where the pass is that asked for the variable.

        Raises:
            NoPassError: It is another, or none.
        """
        try:
            asked = self.getter.notes.asked.get(self.name)
        except js.errors.NoPassError:
            asked = None
        if asked is None:
            raise js.errors.NoPassError(
                f"the loss of {self.name!r} is of what {self.getter!r} makes of several variables",
                code="loss_of_getter",
                fix="take losses inside the function: js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES)",
            )
        return self.regularizer(self.getter.combine(asked.request, *asked.again(value)))
