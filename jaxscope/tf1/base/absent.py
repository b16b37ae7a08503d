"""What belongs to the life of TensorFlow's graph: one error for each, which names JAX's way."""

import contextvars
from typing import Any

from jaxscope.tf1.base.errors import GraphLifeError

__all__ = ["GRAPH_LIFE", "building", "stand_in"]

#: Whether a program that builds a graph is running as it is: in `tf1.placeholders` and in `tf1.train_step`.
building: contextvars.ContextVar[bool] = contextvars.ContextVar("building", default=False)

_RUN = "call net.apply(variables, ...): js.transform(tf.function(model)) makes the net"
_DATA = "any iterable of arrays: data is loaded outside of the model"
_SAVE = "js.checkpoint.save(path, variables) and js.checkpoint.load(path)"
_LOOP = "a Python loop around a jitted step"
_GRAD = "jax.grad(lambda variables: net.apply(variables, ...)): what is differentiated is a function"
_EXPORT = "jax.export.export(jax.jit(...))"
_CLUSTER = "jax.distributed.initialize() and jax.sharding.Mesh; js.sharding splits variables by name"

#: Name -> JAX's way. A name that ends in a dot stands for all of that namespace.
GRAPH_LIFE = {
    "Session": _RUN,
    "InteractiveSession": _RUN,
    "get_default_session": _RUN,
    "get_session_handle": _RUN,
    "get_session_tensor": _RUN,
    "delete_session_tensor": _RUN,
    "ConfigProto": "jax.config",
    "GPUOptions": "the environment variables XLA_PYTHON_CLIENT_*",
    "OptimizerOptions": "jax.config",
    "RunOptions": "jax.profiler",
    "RunMetadata": "jax.profiler",
    "global_variables_initializer": "variables = net.init(key, ...)",
    "local_variables_initializer": "variables = net.init(key, ...)",
    "variables_initializer": "variables = net.init(key, ...)",
    "initialize_all_variables": "variables = net.init(key, ...)",
    "initialize_local_variables": "variables = net.init(key, ...)",
    "initialize_variables": "variables = net.init(key, ...)",
    "tables_initializer": "a Python dict outside of the model",
    "report_uninitialized_variables": "net.init gives each variable its value",
    "is_variable_initialized": "net.init gives each variable its value",
    "assert_variables_initialized": "net.init gives each variable its value",
    "gradients": _GRAD,
    "hessians": "jax.hessian of a function",
    "GradientTape": _GRAD,
    "test.compute_gradient": "jax.test_util.check_grads",
    "test.compute_gradient_error": "jax.test_util.check_grads",
    "GraphDef": _EXPORT,
    "MetaGraphDef": _EXPORT,
    "import_graph_def": _EXPORT,
    "graph_util.": _EXPORT,
    "saved_model.": _EXPORT,
    "lite.": _EXPORT,
    "NoGradient": "tf.stop_gradient",
    "NotDifferentiable": "tf.stop_gradient",
    "load_op_library": "jax.ffi",
    "load_file_system_library": "jax.ffi",
    "enable_eager_execution": "net.apply without jax.jit",
    "enable_v2_behavior": "net.apply without jax.jit",
    "enable_v2_tensorshape": "shape.as_list(): shapes have TensorFlow 1's dimensions",
    "enable_tensor_equality": "tf.equal(x, y): `==` of tensors is identity, as in TensorFlow 1",
    "disable_resource_variables": "nothing: each read is of the value at that place of the program",
    "sparse_placeholder": "the arguments of the model's function",
    "Coordinator": _LOOP,
    "data.": _DATA,
    "FIFOQueue": _DATA,
    "QueueBase": _DATA,
    "RandomShuffleQueue": _DATA,
    "PaddingFIFOQueue": _DATA,
    "PriorityQueue": _DATA,
    "ReaderBase": _DATA,
    "TFRecordReader": _DATA,
    "TextLineReader": _DATA,
    "FixedLengthRecordReader": _DATA,
    "WholeFileReader": _DATA,
    "IdentityReader": _DATA,
    "python_io.": _DATA,
    "parse_example": _DATA,
    "parse_single_example": _DATA,
    "parse_single_sequence_example": _DATA,
    "FixedLenFeature": _DATA,
    "VarLenFeature": _DATA,
    "decode_raw": _DATA,
    "decode_csv": _DATA,
    "read_file": _DATA,
    "write_file": _DATA,
    "matching_files": _DATA,
    "image.decode_jpeg": _DATA,
    "image.decode_png": _DATA,
    "image.decode_image": _DATA,
    "image.encode_jpeg": _DATA,
    "image.encode_png": _DATA,
    "train.Example": _DATA,
    "train.Feature": _DATA,
    "train.Features": _DATA,
    "train.FeatureList": _DATA,
    "train.FeatureLists": _DATA,
    "train.SequenceExample": _DATA,
    "train.BytesList": _DATA,
    "train.FloatList": _DATA,
    "train.Int64List": _DATA,
    "train.Saver": _SAVE,
    "train.latest_checkpoint": _SAVE,
    "train.get_checkpoint_state": _SAVE,
    "train.update_checkpoint_state": _SAVE,
    "train.checkpoint_exists": _SAVE,
    "train.import_meta_graph": _SAVE,
    "train.export_meta_graph": _SAVE,
    "train.write_graph": _EXPORT,
    "train.load_checkpoint": _SAVE,
    "train.load_variable": _SAVE,
    "train.list_variables": _SAVE,
    "train.NewCheckpointReader": _SAVE,
    "train.Checkpoint": _SAVE,
    "train.Supervisor": _LOOP,
    "train.MonitoredSession": _LOOP,
    "train.MonitoredTrainingSession": _LOOP,
    "train.SingularMonitoredSession": _LOOP,
    "train.Scaffold": _LOOP,
    "train.SessionRunHook": _LOOP,
    "train.SessionRunArgs": _LOOP,
    "train.LoggingTensorHook": _LOOP,
    "train.StopAtStepHook": _LOOP,
    "train.CheckpointSaverHook": _LOOP,
    "train.SummarySaverHook": _LOOP,
    "train.NanTensorHook": _LOOP,
    "train.StepCounterHook": _LOOP,
    "train.Coordinator": _LOOP,
    "train.QueueRunner": _DATA,
    "train.add_queue_runner": _DATA,
    "train.start_queue_runners": _DATA,
    "train.batch": _DATA,
    "train.batch_join": _DATA,
    "train.shuffle_batch": _DATA,
    "train.shuffle_batch_join": _DATA,
    "train.slice_input_producer": _DATA,
    "train.string_input_producer": _DATA,
    "train.range_input_producer": _DATA,
    "train.input_producer": _DATA,
    "train.limit_epochs": _DATA,
    "train.match_filenames_once": _DATA,
    "train.SessionManager": _LOOP,
    "train.ChiefSessionCreator": _LOOP,
    "train.ClusterSpec": _CLUSTER,
    "train.Server": _CLUSTER,
    "train.replica_device_setter": _CLUSTER,
    "train.SyncReplicasOptimizer": "one step on a mesh: gradients are summed by jax.jit itself",
    "estimator.": _LOOP,
    "distribute.": _CLUSTER,
    "contrib.data.": _DATA,
    "contrib.tpu.": _CLUSTER,
    "contrib.distribute.": _CLUSTER,
    "contrib.cluster_resolver.": _CLUSTER,
    "contrib.slim.dataset.": _DATA,
    "contrib.slim.dataset_data_provider.": _DATA,
    "contrib.slim.tfexample_decoder.": _DATA,
    "contrib.slim.queues.": _DATA,
    "contrib.slim.learning.": _LOOP,
}


#: What a program that builds a graph may make, and not use: a builder makes it beside the model.
_MAY_BE_MADE = frozenset({"train.Saver", "train.Coordinator", "Coordinator"})


class _Unused:
    """What was made beside a model, as a `Saver` is: any use of it is an error."""

    def __init__(self, name: str, way: str) -> None:
        self._refused = name, way

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        made, way = self._refused
        raise GraphLifeError(f"tf.{made}().{name} belongs to TensorFlow's graph, which is not here", fix=way)


class _GraphLife(type):
    """What a class of the graph's life is: it can be named, in annotations and isinstance, and no more."""

    _name: str
    _way: str

    def __call__(cls, *_: Any, **__: Any) -> Any:
        if building.get() and cls._name in _MAY_BE_MADE:
            return _Unused(cls._name, cls._way)
        raise GraphLifeError(f"tf.{cls._name} belongs to TensorFlow's graph, which is not here", fix=cls._way)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise GraphLifeError(
            f"tf.{cls._name}.{name} belongs to TensorFlow's graph, which is not here", fix=cls._way
        )


_made: dict[str, Any] = {}


def stand_in(full: str) -> Any:
    """Return what stands for a name of the graph's life, which raises when it is used; None for others."""
    keys = [full, *(key for key in GRAPH_LIFE if key.endswith(".") and full.startswith(key))]
    way = next((GRAPH_LIFE[key] for key in keys if key in GRAPH_LIFE), None)
    if way is None:
        return None
    if full not in _made:
        _made[full] = _GraphLife(full.rpartition(".")[2], (), {"_name": full, "_way": way})
    return _made[full]
