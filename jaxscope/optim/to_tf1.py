"""The state of an optimizer under TF1's names: `w/Adam`, `w/Adam_1`, `beta1_power`, ..."""

from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxscope as js
from jaxscope.optim.naming import named
from jaxscope.optim.powers import power_after
from jaxscope.optim.slot_names import STEP, check, entries, number_of, powers
from jaxscope.optim.states import understand


def tf1_slots(
    opt_state: Any, variables: Any, *, name: str | None = None, b1: float = 0.9, b2: float = 0.999
) -> js.Variables:
    """Return the state of an optimizer under the names that TF1's optimizers give it in checkpoints.

    | TF1's | optax' | slots of `w`, beside it |
    | --- | --- | --- |
    | `AdamOptimizer` | `adam`, `adamw` | `w/Adam`, `w/Adam_1`; `beta1_power`, `beta2_power` |
    | `MomentumOptimizer` | `sgd(momentum=)` | `w/Momentum` |
    | `RMSPropOptimizer` | `rmsprop` | `w/RMSProp`, `w/RMSProp_1` (of opposite sign) |
    | the same, `centered` | the same, `centered` | `w/RMSProp`, `_1` (the mean), `_2` (of opposite sign) |
    | `AdagradOptimizer` | `adagrad` | `w/Adagrad` |
    | `AdadeltaOptimizer` | `adadelta` | `w/Adadelta`, `w/Adadelta_1` |
    | `GradientDescentOptimizer` | `sgd` | none |

    A schedule's count of steps is `global_step`, unless the variables have one. The state of several
    optimizers (`optax.multi_transform`) has the powers of the second Adam as `beta1_power_1`, and so on, in
    order of the labels. Stacked layers get a slot each.

    A state does not say all: those of `adamax`, `yogi`, `lamb` and `nadam` look like `adam`'s.

    Args:
        opt_state: What `optimizer.init` or `optimizer.update` returned; no tracers.
        variables: The variables that it is of; more may be there.
        name: The `name` of the TF1 optimizer, where that is not its default; a slot's name has it.
        b1: The decay rate behind `beta1_power`; that of `optax.inject_hyperparams` if the state has it.
        b2: Likewise, behind `beta2_power`.

    Returns:
        `Variables`, none trainable: full name -> array, of the variable's dtype (a wider one stays). `rename`
        gives them other names: TF1 puts scopes in front of slots that are made inside of them.

    Raises:
        ImportError: optax is not installed.
        OptimizerError: Parts of the state are of no optimizer of TF1 (code `tf1_state`), or it is not a state
            of these variables (code `tf1_slots`).
        TraceError: The count of steps is traced.

    Source:
        The optimizers of TF 1.15 (`tf.train`), whose slots after some steps were recorded.

    Example:
        >>> import jaxscope as js, optax
        >>> variables = js.Variables({"w": jnp.ones(2)})
        >>> slots = js.optim.tf1_slots(optax.adam(1e-3).init(variables), variables)
        >>> list(slots), float(slots["beta1_power"])
        (['beta1_power', 'beta2_power', 'w/Adam', 'w/Adam_1'], 0.8999999761581421)
    """
    parts = understand(opt_state, "tf1_slots")
    known = named(variables)
    check(parts, known, name)
    found: dict[str, Any] = {}
    for number, optimizer in enumerate(parts.optimizers):
        for full_name, slot, variable, value in entries(parts, optimizer, name):
            found[full_name] = _kept(value, slot.sign, jnp.result_type(known[variable]))
        if optimizer.counter is not None:
            count = number_of(parts.states[optimizer.counter].count)
            for power, beta in powers(parts, number, b1, b2).items():
                found[power] = jnp.asarray(power_after(beta, count))
    if parts.counters and STEP not in known:
        found[STEP] = np.int64(number_of(parts.counts()[0]))
    return js.Variables(found, non_trainable=found).unstack()


def _kept(value: Any, sign: int, dtype: Any) -> Any:
    """Return a state's value as TF1 keeps it."""
    if not sign:
        return jnp.zeros(value.shape, dtype)
    if jnp.promote_types(value.dtype, dtype) == dtype:
        value = value.astype(dtype)
    return value if sign > 0 else -value
