"""Asking: the requests that a getter makes in the place of one, and how to make them once more."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
from jax.core import Tracer

import jaxscope as js
from jaxscope.getters.partitions import Follow
from jaxscope.getters.requests import Inside, Request, constant, is_constant, pass_on


class State(NamedTuple):
    """A variable of a getter that is not trained.

    Attributes:
        name: The full name that it has behind all getters.
        value: As it is stored.
        made: Whether this request is the first for it in this pass.
        changed: Whether a getter behind gave something else than what is stored.
    """

    name: str
    value: jax.Array
    made: bool
    changed: bool

    def set(self, value: jax.Array) -> None:
        """Give it a new value, in its own dtype."""
        new = jax.lax.stop_gradient(value).astype(self.value.dtype)
        js.set_variable(full_name=self.name, value=new)


class Start:
    """A function of another variable's initial value: one program for all weights that are alike.

    Args:
        function: One of a module, so that specs can be pickled; takes the value.
        **options: Its other arguments, by keyword.
    """

    def __init__(self, function: Callable[..., jax.Array], **options: Hashable) -> None:
        self.function = function
        self.options = options

    def __call__(self, value: jax.Array) -> jax.Array:
        """Return what the other variable begins with."""
        return _jitted(self.function, tuple(self.options))(value, **self.options)


@functools.cache
def _jitted(function: Callable[..., jax.Array], options: tuple[str, ...]) -> Callable[..., jax.Array]:
    return jax.jit(function, static_argnames=options)


class Asked:
    """A request on its way through a getter, which makes requests of its own in its place.

    Args:
        getter: The next getter.
        request: What is asked for.
        given: The arguments that it is asked for with, but for the name.
    """

    def __init__(self, getter: Callable[..., Any], request: Request, given: dict[str, Any]) -> None:
        self.request = request
        self._next = getter
        self._given = given
        self._calls: list[tuple[Inside, dict[str, Any]]] = []

    @property
    def regularizer(self) -> Any:
        """The loss that the model asks for."""
        return self.request.regularizer

    def base(self, **changes: Any) -> jax.Array:
        """Return the variable itself, asked for as the model does but for some arguments."""
        request = self.request
        return self._ask(Inside(request.name, request.of, request.trainable), {**self._given, **changes})

    def frozen(self, **changes: Any) -> jax.Array:
        """Return the variable itself, which is not trained."""
        changes = {"trainable": False, "collections": self._untrained(), **changes}
        return jax.lax.stop_gradient(self.base(**changes))

    def below(
        self,
        own: str,
        shape: Sequence[int | None] | None,
        dtype: Any,
        initializer: Any,
        *,
        axes: Sequence[int | None],
        trainable: bool = True,
        regularizer: Any = None,
    ) -> jax.Array:
        """Return a variable of the getter's own, below the name of the model's.

        Args:
            own: Its name below.
            shape: Its axis lengths, in elements; not needed where it is shared.
            dtype: Its element type.
            initializer: How it begins.
            axes: For each of its axes that of the model's variable, by which it is laid out; or None.
            trainable: Whether it is trained where the model's is.
            regularizer: A loss on it.
        """
        request, given = self.request, self._given
        trained = request.trainable and trainable
        trainable = trainable and bool(given.get("trainable", True))
        asked: dict[str, Any] = {
            "shape": None if is_constant(initializer) else shape,
            "dtype": dtype,
            "initializer": initializer,
            "regularizer": regularizer,
            "trainable": trainable,
            "collections": given.get("collections") if trainable else self._untrained(),
            "partitioner": Follow.of(request, axes),
            "constraint": None,
        }
        if "reuse" in given:
            asked["reuse"] = given["reuse"]
        name = f"{request.name}/{own}"
        return self._ask(Inside(name, request.of or request.name, trained), asked)

    def state(
        self,
        own: str,
        shape: Sequence[int | None] | None,
        dtype: Any,
        initializer: Any,
        *,
        axes: Sequence[int | None],
        regularizer: Any = None,
    ) -> State:
        """Return a variable below, not trained, as it is stored, whatever getters behind make of it."""
        answers: list[Any] = []
        with js.observe(lambda answer: answers.append(answer) if answer.behind else None):
            value = self.below(
                own, shape, dtype, initializer, axes=axes, trainable=False, regularizer=regularizer
            )
        name = f"{self.request.name}/{own}"
        found = next((answer for answer in answers if answer.name == name), None)
        if found is None and len(answers) == 1:
            (found,) = answers
        answers.clear()  # they hold values of this trace
        if found is None:
            return State(name, value, made=False, changed=True)
        changed = found.value is not value
        return State(found.name, found.value, made=bool(found.made), changed=changed)

    def start(self, function: Callable[[jax.Array], Any], shape: Sequence[int | None] | None) -> Any:
        """Return what begins with what a function makes of the initial value of the model's variable.

        Args:
            function: Takes the one initial value, returns the other.
            shape: The shape of the model's variable, as far as it is known.
        """
        request = self.request
        initializer: Any = request.initializer
        if initializer is None:
            initializer = js.initializers.glorot_uniform
        elif callable(initializer) and not request.whole and _takes_nothing(initializer):
            initializer = initializer()  # which decides what the variable is (R30)
        if is_constant(initializer):
            initializer = constant(initializer)
            if isinstance(initializer, jax.Array):  # perhaps computed from the function's inputs
                traced = isinstance(initializer, Tracer)
                with contextlib.nullcontext() if traced else jax.ensure_compile_time_eval():
                    return function(initializer)
        if shape is None or None in shape:
            return None  # a shared variable is asked for, which has begun
        return js.initializers.derived(function, request.name, initializer, shape, request.dtype)

    def again(self, last: jax.Array) -> list[jax.Array]:
        """Return what the requests made so far give here, but for the last one, whose value is given."""
        calls = self._calls[:-1]
        return [*(pass_on(self._next, what, {**given, "reuse": True}) for what, given in calls), last]

    def _ask(self, what: Inside, given: dict[str, Any]) -> jax.Array:
        self._calls.append((what, given))
        value: jax.Array = pass_on(self._next, what, given)
        return value

    def _untrained(self) -> Any:
        listed = self._given.get("collections")
        trainable = js.GraphKeys.TRAINABLE_VARIABLES
        return listed if listed is None else [key for key in listed if key != trainable]


def _takes_nothing(initializer: Callable[..., Any]) -> bool:
    """Tell whether a function is called without arguments where no shape is asked for (R30)."""
    if isinstance(initializer, type | js.initializers.Initializer):
        return False
    try:
        parameters = inspect.signature(initializer).parameters.values()
    except (TypeError, ValueError):
        return False
    open_ended = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return all(one.default is not one.empty or one.kind in open_ended for one in parameters)
