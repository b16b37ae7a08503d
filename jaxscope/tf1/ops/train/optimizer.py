"""`tf.train.Optimizer`: what all optimizers share, the program's own too."""

from collections.abc import Callable
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.errors import GraphLifeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.tensor import Operation, Tensor
from jaxscope.tf1.ops.train.slots import new_slot
from jaxscope.tf1.ops.train.step import gradients_of
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.initializers import initializer_of
from jaxscope.tf1.ops.variables.variable import Variable, trained

__all__ = ["Optimizer"]


@export("AggregationMethod")
class AggregationMethod:
    """How TensorFlow adds up gradients of several uses; without meaning here."""

    ADD_N = DEFAULT = 0
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


@export("train.Optimizer")
class Optimizer:
    """What changes variables by gradients, inside of `tf1.train_step`.

    One of the program's own has `_apply_dense(grad, var)`, and `_create_slots(var_list)` where it keeps
    something; or another `apply_gradients`.

    Args:
        use_locking: Without meaning here.
        name: The last part of its slots' names.
    """

    GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2

    def __init__(self, use_locking: bool = False, name: str = "Optimizer") -> None:
        if not name:
            raise TensorValueError("Must specify the optimizer name")
        self._use_locking, self._name = use_locking, name

    def get_name(self) -> str:
        """Return its name."""
        return self._name

    def minimize(
        self,
        loss: Any,
        global_step: Any = None,
        var_list: Any = None,
        gate_gradients: Any = GATE_OP,
        aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: Any = None,
    ) -> Operation:
        """Change variables so that a loss falls, at once.

        Args:
            loss: The loss.
            global_step: A variable to add 1 to.
            var_list: The variables; all trainable ones if left out.
            gate_gradients: Without meaning here.
            aggregation_method: Without meaning here.
            colocate_gradients_with_ops: Without meaning here.
            name: A name for the operation.
            grad_loss: What the loss is multiplied by.

        Raises:
            GraphLifeError: Outside of `tf1.train_step` (`graph_life`).
            TensorValueError: If the loss depends on none of the variables (`no_gradients`).
        """
        pairs = self.compute_gradients(
            loss,
            var_list,
            gate_gradients,
            aggregation_method,
            colocate_gradients_with_ops,
            grad_loss,
        )
        done: Operation = self.apply_gradients(pairs, global_step, name)
        return done

    def compute_gradients(
        self,
        loss: Any,
        var_list: Any = None,
        gate_gradients: Any = GATE_OP,
        aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: Any = None,
    ) -> list[tuple[Tensor | None, Variable]]:
        """Return pairs of a gradient and its variable; None where the loss does not depend on it.

        Args:
            loss: The loss.
            var_list: The variables; all trainable ones if left out.
            gate_gradients: Without meaning here.
            aggregation_method: Without meaning here.
            colocate_gradients_with_ops: Without meaning here.
            grad_loss: What the loss is multiplied by.

        Raises:
            GraphLifeError: Outside of `tf1.train_step` (`graph_life`).
            TensorValueError: If there are no variables (`tensor_value`).
        """
        del gate_gradients, aggregation_method, colocate_gradients_with_ops
        if callable(loss) and not isinstance(loss, Variable):
            loss = loss()
        if var_list is None:
            var_list = collections.trainable_variables()
        elif isinstance(var_list, Variable):
            var_list = [var_list]
        variables = list(var_list)
        if not variables:
            raise TensorValueError("No variables to optimize.")
        what = f"train.{type(self).__name__}.compute_gradients"
        weights = None if grad_loss is None else [grad_loss]
        grads = gradients_of(what, [loss], variables, weights)
        return list(zip(grads, variables, strict=True))

    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Any:
        """Change variables by their gradients, at once.

        Args:
            grads_and_vars: Pairs of a gradient and its variable; None for none.
            global_step: A variable to add 1 to.
            name: A name for the operation.

        Raises:
            GraphLifeError: Outside of `tf1.train_step` (`graph_life`).
            TensorValueError: If there are no gradients (`no_gradients`).
        """
        pairs = [(grad, var) for grad, var in grads_and_vars if grad is not None]
        if not pairs:
            raise TensorValueError("No gradients provided for any variable.", code="no_gradients")
        if trained.get() is None:
            raise GraphLifeError(
                f"tf.train.{type(self).__name__}.apply_gradients changes weights, which net.apply does not",
                fix="step = tf1.train_step(build), whose build makes the loss and calls this; or optax",
            )
        self._create_slots([var for _, var in pairs])
        self._prepare()
        updates = [self._apply_dense(convert_to_tensor(grad), var) for grad, var in pairs]
        self._finish(updates, name or self._name)
        if global_step is not None:
            global_step.assign_add(1)
        return Operation(name or self._name, "NoOp")

    # --- what one of the program's own has -------------------------------------------------------

    def _prepare(self) -> None:
        """Do what is needed before variables are changed."""

    def _create_slots(self, var_list: Any) -> None:
        """Make slots for variables."""

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        """Change a variable by its gradient."""
        raise NotImplementedError

    def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
        return self._apply_dense(grad, handle)

    def _finish(self, update_ops: Any, name_scope: str) -> Any:
        """Do what is needed after variables were changed."""
        return Operation(name_scope, "NoOp")

    def _call_if_callable(self, param: Any) -> Any:
        return param() if callable(param) and not isinstance(param, Variable) else param

    # --- slots -----------------------------------------------------------------------------------

    @property
    def _kept(self) -> dict[Any, Variable]:
        """Slots and other variables of this pass."""
        return js.per_pass(("jaxscope.tf1 optimizer", self), dict)

    def get_slot(self, var: Any, name: str) -> Variable | None:
        """Return a slot of a variable, or None.

        Args:
            var: The variable.
            name: The slot's name.
        """
        return self._kept.get((var.op.name, name))

    def get_slot_names(self) -> list[str]:
        """Return the names of slots."""
        return sorted({key[1] for key in self._kept if key[0] is not None})

    def variables(self) -> list[Variable]:
        """Return the variables that it keeps."""
        return list(self._kept.values())

    def _get_or_make(self, var: Any, slot_name: str, make: Callable[[], Variable]) -> Variable:
        kept = self._kept
        if (var.op.name, slot_name) not in kept:
            kept[var.op.name, slot_name] = make()
        return kept[var.op.name, slot_name]

    def _zeros_slot(self, var: Any, slot_name: str, op_name: str) -> Variable:
        return self._get_or_make(var, slot_name, lambda: new_slot(var, op_name))

    def _get_or_make_slot(self, var: Any, val: Any, slot_name: str, op_name: str) -> Variable:
        return self._get_or_make(
            var, slot_name, lambda: new_slot(var, op_name, convert_to_tensor(val, var.dtype)._held)
        )

    def _get_or_make_slot_with_initializer(
        self, var: Any, initializer: Any, shape: Any, dtype: Any, slot_name: str, op_name: str
    ) -> Variable:
        return self._get_or_make(var, slot_name, lambda: new_slot(var, op_name, initializer_of(initializer)))

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Any) -> Variable:
        kept = self._kept
        if (None, name) not in kept:
            kept[None, name] = Variable(initial_value, trainable=False, name=name)
        return kept[None, name]

    def _get_non_slot_variable(self, name: str, graph: Any = None) -> Variable | None:
        return self._kept.get((None, name))
