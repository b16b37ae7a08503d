"""`tf.errors`, and the errors of `jaxscope.tf1`: each is also what TensorFlow 1 raised there."""

from jaxscope.errors import JaxscopeError
from jaxscope.sites import users_line
from jaxscope.tf1.base.exporting import export_constant

__all__ = [
    "GraphLifeError",
    "InvalidArgumentError",
    "MissingNameError",
    "NotFoundError",
    "NotStaticError",
    "OpError",
    "OutOfRangeError",
    "TensorArrayConversionError",
    "TensorTypeError",
    "TensorValueError",
    "UnimplementedError",
]


class OpError(JaxscopeError):
    """What TensorFlow raised about an operation; the user's line is a fact of each."""

    default_code = "operation"

    def __init__(self, summary: str, *, code: str = "", fix: str = "", **facts: object) -> None:
        """Note the user's line, where none is given."""
        facts.setdefault("at", users_line())
        super().__init__(summary, code=code, fix=fix, **facts)


class TensorTypeError(OpError, TypeError):
    """Values of types that an operation does not take, or that do not go together."""

    default_code = "tensor_type"


class TensorValueError(OpError, ValueError):
    """Values, shapes or arguments that an operation does not take."""

    default_code = "tensor_value"


class InvalidArgumentError(OpError, ValueError):
    """What TensorFlow's kernels raise about values."""

    default_code = "invalid_argument"


class NotFoundError(OpError, ValueError):
    """What is asked for by name is not there."""

    default_code = "not_found"


class OutOfRangeError(OpError, IndexError):
    """What is asked for lies behind the end."""

    default_code = "out_of_range"


class UnimplementedError(OpError, NotImplementedError):
    """An operation exists, but not for these arguments."""

    default_code = "unimplemented"


class TensorArrayConversionError(OpError, NotImplementedError):
    """NumPy was given a tensor, which has no value while a model is traced."""

    default_code = "tensor_as_numpy"


class NotStaticError(OpError, TypeError):
    """A number that decides about shapes is computed from values that are not known while tracing."""

    default_code = "not_static"


class GraphLifeError(OpError, NotImplementedError):
    """What was called belongs to the life of TensorFlow's graph, which is not here."""

    default_code = "graph_life"


class MissingNameError(OpError, AttributeError):
    """A name that `jaxscope.tf1` does not have."""

    default_code = "missing_name"


for _error in (InvalidArgumentError, NotFoundError, OpError, OutOfRangeError, UnimplementedError):
    export_constant(_error, f"errors.{_error.__name__}")
export_constant(OpError, "OpError")
