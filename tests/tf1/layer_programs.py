"""Runs the recorded programs of TF1's layers (`tests/layers/data/`) on `jaxscope.tf1`, with tensors."""

from typing import Any

import jax

import jaxscope.tf1 as tf
from tests.layers.recorded import Program


def function(path: str) -> Any:
    """Return what `jaxscope.tf1` has under a name of TensorFlow's; `slim.` is `tf.contrib.slim`."""
    path = path.replace("slim.", "contrib.slim.", 1) if path.startswith("slim.") else path[3:]
    found: Any = tf
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _regularizer(given: dict[str, Any]) -> Any:
    kind, scale = given["reg"], given["scale"]
    if kind == "mean_square":
        return lambda w: scale * tf.reduce_mean(tf.square(w))
    scales = [float(one) for one in (scale if kind == "l1_l2" else [scale])]
    return getattr(tf.contrib.layers, f"{kind}_regularizer")(*scales)


def _constraint(given: dict[str, Any]) -> Any:
    match given["constraint"]:
        case "non_negative":
            return lambda w: tf.maximum(w, 0.0)
        case "clip":
            return lambda w: tf.minimum(tf.maximum(w, -given["limit"]), given["limit"])
        case "unit_columns":
            return lambda w: w / tf.sqrt(tf.reduce_sum(tf.square(w), 0))
    raise ValueError(given)


class TensorProgram(Program):
    """One run of a case's program, inside a pass, by TensorFlow's names."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        super().__init__({name: tf.convert_to_tensor(x) for name, x in inputs.items()})

    def value(self, given: Any) -> Any:
        if not isinstance(given, dict):
            return super().value(given)
        match next(iter(given.items())):
            case "fn", path:
                return function(path)
            case "init", kind:
                rest = {name: part for name, part in given.items() if name != "init"}
                return getattr(tf, f"{kind}_initializer")(**rest)
            case "reg", _:
                return _regularizer(given)
            case "constraint", _:
                return _constraint(given)
            case "dtype", name:
                return getattr(tf, name)
            case "lstm_state", (c, h):
                return tf.nn.rnn_cell.LSTMStateTuple(self.value(c), self.value(h))
            case "auto_reuse", _:
                return tf.AUTO_REUSE
        return super().value(given)

    def call(self, node: dict[str, Any]) -> None:
        args, kwargs = self._arguments(node)
        self._bind(node["out"], function(node["fn"])(*args, **kwargs))

    def make(self, node: dict[str, Any]) -> None:
        args, kwargs = self._arguments(node)
        self.bound[node["as"]] = function(node["cls"])(*args, **kwargs)

    def get(self, node: dict[str, Any]) -> None:
        kwargs = {name: self.value(given) for name, given in node["kwargs"].items()}
        self._bind(node["out"], tf.get_variable(**kwargs))

    def scope(self, node: dict[str, Any]) -> None:
        names = ("default_name", "reuse", "initializer", "regularizer", "constraint", "dtype")
        options = {name: self.value(node[name]) for name in names if name in node}
        with tf.variable_scope(self.value(node.get("name")), **options) as scope:
            if "as" in node:
                self.bound[node["as"]] = scope
            self.run(node["body"])

    def name_scope(self, node: dict[str, Any]) -> None:
        with tf.name_scope(node["name"]):
            self.run(node["body"])

    def reuse_variables(self, node: dict[str, Any]) -> None:
        tf.get_variable_scope().reuse_variables()

    def unroll(self, node: dict[str, Any]) -> None:
        cell, x, state = self.bound[node["cell"]], self.bound[node["x"]], self.value(node["state"])
        outputs = []
        for time in range(x.shape[1].value):
            if time and node["reuse_variables"]:
                tf.get_variable_scope().reuse_variables()
            output, state = cell(x[:, time], state)
            outputs.append(output)
        self._bind(node["out"], (tf.stack(outputs, 1), state))

    def at(self, path: str) -> Any:
        return jax.numpy.asarray(super().at(path))
