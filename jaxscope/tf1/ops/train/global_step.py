"""The global step: the variable that counts steps."""

from typing import Any

import jaxscope as js
from jaxscope.tf1.base.errors import GraphLifeError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.variable import Variable

__all__ = ["create_global_step", "get_global_step", "get_or_create_global_step"]


def _places(name: str) -> list[str]:
    return [f"train.{name}", f"contrib.framework.{name}", f"contrib.slim.{name}"]


@export(*_places("get_global_step"))
def get_global_step(graph: Any = None) -> Variable | None:
    """Return the global step of this pass, or None.

    Args:
        graph: Without meaning here.

    Raises:
        TensorValueError: If there are several (`tensor_value`).
    """
    found = collections.get_collection(js.GraphKeys.GLOBAL_STEP)
    if len(found) > 1:
        raise TensorValueError("there are several global steps", names=", ".join(one.name for one in found))
    return found[0] if found else None


@export(*_places("create_global_step"))
def create_global_step(graph: Any = None) -> Variable:
    """Make the global step: a whole number that begins with 0, `global_step` in the current scope.

    Args:
        graph: Without meaning here.

    Raises:
        TensorValueError: If there is one (`tensor_value`).
    """
    if get_global_step() is not None:
        raise TensorValueError('"global_step" already exists.')
    made: Variable = get_variable(
        js.GraphKeys.GLOBAL_STEP,
        [],
        "int64",
        js.initializers.zeros(),
        trainable=False,
        collections=[js.GraphKeys.GLOBAL_VARIABLES, js.GraphKeys.GLOBAL_STEP],
    )
    return made


@export(*_places("get_or_create_global_step"))
def get_or_create_global_step(graph: Any = None) -> Variable:
    """Return the global step of this pass; make it if there is none.

    Args:
        graph: Without meaning here.

    Example:
        >>> net = js.transform(lambda: get_or_create_global_step().name)
        >>> net.apply({"global_step": jnp.int32(3)})
        'global_step:0'
    """
    return get_global_step() or create_global_step()


@export("train.assert_global_step", "contrib.framework.assert_global_step")
def assert_global_step(global_step_tensor: Any) -> None:
    """Check that this is a whole number.

    Args:
        global_step_tensor: What counts steps.

    Raises:
        TensorTypeError: If it is not (`tensor_type`).
    """
    if not global_step_tensor.dtype.is_integer or global_step_tensor.get_shape().ndims:
        raise TensorTypeError(f"a global step is one whole number, not {global_step_tensor!r}")


@export("train.global_step")
def global_step(sess: Any, global_step_tensor: Any) -> int:
    """Refuse: there are no sessions.

    Args:
        sess: A session.
        global_step_tensor: What counts steps.

    Raises:
        GraphLifeError: Always (`graph_life`).
    """
    raise GraphLifeError(
        "tf.train.global_step needs a session, and there is none", fix='int(variables["global_step"])'
    )
