"""Each recorded program of TF1's layers, written with tensors: names, values, gradients, state, errors."""

import builtins
import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js
import jaxscope.tf1 as tf
from tests.layers import test_recorded as plain
from tests.layers.at_once import at_once
from tests.layers.recorded import arrays, uses_64_bits
from tests.tf1.layer_programs import TensorProgram

CASES = plain.CASES
#: What dropout leaves to chance is checked where it is made, in `tests/layers`.
COUNTED = [case for case in CASES if not {"error", "statistics"} & case.keys()]


class Recorded(plain.Recorded):
    """A case as a transformed function of tensors, and what was seen of it."""

    def _run(self, inputs: dict[str, Any], key: Any) -> Any:
        def note(next_creator: Any, **kwargs: Any) -> Any:
            self.made[kwargs["name"]] = None
            return next_creator(**kwargs)

        program = TensorProgram(inputs)
        with js.random_keys(key), tf.variable_creator_scope(note):
            try:
                program.run(self.case["program"])
            except (ValueError, TypeError) as error:
                self.errors.append(error)
                return None
        outputs = {output["path"]: program.at(output["path"]) for output in self.case["outputs"]}
        losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        assert all(isinstance(loss, tf.Tensor) for loss in losses)
        names = [variable.op.name for variable in tf.global_variables()]
        assert names == [*self.made]
        return outputs, losses, len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))


@functools.cache
def recorded(name: str) -> Recorded:
    return Recorded(next(case for case in CASES if case["id"] == name))


@functools.cache
def numbers(layer: str, wide: bool) -> dict[str, Any]:
    """Return all numbers of the cases of a layer."""
    alike = [case for case in COUNTED if case["layer"] == layer and uses_64_bits(case) == wide]
    return at_once({case["id"]: recorded(case["id"]).work() for case in alike})


@pytest.fixture
def case(request):
    with jax.enable_x64(uses_64_bits(request.param)):
        yield request.param


@plain.each(CASES)
def test_variables(case):
    """Variables are made by TF1's names, in its order; where TF1 raises an error, it is of that class."""
    here = recorded(case["id"])
    specs = here.specs
    expected = case.get("error")
    if expected:
        assert [*here.made] == [variable["name"] for variable in case["variables"]]
        assert here.errors
        assert isinstance(here.errors[-1], getattr(builtins, expected["class"]))
        return
    if here.errors:
        raise here.errors[-1]
    assert [*here.made] == [variable["name"] for variable in case["variables"]]
    for variable in case["variables"]:
        spec = specs[variable["name"]]
        assert list(spec.shape) == variable["shape"]
        assert str(spec.dtype) == variable["dtype"]
        assert spec.trainable == variable["trainable"]
        assert sorted(plain.KEYS[key] for key in spec.collections) == sorted(variable["collections"])


@plain.each(COUNTED)
def test_numbers(case):
    """Outputs, gradients, losses, constrained values and moving averages are TF1's."""
    found = numbers(case["layer"], uses_64_bits(case))[case["id"]]
    if isinstance(found, Exception):
        raise found
    later = plain.AFTER_A_STEP.get(case["id"])
    for path, expected in arrays(case, "out").items():
        assert found["outputs"][path].dtype == expected.dtype
        if path != later:
            plain.close(found["outputs"][path], expected, path)
    if not later and not case.get("gradients_not_recorded"):
        plain._check_gradients(case, *found["grads"])
    plain._check_losses(case, found["losses"])
    assert found["n_updates"] == case["n_updates"]
    for name, expected in arrays(case, "constrained").items():
        plain.close(found["constrained"][name], expected, name)
    plain._check_steps(case, found)


def test_the_program_is_that_of_the_layers():
    """A layer through `tf1` is the operations of the one in `js.layers`, and no other."""

    def through_tf1(x):
        x = tf.layers.dense(x, 4, tf.tanh)
        return tf.layers.batch_normalization(x)

    def plainly(x):
        return js.layers.batch_normalization(js.layers.dense(x, 4, jnp.tanh))

    x = jnp.ones((2, 3))
    nets = js.transform(tf.function(through_tf1)), js.transform(plainly)
    variables = nets[1].init(jax.random.key(0), x)
    one, other = (jax.make_jaxpr(net.apply)(variables, x) for net in nets)
    assert str(one) == str(other)
