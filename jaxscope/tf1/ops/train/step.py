"""`tf1.train_step`: a function that builds a loss and trains it, as a pure step of JAX."""

import contextlib
import contextvars
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp

import jaxscope as js
from jaxscope.tf1.base.absent import building
from jaxscope.tf1.base.converting import as_array, convert_to_tensor
from jaxscope.tf1.base.errors import GraphLifeError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Tensor, wrap
from jaxscope.tf1.ops.border import function
from jaxscope.tf1.ops.variables.variable import Variable, all_variables, trained

__all__ = ["TrainStep", "gradients", "gradients_of", "train_step"]

_WAY = (
    "step = tf1.train_step(build), whose build makes the loss and calls this; "
    "or jax.grad(lambda v: net.apply(v, ...)): what is differentiated is a function"
)


class _Reached(BaseException):
    """Ends a run at the loss that is differentiated."""

    def __init__(self, losses: list[Any]) -> None:
        super().__init__("reached")
        self.losses = losses


class _Run:
    """One run of a program that is trained.

    Args:
        again: Runs it once more, up to a loss, on other values of variables.
        values: The values of all variables at its beginning; None where it makes them.
        known: The gradients of the losses before the one that is looked for.
        target: The number of that loss; None for a run to the end.
    """

    def __init__(
        self,
        again: Callable[..., Any],
        values: Mapping[str, Any] | None,
        known: list[Any],
        target: int | None,
    ) -> None:
        self.again, self.values, self.known, self.target = again, values, known, target
        self.count = 0

    def gradients(self, losses: list[Tensor], names: list[str], weights: list[Any] | None) -> list[Any]:
        """Return the gradients of a sum of losses, for variables by name; None where none depends on one."""
        number, self.count = self.count, self.count + 1
        if number == self.target:
            raise _Reached(losses)
        if number < len(self.known):
            found: list[Any] = self.known[number]
            return found
        values = self._values()
        known = list(self.known)

        def total(chosen: list[Any]) -> Any:
            changed = {**values, **dict(zip(names, chosen, strict=True))}
            reached = self.again(changed, known, number)
            sums = [
                jnp.sum(loss if weights is None or weights[at] is None else loss * weights[at])
                for at, loss in enumerate(reached)
            ]
            return sum(sums[1:], start=sums[0]), reached

        chosen = [jnp.asarray(values[name]) for name in names]
        closed, shapes = jax.make_jaxpr(total, return_shape=True)(chosen)
        reaches = _reaching(closed.jaxpr)
        run = jax.extend.core.jaxpr_as_fun(closed)

        def again(chosen: list[Any]) -> Any:
            return jax.tree.unflatten(jax.tree.structure(shapes), run(*chosen))

        (_, reached), grads = jax.value_and_grad(again, has_aux=True)(chosen)
        for loss, value in zip(losses, reached, strict=True):
            # Of the two runs one is left to XLA, where all that is asked for is the loss.
            object.__setattr__(loss, "_held", value)
        made = [grad if there else None for grad, there in zip(grads, reaches, strict=True)]
        self.known.append(made)
        return made

    def _values(self) -> Mapping[str, Any]:
        return all_variables() if self.values is None else self.values


def _reaching(jaxpr: Any) -> list[bool]:
    """Tell of each input of a program whether its first output depends on it."""
    needed = {one for one in jaxpr.outvars[:1] if not isinstance(one, jax.extend.core.Literal)}
    for equation in reversed(jaxpr.eqns):
        if equation.primitive.name == "stop_gradient":
            continue
        if any(out in needed for out in equation.outvars):
            needed |= {one for one in equation.invars if not isinstance(one, jax.extend.core.Literal)}
    return [one in needed for one in jaxpr.invars]


_run: contextvars.ContextVar[_Run | None] = contextvars.ContextVar("train_step", default=None)


def gradients_of(
    what: str, losses: Sequence[Any], variables: Sequence[Any], weights: Any = None
) -> list[Any]:
    """Return the gradients of a sum of losses for variables, as tensors or None.

    Args:
        what: The name of the function that asks, for errors.
        losses: The losses.
        variables: The variables.
        weights: For each loss what its elements are multiplied by, or None.

    Raises:
        GraphLifeError: Outside of `tf1.train_step`, or for what is no variable (`graph_life`).
        TensorTypeError: If a loss is not of fractions (`tensor_type`).
    """
    run = _run.get()
    if run is None:
        raise GraphLifeError(f"tf.{what} needs to know the function whose loss this is", fix=_WAY)
    if any(not isinstance(one, Variable) for one in variables):
        raise GraphLifeError(
            f"tf.{what} is for variables here: what a tensor was computed by is not kept",
            fix="jax.grad of a function of that tensor, which takes and returns arrays",
        )
    tensors = [convert_to_tensor(loss) for loss in losses]
    if any(not tensor.dtype.is_floating for tensor in tensors):
        raise TensorTypeError("a loss must be of fractions", losses=", ".join(map(repr, tensors)))
    scale = None if weights is None else [None if one is None else as_array(one) for one in weights]
    found = run.gradients(tensors, [one._full for one in variables], scale)
    return [None if grad is None else wrap(grad, "Gradient") for grad in found]


@export("gradients")
def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: Any = None,
) -> list[Any]:
    """Return the gradients of losses for variables, inside of `tf1.train_step`.

    Args:
        ys: A loss, or a list of such, which are added up.
        xs: A variable, or a list of such.
        grad_ys: What each loss is multiplied by, or None.
        name: Without meaning here.
        colocate_gradients_with_ops: Without meaning here.
        gate_gradients: Without meaning here.
        aggregation_method: Without meaning here.
        stop_gradients: Must be None.
        unconnected_gradients: Whether what no loss depends on gets zeros ("zero") or None.

    Returns:
        A list of gradients; None for what no loss depends on.

    Raises:
        GraphLifeError: Outside of `tf1.train_step`, or for tensors that are no variables (`graph_life`).
        TensorTypeError: If a loss is not of fractions (`tensor_type`).
    """
    del name, colocate_gradients_with_ops, gate_gradients, aggregation_method
    if stop_gradients is not None:
        raise GraphLifeError(
            "tf.gradients has no stop_gradients here", fix="tf.stop_gradient(x) in the model"
        )
    losses = ys if isinstance(ys, list | tuple) else [ys]
    variables = xs if isinstance(xs, list | tuple) else [xs]
    weights = grad_ys if grad_ys is None or isinstance(grad_ys, list | tuple) else [grad_ys]
    found = gradients_of("gradients", losses, variables, weights)
    if str(unconnected_gradients) == "zero":
        return [
            wrap(jnp.zeros_like(one._read()), "Zeros") if grad is None else grad
            for grad, one in zip(found, variables, strict=True)
        ]
    return found


class TrainStep:
    """A step of training; made by `tf1.train_step`.

    Args:
        build: A function of tensors that makes losses and trains them.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self.__name__ = getattr(build, "__name__", "build")

    def init(self, key: jax.Array, *args: Any, **kwargs: Any) -> js.Variables:
        """Return the initial values of all variables: weights, moving averages, slots, the global step.

        Args:
            key: A key; what is random in the function is drawn from it, too.
            *args: The function's arguments.
            **kwargs: The function's arguments by keyword.
        """
        return js.transform(self._runner(None, [], None)).init(key, key, args, kwargs)

    def spec(self, *args: Any, **kwargs: Any) -> js.VariableSpecs:
        """Return what variables there are.

        Args:
            *args: The function's arguments.
            **kwargs: The function's arguments by keyword.
        """
        return js.transform(self._runner(None, [], None)).spec(jax.random.key(0), args, kwargs)

    def __call__(
        self, variables: Any, /, *args: Any, key: jax.Array | None = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Return what the function returns, and the variables after the step.

        Args:
            variables: What `init` or the step before returned.
            *args: The function's arguments.
            key: A key for what is random in it, as dropout; another one for each step.
            **kwargs: The function's arguments by keyword.

        Raises:
            JaxscopeError: What the function raises.
        """
        net = js.transform(self._runner(variables, [], None))
        (result, new), state = net.apply_with_state(variables, key, args, kwargs)
        changed = {**state, **new}
        if isinstance(variables, js.Variables):
            return result, variables.replace(changed)
        return result, {**variables, **changed}

    def _runner(self, values: Any, known: list[Any], target: int | None) -> Callable[..., Any]:
        build = function(self._build)

        def run(key: Any, args: Any, kwargs: Any) -> Any:
            def again(values: Mapping[str, Any], known: list[Any], target: int) -> Any:
                net = js.transform(self._runner(values, list(known), target))
                return net.apply_with_state(values, key, args, kwargs)[0]

            over: dict[str, Any] = {}
            tokens = (
                building.set(True),
                _run.set(_Run(again, values, list(known), target)),
                trained.set(over),
            )
            try:
                with contextlib.nullcontext() if key is None else js.random_keys(key):
                    result = build(*args, **kwargs)
            except _Reached as reached:
                return [as_array(loss) for loss in reached.losses]
            finally:
                trained.reset(tokens[2])
                _run.reset(tokens[1])
                building.reset(tokens[0])
            if target is not None:
                raise TensorValueError(
                    "a function that is trained must be the same each time it runs", code="not_repeatable"
                )
            return result, over

        return run


@export("train_step")
def train_step(build: Callable[..., Any]) -> TrainStep:
    """Return a pure step of a function that builds a loss and trains it, as TensorFlow 1's programs do.

    The function runs from the beginning in each call, on tensors. What it does to variables is done in the
    order of the program: `minimize` and `apply_gradients` change weights, slots and the global step when they
    are called, whether their operations are returned or not; what is computed behind them sees the new
    values, the losses before them the old ones. For each loss that is differentiated the function is traced
    once more, up to that loss, so it must do the same each time; XLA computes what both have in common once.

    Args:
        build: A function of tensors. It calls `minimize`, `compute_gradients` or `tf.gradients` of a loss.

    Returns:
        The step: `variables = step.init(key, *args)`, `result, variables = step(variables, *args, key=key)`.
        It may be given to `jax.jit`.

    Example:
        >>> tf = js.tf1
        >>> @train_step
        ... def step(x, y):
        ...     loss = tf.reduce_mean(tf.square(tf.layers.dense(x, 1) - y))
        ...     tf.train.AdamOptimizer(0.1).minimize(loss, tf.train.get_or_create_global_step())
        ...     return loss
        >>> x, y = jnp.eye(3), jnp.ones([3, 1])
        >>> variables = step.init(jax.random.key(0), x, y)
        >>> [name for name in variables if "kernel" in name]
        ['dense/kernel', 'dense/kernel/Adam', 'dense/kernel/Adam_1']
        >>> first, variables = step(variables, x, y)
        >>> second, variables = step(variables, x, y)
        >>> bool(second < first), int(variables["global_step"])
        (True, 2)
    """
    return TrainStep(build)
