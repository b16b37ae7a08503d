"""One call of a layer: its scope, its input, its variables, and what follows the computation."""

import contextlib
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.checks import as_array
from jaxscope.sites import users_line

#: A function of an array that returns one of the same shape, or None for none.
Activation = Callable[[jax.Array], jax.Array] | None
#: A function of an array that returns a scalar loss, or None for no loss.
Regularizer = Callable[[jax.Array], Any] | None
#: A function that projects a new value of a variable, or None.
Constraint = Callable[[jax.Array], Any] | None


class LayerCall:
    """What a layer does around its computation; a context manager, inside which the layer's scope is open.

    The scope is `name` as it is, or `default` with a number where that is taken. With `reuse` and no name it
    is `default` itself, as in TF1.

    Attributes:
        kind: What the layer is called in errors.
        inputs: The input, as an array.
        dtype: The dtype to ask for variables in: the one given, else the input's.
        scope: The layer's scope, from the entry on.
    """

    scope: js.VariableScope

    def __init__(
        self,
        default: str,
        inputs: ArrayLike,
        name: str | js.VariableScope | None,
        reuse: Any,
        *,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        self.kind = default
        self.inputs = as_array(inputs, f"the input of {default}")
        self.dtype: Any = self.inputs.dtype if dtype is None else jnp.dtype(dtype)
        self.trainable = trainable
        self._asks_for_its_inputs = dtype is None
        self._manager = js.variable_scope(default if name is None and reuse else name, default, reuse=reuse)

    def __enter__(self) -> Self:
        self.scope = self._manager.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._manager.__exit__(kind, error, traceback)

    def widen(self) -> None:
        """Ask for variables in float32 at least, as TF1 does where they are of sums over a batch."""
        if self.dtype.itemsize < 4:
            self.dtype = jnp.dtype(jnp.float32)

    def variable(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any = None,
        regularizer: Regularizer = None,
        constraint: Constraint = None,
    ) -> jax.Array:
        """Return a weight; what a custom getter makes of it may have another dtype than was asked for."""
        if self.dtype is not None:
            self.check_dtype()
        around = self.scope.regularizer
        if regularizer is not None and around is not None:
            # TF1 adds a layer's own loss to that of the scope, which get_variable would replace.
            regularizer = js.regularizers.sum_of([around, regularizer], apart=True)
        with self._explaining():
            return js.get_variable(
                name, shape, self.dtype, initializer, regularizer, self.trainable, constraint=constraint
            )

    @contextlib.contextmanager
    def _explaining(self) -> Generator[None]:
        """Say in an error of given variables what the layer's input was."""
        try:
            yield
        except (js.errors.DtypeMismatchError, js.errors.ShapeMismatchError) as error:
            error.add(inputs=self._shown)
            if self._asks_for_its_inputs and isinstance(error, js.errors.DtypeMismatchError):
                error.fix = (
                    f"cast it or the input, or pass dtype= to {self.kind}, which else asks for its input's"
                )
            raise

    def state(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any,
        dtype: Any = None,
        regularizer: Regularizer = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Return a variable that is not trained, twice: as the scope's getters give it, and as it is stored.

        A new value is computed from the stored one, and has its dtype: a getter that rounds what it returns
        must not round the state at each step.
        """
        dtype = self.dtype if dtype is None else dtype
        outer: Any = self.scope.custom_getter
        if outer is None:
            with self._explaining():
                value = js.get_variable(name, shape, dtype, initializer, regularizer, False)
            return value, value
        stored: dict[str, Any] = {}

        def note(getter: Any, name: str, **kwargs: Any) -> Any:
            stored[name.rpartition("/")[2]] = value = getter(name, **kwargs)
            return value

        # Behind all others, where it sees what they are given.
        self.scope.set_custom_getter(note)
        try:
            with js.variable_scope("", custom_getter=outer), self._explaining():
                value = js.get_variable(name, shape, dtype, initializer, regularizer, False)
        finally:
            self.scope.set_custom_getter(outer)
        return value, stored.get(name, value)

    def finish(
        self, outputs: jax.Array, activation: Activation = None, activity_regularizer: Regularizer = None
    ) -> jax.Array:
        """Return what the layer returns; a loss on it, divided by the batch size, is added to the losses."""
        if activation is not None:
            if not callable(activation):
                what = f"the activation of {self.kind} must be a function, not {activation!r}"
                raise TypeError(f"{what}; pass jax.nn.relu, say")
            outputs = activation(outputs)
        if activity_regularizer is not None:
            loss = activity_regularizer(outputs)
            if loss is not None:
                js.add_to_collection(js.GraphKeys.REGULARIZATION_LOSSES, loss / outputs.shape[0])
        return outputs

    def floating(self) -> jax.Array:
        """Return the input of a layer that divides; whole numbers in the dtype that was asked for.

        Raises:
            InvalidDtypeError: The layer would have to compute in whole or complex numbers.
        """
        if jnp.issubdtype(self.inputs.dtype, jnp.floating):
            return self.inputs
        if jnp.issubdtype(self.inputs.dtype, jnp.complexfloating) or self.dtype is None:
            raise self.wrong_dtype(self.inputs.dtype)
        self.check_dtype()
        return self.inputs.astype(self.dtype)

    def expect_rank(self, rank: int, axes: str) -> None:
        """Raise `InvalidShapeError` unless the input has so many axes."""
        if self.inputs.ndim != rank:
            raise self.wrong_shape(f"takes an input of rank {rank}: {axes}", f"reshape the input to {axes}")

    def wrong_shape(self, problem: str, fix: str) -> js.errors.InvalidShapeError:
        """Return the error of an input whose shape the layer cannot work on."""
        return js.errors.InvalidShapeError(
            f"{self.kind} {problem}",
            code="layer_input",
            at=users_line(),
            inputs=self._shown,
            scope=str(self.scope),
            fix=fix,
        )

    @property
    def _shown(self) -> str:
        return f"{self.inputs.dtype}[{','.join(map(str, self.inputs.shape))}]"

    def check_dtype(self, *, is_asked_for: bool = True) -> None:
        """Raise `InvalidDtypeError` where the layer would have to compute in integers."""
        if not jnp.issubdtype(self.dtype, jnp.inexact):
            raise self.wrong_dtype(self.dtype, is_asked_for=is_asked_for)

    def wrong_dtype(self, dtype: Any, *, is_asked_for: bool = True) -> js.errors.InvalidDtypeError:
        """Return the error of a dtype in which the layer cannot work, and for which it may be asked."""
        return js.errors.InvalidDtypeError(
            f"{self.kind} works in its input's dtype, which cannot be {dtype}",
            code="layer_dtype",
            at=users_line(),
            scope=str(self.scope),
            fix='convert the input: x.astype("float32")' + ', or pass dtype="float32"' * is_asked_for,
        )
