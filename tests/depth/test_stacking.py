"""Variables.stack and unstack are each other's inverses; work grows linearly with the number of variables."""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from tests.depth.same import count_equations

NAMES = st.sampled_from(["w", "b", "s/w", "layer/w", "layer_x/w", "1x/w", "mlayer_0/w", "head_3/b"])
PREFIXES = st.sampled_from(["", "net/", "net/a_1/", "xlayer_0/"])


@st.composite
def layered(draw: Any) -> tuple[js.Variables, str, int]:
    """Draw variables of layers, among others; with the pattern, and how many layers there are."""
    pattern = draw(st.sampled_from(["layer_{}", "h{}", "l{}_x", "{}"]))
    layers = draw(st.integers(1, 12))
    values: dict[str, Any] = {}
    frozen: list[str] = []
    for prefix in draw(st.lists(PREFIXES, min_size=1, max_size=2, unique=True)):
        for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
            shape = draw(st.sampled_from([(), (2,), (2, 3)]))
            dtype = draw(st.sampled_from(["float32", "int32"]))
            is_frozen = draw(st.booleans())
            for i in range(layers):
                full = f"{prefix}{pattern.format(i)}/{name}"
                values[full] = np.full(shape, i, dtype)
                frozen += [full] if is_frozen else []
    values["other"] = np.ones(2, "float32")
    return js.Variables(values, non_trainable=frozen), pattern, layers


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(layered())
def test_round_trip(case: tuple[js.Variables, str, int]):
    """What was stacked comes back: names, order, values, dtypes and what is trainable."""
    variables, pattern, layers = case
    stacked = variables.stack(pattern)
    for name, value in stacked.items():
        assert name == "other" or len(value) == layers
        assert name == "other" or np.all(
            np.asarray(value) == np.arange(layers).reshape(-1, *[1] * (value.ndim - 1))
        )
    back = stacked.unstack()
    assert list(back) == list(variables)
    assert list(back.trainable) == list(variables.trainable)
    for name, value in variables.items():
        assert back[name].dtype == value.dtype
        assert bool((back[name] == value).all())
    assert list(stacked.unstack(pattern)) == list(variables)


def variables_of(*names: str) -> js.Variables:
    return js.Variables({name: jnp.asarray([float(i)]) for i, name in enumerate(names)})


def test_a_prefix_picks_one():
    """A pattern with the scope before it stacks the layers of that scope alone."""
    variables = variables_of("a/layer_0/w", "a/layer_1/w", "b/layer_0/w", "b/layer_1/w")
    assert list(variables.stack("a/layer_{}")) == ["a/layer_{}/w", "b/layer_0/w", "b/layer_1/w"]
    assert list(variables.stack("layer_{}")) == ["a/layer_{}/w", "b/layer_{}/w"]
    assert list(variables.stack("layer_{}").unstack("a/layer_{}")) == [
        "a/layer_0/w", "a/layer_1/w", "b/layer_{}/w",
    ]  # fmt: skip


def test_parts_of_names_stay():
    """Only whole parts of a name are layers."""
    names = ["layer_0x/w", "layer_00/w", "mylayer_0/w"]
    assert sorted(variables_of(*names).stack("layer_{}")) == sorted(names)


def test_unstack_whole_parts():
    """Only whole parts of a name are unstacked."""
    variables = js.Variables({"layer_{}/w": jnp.ones((2, 3)), "xlayer_{}/w": jnp.ones((2, 3))})
    assert list(variables.unstack("layer_{}")) == ["layer_0/w", "layer_1/w", "xlayer_{}/w"]


@pytest.mark.parametrize(
    "order",
    [
        ("b_{}", "a_{}"),
        ("a_{}", "b_{}"),
    ],
)
def test_two_levels(order: tuple[str, str]):
    """Layers of layers come back, whichever are stacked first."""
    variables = js.Variables(
        {f"a_{i}/b_{j}/w": jnp.asarray([10.0 * i + j]) for i in range(2) for j in range(3)}
    )
    first, second = order
    stacked = variables.stack(first).stack(second)
    for back in (stacked.unstack().unstack(), stacked.unstack(second).unstack(first)):
        assert list(back) == list(variables)
        assert all(bool(back[name] == value) for name, value in variables.items())


@pytest.mark.parametrize(
    ("variables", "pattern"),
    [
        (variables_of("layer_0/w", "layer_2/w"), "layer_{}"),
        (variables_of("layer_1/w"), "layer_{}"),
        (js.Variables({"layer_0/w": jnp.ones(2), "layer_1/w": jnp.ones(3)}), "layer_{}"),
        (js.Variables({"layer_0/w": jnp.ones(2), "layer_1/w": jnp.ones(2, "int32")}), "layer_{}"),
        (
            js.Variables({"layer_0/w": jnp.ones(2), "layer_1/w": jnp.ones(2)}, non_trainable=["layer_1/w"]),
            "layer_{}",
        ),
        (variables_of("layer_0/w"), "layer"),
        (variables_of("layer_0/w"), "{}_{}"),
    ],
    ids=["gap", "not from 0", "shapes", "dtypes", "trainable", "no number", "two numbers"],
)
def test_errors(variables: js.Variables, pattern: str):
    """What cannot be stacked is an error that says why."""
    with pytest.raises(js.errors.MergeError):
        variables.stack(pattern)


def test_in_transforms():
    """Both work on traced values, and pass gradients on."""
    variables = js.Variables({f"layer_{i}/w": jnp.full(2, float(i)) for i in range(3)})

    def loss(variables: js.Variables) -> Any:
        stacked = variables.stack("layer_{}")
        return (stacked["layer_{}/w"] ** 2).sum() + stacked.unstack()["layer_2/w"].sum()

    grads = jax.jit(jax.grad(loss))(variables)
    assert [float(value[0]) for value in grads.values()] == [0.0, 2.0, 5.0]


# --- work in depth ----------------------------------------------------------------------------------


def calls(work: Callable[[], Any]) -> int:
    """Return the number of function calls that some work takes: no clock, so no noise."""
    count = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def model(lift: Callable[[Any], Any], layers: int) -> js.Transformed[..., Any]:
    block = lift(lambda x: x * js.get_variable("w", [3]))

    def net(x: Any) -> Any:
        for i in range(layers):
            with js.variable_scope(f"layer_{i}"):
                x = block(x)
        return x

    return js.transform(net)


@pytest.mark.parametrize(
    ("lift", "layers"),
    [(lambda block: block, 1000), (js.jit, 1000), (jax.jit, 100)],
    ids=["plain", "js.jit", "jax.jit"],
)
def test_linear(lift: Any, layers: int):
    """Spec and trace of 2,000 variables take twice the work of 1,000."""
    x = jax.ShapeDtypeStruct((3,), "float32")

    def work(layers: int) -> tuple[int, int, int]:
        net = model(lift, layers)
        net.spec(x)  # what is learned once is learned
        values = {f"layer_{i}/w": jax.ShapeDtypeStruct((3,), "float32") for i in range(layers)}
        given = js.Variables(values)
        jaxpr = jax.make_jaxpr(net.apply)(given, x)
        return (
            calls(lambda: net.spec(x)),
            calls(lambda: jax.make_jaxpr(net.apply)(given, x)),
            count_equations(jaxpr.jaxpr),
        )

    work(10)
    small, large = work(layers), work(2 * layers)
    for one, two in zip(small, large, strict=True):
        assert two <= 2.1 * one


@pytest.mark.parametrize("given_stacked", [True, False])
def test_linear_scanned(given_stacked: bool):
    """So do those of scanned layers; with stacked variables the trace is of one size."""
    x = jax.ShapeDtypeStruct((3,), "float32")

    def work(layers: int) -> tuple[int, int]:
        net = js.transform(js.scan_layers(lambda x: x * js.get_variable("w", [3]), layers))
        net.spec(x)
        names = (
            {"layer_{}/w": (layers, 3)} if given_stacked else {f"layer_{i}/w": (3,) for i in range(layers)}
        )
        given = js.Variables({name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in names.items()})
        trace = lambda: jax.make_jaxpr(net.apply)(given, x)
        trace()
        return calls(lambda: net.spec(x)), calls(trace)

    work(10)
    (spec, trace), (spec_2, trace_2) = work(1000), work(2000)
    assert spec_2 <= 2.1 * spec
    # Only the words that make random keys of scope names are counted in depth; none are drawn here.
    assert trace_2 <= (1.9 if given_stacked else 2.1) * trace
