"""Each recorded program of TF1's layers comes to the same here: names, values, gradients, state, errors."""

import builtins
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from tests.layers.at_once import at_once
from tests.layers.recorded import Program, arrays, cases, inputs_of, uses_64_bits

CASES = cases()
KEY = jax.random.key(0)
#: (relative, absolute): the recordings were made in these dtypes, too.
CLOSE = {"float16": (1e-2, 1e-2), "float32": (1e-4, 1e-5), "float64": (1e-9, 1e-9)}
KEYS = {
    "variables": "global_variables",
    "trainable_variables": "trainable_variables",
    "model_variables": "model_variables",
}

# What is different here, deliberately; `docs/reference/layers.md` says why.
#: The output of a call that comes after a step of the moving averages, which it sees here.
AFTER_A_STEP = {"batch_normalization_34": "e", "batch_normalization_36": "y"}
#: The scope's constraint rules the variables of layers, as it rules all others.
CONSTRAINED = {"scoping_16"}


class Recorded:
    """A case as a transformed function, and what was seen of it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.inputs = inputs_of(case)
        self.made: dict[str, None] = {}  # names, in order of making
        self.errors: list[Exception] = []
        self.net = js.transform(self._run)

    def _run(self, inputs: dict[str, Any], key: Any) -> Any:
        def note(next_creator, **kwargs):
            self.made[kwargs["name"]] = None
            return next_creator(**kwargs)

        program = Program(inputs)
        with js.random_keys(key), js.variable_creator_scope(note):
            try:
                program.run(self.case["program"])
            except (ValueError, TypeError) as error:
                self.errors.append(error)
                return None
        outputs = {output["path"]: program.at(output["path"]) for output in self.case["outputs"]}
        losses = js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES)
        return outputs, losses, len(js.get_collection(js.GraphKeys.UPDATE_OPS))

    @functools.cached_property
    def specs(self) -> Any:
        return self.net.spec(self.inputs, KEY)

    def work(self) -> tuple[Any, tuple[Any, ...]]:
        """Return what computes all numbers of the case, and its arguments."""
        names = [name for name, spec in self.specs.items() if not spec.trainable]
        variables = js.Variables(arrays(self.case, "var"), non_trainable=names)
        return self._numbers, (variables, self.inputs, self.inputs | arrays(self.case, "second"))

    def _numbers(self, variables: Any, inputs: Any, second: Any) -> dict[str, Any]:
        def total(variables, floats):
            result, state = self.net.apply_with_state(variables, inputs | floats, KEY)
            wide = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
            outputs = [y.astype(wide) for y in result[0].values() if jnp.issubdtype(y.dtype, jnp.inexact)]
            return sum(jnp.sum(jnp.sin(y)) for y in outputs), (result, state)

        floats = {name: x for name, x in inputs.items() if jnp.issubdtype(x.dtype, jnp.floating)}
        grads, ((outputs, losses, n_updates), state) = jax.grad(total, (0, 1), has_aux=True)(
            variables, floats
        )
        again = None
        if arrays(self.case, "step2"):
            _, again = self.net.apply_with_state(variables | state, second, KEY)
        constrained = {
            name: self.specs[name].constraint(variables[name]) for name in arrays(self.case, "constrained")
        }
        return {
            "outputs": outputs,
            "losses": losses,
            "n_updates": n_updates,
            "grads": grads,
            "state": state,
            "again": again,
            "constrained": constrained,
            "variables": variables,
        }


@functools.cache
def recorded(name: str) -> Recorded:
    return Recorded(next(case for case in CASES if case["id"] == name))


@functools.cache
def numbers(layer: str, wide: bool) -> dict[str, Any]:
    """Return all numbers of the cases of a layer."""
    alike = [case for case in CASES if case["layer"] == layer and uses_64_bits(case) == wide]
    return at_once(
        {
            case["id"]: recorded(case["id"]).work()
            for case in alike
            if not {"error", "statistics"} & case.keys()
        }
    )


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["id"], indirect=True)


@pytest.fixture
def case(request):
    with jax.enable_x64(uses_64_bits(request.param)):
        yield request.param


def close(actual: Any, expected: np.ndarray, what: str) -> None:
    rtol, atol = CLOSE[str(expected.dtype)]
    np.testing.assert_allclose(np.asarray(actual), expected, rtol, atol, err_msg=what)


@each(CASES)
def test_variables(case):
    """Variables are made by TF1's names, in its order; where TF1 raises an error, it is of that class."""
    here = recorded(case["id"])
    specs = here.specs
    assert [*here.made] == [variable["name"] for variable in case["variables"]]
    expected = case.get("error")
    if expected:
        assert here.errors
        assert isinstance(here.errors[-1], getattr(builtins, expected["class"]))
        return
    if here.errors:
        raise here.errors[-1]
    assert {*specs} == {*here.made}
    for variable in case["variables"]:
        spec = specs[variable["name"]]
        assert list(spec.shape) == variable["shape"]
        assert str(spec.dtype) == variable["dtype"]
        assert spec.trainable == variable["trainable"]
        assert sorted(KEYS[key] for key in spec.collections) == sorted(variable["collections"])
        constrained = variable.get("constraint", False) or case["id"] in CONSTRAINED
        assert (spec.constraint is not None) == constrained


@each([case for case in CASES if "error" not in case])
def test_numbers(case):
    """Outputs, gradients, losses, constrained values and moving averages are TF1's."""
    if "statistics" in case:
        _check_statistics(case)
        return
    found = numbers(case["layer"], uses_64_bits(case))[case["id"]]
    if isinstance(found, Exception):
        raise found
    for output in case["outputs"]:
        assert list(found["outputs"][output["path"]].shape) == output["shape"]
        assert str(found["outputs"][output["path"]].dtype) == output["dtype"]
    later = AFTER_A_STEP.get(case["id"])
    for path, expected in arrays(case, "out").items():
        if path != later:
            close(found["outputs"][path], expected, path)
    if not later and not case.get("gradients_not_recorded"):
        _check_gradients(case, *found["grads"])
    _check_losses(case, found["losses"])
    assert found["n_updates"] == case["n_updates"]
    for name, expected in arrays(case, "constrained").items():
        close(found["constrained"][name], expected, name)
    _check_steps(case, found)


def _check_gradients(case: dict[str, Any], of_variables: Any, of_inputs: Any) -> None:
    none = set(case.get("no_gradient", ()))
    for kind, found in (("var", of_variables), ("in", of_inputs)):
        expected = arrays(case, f"grad:{kind}")
        for name in found:
            # Where TF gives none, there is one here, of 0 or of what TF's fused operation leaves out.
            if f"{kind}:{name}" not in none:
                close(found[name], expected[name], f"gradient of {name}")


def _check_losses(case: dict[str, Any], losses: list[Any]) -> None:
    expected = case["regularization_losses"]
    assert len(losses) == len(expected)
    for loss, value in zip(losses, expected, strict=True):
        if value is not None:
            np.testing.assert_allclose(loss, value, rtol=1e-2 if loss.dtype == jnp.float16 else 1e-4)


def _check_steps(case: dict[str, Any], found: dict[str, Any]) -> None:
    state, before = found["state"], found["variables"]
    changed = {name for name in state if not np.array_equal(state[name], before[name], equal_nan=True)}
    if "updated" in case or not case["n_updates"]:  # not where TF1 leaves the order of two steps open
        assert changed == set(case.get("updated", ()))
    for name, expected in arrays(case, "step1").items():
        close(state[name], expected, f"{name} after a step")
    for name, expected in arrays(case, "step2").items():
        close(found["again"][name], expected, f"{name} after two steps")


def _check_statistics(case: dict[str, Any]) -> None:
    expected, here = case["statistics"], recorded(case["id"])
    x = here.inputs["x"]
    first = np.asarray(here.net.apply({}, here.inputs, KEY)[0]["y"])
    again = np.asarray(here.net.apply({}, here.inputs, jax.random.key(1))[0]["y"])
    kept = first != 0
    np.testing.assert_allclose(np.unique((first / x)[kept].round(4)), expected["kept_values"], rtol=1e-4)
    assert abs(kept.mean() - expected["kept_fraction"]) < 4 / np.sqrt(expected["size"])
    one_mask = [axis for axis in range(x.ndim) if (kept == kept.take([0], axis)).all()]
    assert one_mask == expected["axes_with_one_mask"]
    assert (not np.array_equal(first, again)) == expected["runs_differ"]


@pytest.mark.parametrize("wide", [False, True])
def test_initial_values(wide):
    """Variables begin as TF1's do: by the same law, of the same limits."""
    with jax.enable_x64(wide):
        laws: dict[Any, dict[str, Any]] = {}
        for case in CASES:
            if uses_64_bits(case) == wide and "error" not in case:
                for variable in case["variables"]:
                    spec = recorded(case["id"]).specs[variable["name"]]
                    laws[spec.initializer, spec.shape, str(spec.dtype)] = variable["initial"]
        keys = jax.random.split(KEY, 64)
        works = {
            str(number): (jax.vmap(functools.partial(_draw, *kind)), (keys,))
            for number, kind in enumerate(laws)
        }
        drawn = at_once(works)
    for number, ((initializer, shape, dtype), law) in enumerate(laws.items()):
        _check_law(law, np.asarray(drawn[str(number)], np.float64), f"{initializer} {shape} {dtype}")


def _draw(initializer: Any, shape: tuple[int, ...], dtype: str, key: Any) -> Any:
    initializer = initializer() if isinstance(initializer, type) else initializer
    return initializer(key, shape, jnp.dtype(dtype))


def _check_law(expected: dict[str, Any], values: np.ndarray, what: str) -> None:
    ((law, how),) = expected.items()
    match law:
        case "constant":
            np.testing.assert_allclose(values, how, rtol=1e-3, err_msg=what)
        case "uniform":
            low, high = how
            slack = 1e-3 * (high - low)
            assert low - slack <= values.min() < low + 0.2 * (high - low), what
            assert high + slack >= values.max() > high - 0.2 * (high - low), what
        case "normal" | "truncated_normal":
            mean, deviation = how
            shrunk = 0.8796 if law == "truncated_normal" else 1.0
            assert abs(values.mean() - mean) < deviation / 4, what
            assert abs(values.std() / (deviation * shrunk) - 1) < 0.25, what
        case "orthogonal":
            rows = values.reshape(len(values), -1, values.shape[-1])
            products = rows.swapaxes(1, 2) @ rows
            np.testing.assert_allclose(
                products - np.eye(rows.shape[-1]), 0 * products, atol=1e-4, err_msg=what
            )
        case _:
            raise ValueError(law)
