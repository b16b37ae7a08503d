"""What a model function of an Estimator returns: `tf.estimator.EstimatorSpec`."""

from typing import Any, NamedTuple

import jax

from jaxscope.tf1.base.exporting import export

__all__ = ["EstimatorSpec", "TPUEstimatorSpec"]


_ARRAYS = ("predictions", "loss", "train_op", "eval_metric_ops", "export_outputs")


@export("estimator.EstimatorSpec")
class EstimatorSpec(NamedTuple):
    """What a model function returns: `spec.loss`, `spec.predictions`.

    JAX returns its arrays and its mode; what an Estimator calls (hooks, a scaffold) is None there.

    Args:
        mode: One of `tf.estimator.ModeKeys`.
        predictions: A tensor, or a dict of tensors.
        loss: A tensor.
        train_op: What trains; inside of `tf1.train_step` it has done so already.
        eval_metric_ops: A dict of metrics.
        export_outputs: A dict of outputs.
        training_chief_hooks: What an Estimator would call.
        training_hooks: What an Estimator would call.
        scaffold: What an Estimator would call.
        evaluation_hooks: What an Estimator would call.
        prediction_hooks: What an Estimator would call.

    Example:
        >>> spec = EstimatorSpec("eval", loss=1.5)
        >>> spec.mode, spec.loss, spec.train_op
        ('eval', 1.5, None)
    """

    mode: str
    predictions: Any = None
    loss: Any = None
    train_op: Any = None
    eval_metric_ops: Any = None
    export_outputs: Any = None
    training_chief_hooks: Any = None
    training_hooks: Any = None
    scaffold: Any = None
    evaluation_hooks: Any = None
    prediction_hooks: Any = None


@export("contrib.tpu.TPUEstimatorSpec", "estimator.tpu.TPUEstimatorSpec")
class TPUEstimatorSpec(NamedTuple):
    """What a model function for TPUs returns; as `EstimatorSpec`, but for its metrics.

    Args:
        mode: One of `tf.estimator.ModeKeys`.
        predictions: A tensor, or a dict of tensors.
        loss: A tensor.
        train_op: What trains; inside of `tf1.train_step` it has done so already.
        eval_metrics: A function, and the tensors that it makes metrics of.
        export_outputs: A dict of outputs.
        scaffold_fn: What an Estimator would call.
        host_call: What an Estimator would call.
        training_hooks: What an Estimator would call.
        evaluation_hooks: What an Estimator would call.
        prediction_hooks: What an Estimator would call.
    """

    mode: str
    predictions: Any = None
    loss: Any = None
    train_op: Any = None
    eval_metrics: Any = None
    export_outputs: Any = None
    scaffold_fn: Any = None
    host_call: Any = None
    training_hooks: Any = None
    evaluation_hooks: Any = None
    prediction_hooks: Any = None

    def as_estimator_spec(self) -> EstimatorSpec:
        """Return the same for an Estimator, its metrics made."""
        metrics = None if self.eval_metrics is None else _made(*self.eval_metrics)
        same = {
            name: getattr(self, name)
            for name in ("mode", "predictions", "loss", "train_op", "export_outputs")
        }
        return EstimatorSpec(eval_metric_ops=metrics, **same)


def _made(make: Any, tensors: Any) -> Any:
    return make(**tensors) if isinstance(tensors, dict) else make(*tensors)


def _register(kind: Any) -> None:
    fields = [name for name in kind._fields if name in _ARRAYS]

    def flatten(spec: Any) -> tuple[list[Any], Any]:
        return [getattr(spec, name) for name in fields], spec.mode

    def unflatten(mode: Any, values: Any) -> Any:
        return kind(mode, **dict(zip(fields, values, strict=True)))

    jax.tree_util.register_pytree_node(kind, flatten, unflatten)


_register(EstimatorSpec)
_register(TPUEstimatorSpec)
