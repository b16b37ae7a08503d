"""The densely connected layer."""

from typing import Any

import jax
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote, with_rank_of
from jaxscope.layers.call import Activation, Constraint, LayerCall, Regularizer


def dense(
    inputs: ArrayLike,
    units: int,
    activation: Activation = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None,
    kernel_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    dtype: Any = None,
) -> jax.Array:
    """Return `activation(inputs @ kernel + bias)`, of the last axis.

    Args:
        inputs: `[..., in]`, two axes or more, of a floating (or complex) dtype.
        units: The size of the result's last axis.
        activation: A function of the result; None for none.
        use_bias: Whether a bias is added.
        kernel_initializer: How `kernel` `[in, units]` begins; None for the scope's initializer, or Glorot
            uniform.
        bias_initializer: How `bias` `[units]` begins.
        kernel_regularizer: A loss on the kernel, beside that of the scope.
        bias_regularizer: A loss on the bias, beside that of the scope.
        activity_regularizer: A loss on the result, added once a call and divided by the batch size.
        kernel_constraint: What an optimizer is to apply to the kernel after each step.
        bias_constraint: Likewise, to the bias.
        trainable: Whether the variables are trainable.
        name: The scope's name, used as it is; None for `dense`, `dense_1`, ...
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        dtype: The dtype of the variables; None for the input's.

    Returns:
        `[..., units]`, in the dtype that JAX's standard promotion gives for input and variables.

    Raises:
        InvalidShapeError: The input has one axis or none.
        InvalidDtypeError: The variables would be of an integer dtype.
        JaxscopeError: What `js.get_variable` raises: names that exist, shapes that are others.

    Source:
        `tf.layers.dense`.

    Example:
        >>> net = js.transform(lambda x: js.layers.dense(js.layers.dense(x, 8, jax.nn.relu), 2))
        >>> variables = net.init(jax.random.key(0), jnp.ones([4, 3]))
        >>> {name: v.shape for name, v in variables.items()}
        {'dense/bias': (8,), 'dense/kernel': (3, 8), 'dense_1/bias': (2,), 'dense_1/kernel': (8, 2)}
        >>> net.apply(variables, jnp.ones([4, 3])).shape
        (4, 2)
    """
    with LayerCall("dense", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        if call.inputs.ndim < 2:
            raise call.wrong_shape(
                "takes an input of two axes or more", "give it a batch axis: x[None] for one example"
            )
        shape = [call.inputs.shape[-1], units]
        kernel = call.variable("kernel", shape, kernel_initializer, kernel_regularizer, kernel_constraint)
        bias = None
        if use_bias:
            bias = call.variable("bias", [units], bias_initializer, bias_regularizer, bias_constraint)
        x, kernel, bias = promote(call.inputs, kernel, bias)
        outputs = x @ kernel
        if bias is not None:
            outputs = outputs + with_rank_of(bias, outputs)
        return call.finish(outputs, activation, activity_regularizer)
