"""The names of TF1's standard collections."""


class GraphKeys:
    """The names of TF1's standard collections.

    Source:
        `tf.compat.v1.GraphKeys`.

    Example:
        >>> GraphKeys.GLOBAL_VARIABLES
        'variables'
    """

    GLOBAL_VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    METRIC_VARIABLES = "metric_variables"
    MODEL_VARIABLES = "model_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    REGULARIZATION_LOSSES = "regularization_losses"
    LOSSES = "losses"
    WEIGHTS = "weights"
    BIASES = "biases"
    ACTIVATIONS = "activations"
    UPDATE_OPS = "update_ops"
    SUMMARIES = "summaries"
    GLOBAL_STEP = "global_step"


#: The collections of a variable that asks for none.
GLOBAL = (GraphKeys.GLOBAL_VARIABLES,)


GLOBAL_TRAINABLE = (GraphKeys.GLOBAL_VARIABLES, GraphKeys.TRAINABLE_VARIABLES)
