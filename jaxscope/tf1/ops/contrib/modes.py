"""`tf.estimator.ModeKeys`: the words for what a model is built for."""

from jaxscope.tf1.base.exporting import export

__all__ = ["LearnModeKeys", "ModeKeys"]


@export("estimator.ModeKeys")
class ModeKeys:
    """What a model is built for: `train`, `eval`, `infer`."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


@export("contrib.learn.ModeKeys")
class LearnModeKeys:
    """What a model is built for: `train`, `eval`, `infer`."""

    TRAIN = "train"
    EVAL = "eval"
    INFER = "infer"
