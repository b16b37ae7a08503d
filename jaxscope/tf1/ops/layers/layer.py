"""`tf.layers.Layer`: what layers as objects share, the program's own ones too."""

import re
from collections.abc import Callable
from typing import Any

import jaxscope as js
from jaxscope.tf1.base.converting import convert_to_tensor
from jaxscope.tf1.base.dtypes import DType, as_dtype
from jaxscope.tf1.base.errors import GraphLifeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.shapes import TensorShape
from jaxscope.tf1.base.tensor import Tensor, is_tensor
from jaxscope.tf1.ops.variables import collections
from jaxscope.tf1.ops.variables.getting import get_variable
from jaxscope.tf1.ops.variables.scopes import js_scope

__all__ = ["Layer", "snake"]


def snake(name: str) -> str:
    """Return the name of a class as that of a scope: `MyLayer` is `my_layer`."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return name if name[0] != "_" else f"private{name}"


@export("InputSpec", "layers.InputSpec")
class InputSpec:
    """What a layer says of its inputs; nothing checks it here.

    Args:
        dtype: The dtype.
        shape: The shape.
        ndim: The number of axes.
        max_ndim: The most axes.
        min_ndim: The fewest axes.
        axes: Sizes by axis.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Any = None,
    ) -> None:
        self.dtype, self.shape, self.ndim = dtype, shape, ndim
        self.max_ndim, self.min_ndim, self.axes = max_ndim, min_ndim, axes or {}


@export("layers.Layer")
class Layer:
    """A layer as an object: its first call in a pass opens a scope, and later calls share it.

    A program's own layer has `build(input_shape)`, which asks for weights by `add_weight`, and
    `call(inputs, ...)`. `build` runs at each call, and finds in the later ones what the first one made: an
    object may serve many passes, and the variables of one are of no use in another.

    Args:
        trainable: Whether its weights are trainable.
        name: The name of its scope, which is numbered where it is taken.
        dtype: The dtype of its weights; the first input's if left out.
        **kwargs: `_reuse`, `_scope`, `activity_regularizer` and what else TensorFlow's have.

    Raises:
        JaxscopeError: When it is called, what `js.make_template` and the layer raise.
    """

    #: What its scope is called without a name; None for the name of the class.
    _default_name: str | None = None

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        self.trainable = trainable
        self.built = False
        self.input_spec: Any = None
        self.stateful = False
        self.supports_masking = False
        self._given_name = name
        self._dtype = None if dtype is None else as_dtype(dtype).name
        self._reuse = kwargs.get("_reuse")
        self._first_scope = kwargs.get("_scope")
        self._activity_regularizer = kwargs.get("activity_regularizer")
        self._losses: list[Any] = []

    # --- what a program's own layer has ----------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights; a layer of the program's own does it here.

        Args:
            input_shape: The shape of the inputs.
        """
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer computes; a layer of the program's own does it here.

        Args:
            inputs: The inputs.
            *args: Further arguments.
            **kwargs: Further arguments.
        """
        return inputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """Return the shape of the result for a shape of the inputs.

        Args:
            input_shape: The shape of the inputs.
        """
        raise NotImplementedError

    def add_weight(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Callable[..., Any] | None = None,
        trainable: bool | None = None,
        constraint: Callable[..., Any] | None = None,
        use_resource: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        partitioner: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Return a weight of the layer.

        Args:
            name: Its own name.
            shape: Its shape.
            dtype: Its dtype; the layer's if left out.
            initializer: How it begins.
            regularizer: A loss on it.
            trainable: Whether it is trained.
            constraint: What projects a new value.
            use_resource: Without meaning here.
            synchronization: Without meaning here.
            aggregation: Without meaning here.
            partitioner: How it lies on a mesh.
            **kwargs: Without meaning here.
        """
        del use_resource, synchronization, aggregation, kwargs
        return get_variable(
            name,
            [] if shape is None else shape,
            self._dtype or "float32" if dtype is None else dtype,
            initializer,
            regularizer,
            self.trainable and trainable is not False,
            partitioner=partitioner,
            constraint=constraint,
        )

    def add_variable(self, *args: Any, **kwargs: Any) -> Any:
        """Return a weight of the layer, as `add_weight` does.

        Args:
            *args: As of `add_weight`.
            **kwargs: As of `add_weight`.
        """
        return self.add_weight(*args, **kwargs)

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add losses to those of regularization.

        Args:
            losses: A loss, or a list of such.
            inputs: Without meaning here.
        """
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            self._losses.append(loss)
            collections.add_to_collection(js.GraphKeys.REGULARIZATION_LOSSES, loss)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add what was assigned to the collection of updates: it is done already.

        Args:
            updates: What `tf.assign` returned, or a list of such.
            inputs: Without meaning here.
        """
        for update in updates if isinstance(updates, list | tuple) else [updates]:
            collections.add_to_collection(js.GraphKeys.UPDATE_OPS, update)

    # --- calls -----------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer computes, in its scope.

        Args:
            inputs: The inputs.
            *args: Further arguments of `call`.
            **kwargs: Further arguments of `call`; `scope` opens another scope than the layer's own.
        """
        scope = kwargs.pop("scope", None) or self._first_scope
        if scope is not None:
            with js.variable_scope(js_scope(scope), reuse=self._reuse or js.AUTO_REUSE):
                return self._in_scope(inputs, args, kwargs)
        return self._own_template()(inputs, args, kwargs)

    def apply(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer computes, as a call does.

        Args:
            inputs: The inputs.
            *args: As of a call.
            **kwargs: As of a call.
        """
        return self(inputs, *args, **kwargs)

    def _own_template(self) -> Any:
        found = self.__dict__.get("_template")
        if found is None:
            name = self._base_name
            found = self._template = js.make_template(
                name, _Caller(self), unique_name_=name if self._reuse else None
            )
        return found

    def _in_scope(self, inputs: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self._losses = []
        self._scope = js.get_variable_scope()
        tensors = _as_tensors(inputs)
        first = _first(tensors)
        if self._dtype is None and first is not None:
            self._dtype = first.dtype.name
        self.built = False
        self.build(_shapes(tensors))
        self.built = True
        outputs = self.call(tensors, *args, **kwargs)
        if self._activity_regularizer is not None:
            for output in outputs if isinstance(outputs, list | tuple) else [outputs]:
                self.add_loss(self._activity_regularizer(output))
        return outputs

    # --- what it has -----------------------------------------------------------------------------

    @property
    def _base_name(self) -> str:
        return self._given_name or self._default_name or snake(type(self).__name__)

    @property
    def name(self) -> str:
        """The name of its scope, without those around it."""
        scope = self.__dict__.get("_scope")
        return self._base_name if scope is None else scope.name.rpartition("/")[2]

    @property
    def scope_name(self) -> str:
        """The full name of its scope.

        Raises:
            TensorValueError: Before the first call (`tensor_value`).
        """
        scope = self.__dict__.get("_scope")
        if scope is None:
            raise TensorValueError(f"layer {self._base_name} has no scope before its first call")
        name: str = scope.name
        return name

    @property
    def dtype(self) -> DType | None:
        """The dtype of its weights; None before the first call."""
        return None if self._dtype is None else as_dtype(self._dtype)

    @property
    def graph(self) -> Any:
        """The default graph."""
        from jaxscope.tf1.ops.variables.graph import get_default_graph

        return get_default_graph()

    @property
    def variables(self) -> list[Any]:
        """Its weights, in order of making."""
        if "_scope" not in self.__dict__:
            return []
        return collections.global_variables(re.escape(self.scope_name) + "/")

    @property
    def weights(self) -> list[Any]:
        """Its weights, in order of making."""
        return self.variables

    @property
    def trainable_variables(self) -> list[Any]:
        """Its trainable weights."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def trainable_weights(self) -> list[Any]:
        """Its trainable weights."""
        return self.trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        """Its weights that are not trained."""
        return [variable for variable in self.variables if not variable.trainable]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """Its weights that are not trained."""
        return self.non_trainable_variables

    @property
    def losses(self) -> list[Any]:
        """The losses on its weights."""
        return collections.get_collection(
            js.GraphKeys.REGULARIZATION_LOSSES, re.escape(self.scope_name) + "/"
        )

    @property
    def updates(self) -> list[Any]:
        """What its calls have assigned."""
        return collections.get_collection(js.GraphKeys.UPDATE_OPS, re.escape(self.scope_name) + "/")

    def count_params(self) -> int:
        """Return how many numbers its weights have."""
        return sum(variable.shape.num_elements() for variable in self.weights)

    def get_weights(self) -> Any:
        """Refuse: there are no sessions."""
        raise GraphLifeError("get_weights needs a session", fix="they are in what net.init returned, by name")

    def __deepcopy__(self, memo: Any) -> "Layer":
        made = object.__new__(type(self))
        made.__dict__.update({k: v for k, v in self.__dict__.items() if k not in {"_template", "_scope"}})
        return made


class _Caller:
    """What a layer's template calls; it holds the layer, and the layer the template."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self.__name__ = type(layer).__name__

    def __call__(self, inputs: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return self._layer._in_scope(inputs, args, kwargs)


def _as_tensors(inputs: Any) -> Any:
    if isinstance(inputs, list | tuple) and any(map(is_tensor, inputs)):
        return inputs
    return convert_to_tensor(inputs) if _is_leaf(inputs) else inputs


def _is_leaf(inputs: Any) -> bool:
    return not isinstance(inputs, dict) and not hasattr(inputs, "_fields")


def _first(tensors: Any) -> Tensor | None:
    if is_tensor(tensors):
        found: Tensor = convert_to_tensor(tensors)
        return found
    values = tensors.values() if isinstance(tensors, dict) else tensors
    return next((found for found in map(_first, values) if found is not None), None) if values else None


def _shapes(tensors: Any) -> Any:
    if is_tensor(tensors):
        return tensors.get_shape()
    if isinstance(tensors, dict):
        return {key: _shapes(one) for key, one in tensors.items()}
    return [_shapes(one) for one in tensors]
