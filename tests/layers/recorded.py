"""Runs the recorded programs of TF1's layers (`data/`) on jaxscope."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxscope as js
from jaxscope import layers

DATA = Path(__file__).parent / "data"


def cases() -> list[dict[str, Any]]:
    """Return all cases, in their order."""
    with (DATA / "cases.jsonl").open() as lines:
        return [json.loads(line) for line in lines]


@functools.cache
def _arrays() -> dict[str, np.ndarray]:
    with np.load(DATA / "arrays.npz") as file:
        return dict(file)


def arrays(case: dict[str, Any], kind: str) -> dict[str, np.ndarray]:
    """Return the numbers of one kind that a case has, by name."""
    start = f"{case['id']}:{kind}:"
    return {key[len(start) :]: value for key, value in _arrays().items() if key.startswith(start)}


def inputs_of(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the inputs of a case; ones where none were recorded."""
    given = arrays(case, "in")
    return {
        name: given.get(name, np.ones(kind["shape"], kind["dtype"])) for name, kind in case["inputs"].items()
    }


def uses_64_bits(case: dict[str, Any]) -> bool:
    """Tell whether a case needs JAX's 64-bit mode."""
    return '64"' in json.dumps([case["inputs"], case["program"]])


# What TF1 calls otherwise, or what is no layer.


def _depthwise_conv2d(x: Any, w: Any, strides: Any, padding: str, dilations: Any = (1, 1)) -> Any:
    height, width, channels, multiplier = w.shape
    numbers = ("NHWC", "HWIO", "NHWC")
    w = w.reshape(height, width, 1, channels * multiplier)
    return lax.conv_general_dilated(
        x,
        w,
        strides[1:3],
        padding,
        rhs_dilation=dilations,
        dimension_numbers=numbers,
        feature_group_count=channels,
    )


OTHERS = {
    "tf.matmul": jnp.matmul,
    "tf.sigmoid": jax.nn.sigmoid,
    "tf.tensordot": lambda a, b, axes: jnp.tensordot(a, b, axes),
    "tf.unstack": lambda x, axis=0: [jnp.take(x, i, axis) for i in range(x.shape[axis])],
    "tf.nn.bias_add": jnp.add,
    "tf.nn.depthwise_conv2d": _depthwise_conv2d,
    "tf.nn.dropout": lambda x, keep_prob: layers.dropout(x, 1 - keep_prob, training=True),
    "tf.nn.embedding_lookup": lambda table, ids: table[ids],
    "tf.nn.dynamic_rnn": layers.rnn,
    "tf.nn.static_rnn": layers.static_rnn,
    "tf.nn.bidirectional_dynamic_rnn": layers.bidirectional_rnn,
}
PLACES = {
    "tf.layers.": layers,
    "tf.keras.layers.": layers,
    "tf.nn.rnn_cell.": layers,
    "slim.": layers.contrib,
    "tf.nn.": jax.nn,
    "tf.": jnp,
}


def function(path: str) -> Any:
    """Return what jaxscope or JAX has for a function of TensorFlow."""
    if path in OTHERS:
        return OTHERS[path]
    place = next(place for place in PLACES if path.startswith(place))
    return getattr(PLACES[place], path.removeprefix(place))


# TF1 calls the scope of these functions so.
SCOPE_IS_NAME = {"tf.nn.dynamic_rnn", "tf.nn.static_rnn", "tf.nn.bidirectional_dynamic_rnn"}


def _regularizer(given: dict[str, Any]) -> Any:
    kind, scale = given["reg"], given["scale"]
    if kind == "mean_square":
        return lambda w: scale * jnp.mean(jnp.square(w))
    return getattr(js.regularizers, kind)(*(scale if kind == "l1_l2" else [scale]))


def _constraint(given: dict[str, Any]) -> Any:
    match given["constraint"]:
        case "non_negative":
            return lambda w: jnp.maximum(w, 0)
        case "clip":
            return lambda w: jnp.clip(w, -given["limit"], given["limit"])
        case "unit_columns":
            return lambda w: w / jnp.sqrt(jnp.sum(jnp.square(w), 0))
    raise ValueError(given)


class Program:
    """One run of a case's program, inside a pass."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.bound: dict[str, Any] = dict(inputs)

    def value(self, given: Any) -> Any:
        """Return what a value of a program stands for."""
        if isinstance(given, list):
            return [self.value(part) for part in given]
        if not isinstance(given, dict):
            return given
        match next(iter(given.items())):
            case "ref", name:
                return self.bound[name]
            case "fn", path:
                return function(path)
            case "init", kind:
                rest = {name: part for name, part in given.items() if name != "init"}
                return getattr(js.initializers, kind)(**rest)
            case "reg", _:
                return _regularizer(given)
            case "constraint", _:
                return _constraint(given)
            case "dtype", name:
                return name
            case "dict", items:
                return {name: self.value(item) for name, item in items.items()}
            case "tuple", items:
                return tuple(map(self.value, items))
            case "lstm_state", (c, h):
                return layers.LSTMStateTuple(self.value(c), self.value(h))
            case "auto_reuse", _:
                return js.AUTO_REUSE
        raise ValueError(given)

    def run(self, nodes: list[dict[str, Any]]) -> None:
        """Run nodes in order."""
        for node in nodes:
            getattr(self, node["op"])(node)

    def _arguments(self, node: dict[str, Any], what: str = "") -> tuple[list[Any], dict[str, Any]]:
        kwargs = {name: self.value(given) for name, given in node["kwargs"].items()}
        if what in SCOPE_IS_NAME and "scope" in kwargs:
            kwargs["name"] = kwargs.pop("scope")
        return [self.value(given) for given in node["args"]], kwargs

    def _bind(self, out: Any, result: Any) -> None:
        if isinstance(out, list):
            self.bound.update(zip(out, result, strict=True))
        else:
            self.bound[out] = result

    def call(self, node: dict[str, Any]) -> None:
        args, kwargs = self._arguments(node, node["fn"])
        self._bind(node["out"], function(node["fn"])(*args, **kwargs))

    def make(self, node: dict[str, Any]) -> None:
        args, kwargs = self._arguments(node)
        self.bound[node["as"]] = function(node["cls"])(*args, **kwargs)

    def apply(self, node: dict[str, Any]) -> None:
        args, kwargs = self._arguments(node)
        self._bind(node["out"], self.bound[node["obj"]](*args, **kwargs))

    def method(self, node: dict[str, Any]) -> None:
        args, kwargs = self._arguments(node)
        self._bind(node["out"], getattr(self.bound[node["obj"]], node["method"])(*args, **kwargs))

    def get(self, node: dict[str, Any]) -> None:
        kwargs = {name: self.value(given) for name, given in node["kwargs"].items()}
        self._bind(node["out"], js.get_variable(**kwargs))

    def scope(self, node: dict[str, Any]) -> None:
        names = ("default_name", "reuse", "initializer", "regularizer", "constraint", "dtype")
        options = {name: self.value(node[name]) for name in names if name in node}
        with js.variable_scope(self.value(node.get("name")), **options) as scope:
            if "as" in node:
                self.bound[node["as"]] = scope
            self.run(node["body"])

    def name_scope(self, node: dict[str, Any]) -> None:
        with js.name_scope(node["name"]):
            self.run(node["body"])

    def reuse_variables(self, node: dict[str, Any]) -> None:
        js.get_variable_scope().reuse_variables()

    def unroll(self, node: dict[str, Any]) -> None:
        cell, x, state = self.bound[node["cell"]], self.bound[node["x"]], self.value(node["state"])
        outputs = []
        for time in range(x.shape[1]):
            if time and node["reuse_variables"]:
                js.get_variable_scope().reuse_variables()
            output, state = cell(x[:, time], state)
            outputs.append(output)
        self._bind(node["out"], (jnp.stack(outputs, 1), state))

    def at(self, path: str) -> Any:
        """Return what a path of the case's outputs leads to."""
        name, *rest = path.split(".")
        found = self.bound[name]
        for part in rest:
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        return found


def leaves(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield all nodes, those inside scopes too."""
    for node in nodes:
        yield node
        yield from leaves(node.get("body", []))
