"""summary: by scope to a depth, of whatever has names; in little time."""

import json
import math
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js


@pytest.fixture
def variables() -> js.Variables:
    return js.Variables(
        {
            "gpt/h0/attn/w": jnp.array([[3.0, -4.0]]),
            "gpt/h0/mlp/w": jnp.array([jnp.nan, 1.0, jnp.inf]),
            "gpt/wte": jnp.ones((2, 2), "bfloat16"),
            "n": jnp.int32(7),
        },
        non_trainable=["n"],
    )


def test_rows(variables: js.Variables):
    """Each variable counts to one row; counts, bytes and statistics are those of its arrays."""
    found = js.inspect.summary(variables)
    rows = {row.name: row for row in found.rows}
    assert sorted(rows) == ["", "gpt", "gpt/h0"]
    assert (rows["gpt/h0"].variables, rows["gpt/h0"].elements, rows["gpt/h0"].bytes) == (2, 5, 20)
    assert (rows["gpt/h0"].nan, rows["gpt/h0"].inf) == (1, 1)
    assert (rows["gpt/h0"].min, rows["gpt/h0"].max, rows["gpt/h0"].mean) == (-4, 3, 0)
    assert rows["gpt/h0"].norm == pytest.approx(math.sqrt(26))
    assert rows["gpt"].dtypes == ("bfloat16",)
    assert rows[""].frozen == 1
    assert (found.total.variables, found.total.bytes) == (4, 32)


def test_depths(variables: js.Variables):
    """Of depth 0 there is one row; None has one for each variable, with its shape."""
    assert [row.name for row in js.inspect.summary(variables, 0).rows] == [""]
    assert max(row.name for row in js.inspect.summary(variables, 3).rows) == "gpt/h0/mlp"
    each = js.inspect.summary(variables, None)
    assert [row.name for row in each.rows] == list(variables)
    assert {row.name: row.shape for row in each.rows}["gpt/h0/attn/w"] == (1, 2)
    with pytest.raises(ValueError, match="depth"):
        js.inspect.summary(variables, -1)


def test_text(variables: js.Variables):
    """What is wrong is marked; what has no values has no columns for them."""
    table = js.inspect.summary(variables, None).table()
    names = list(variables)
    assert table.loud == {names.index("gpt/h0/mlp/w")}
    text = str(js.inspect.summary(variables, None))
    assert "not trainable" in text
    assert "norm" in text
    shapes = js.inspect.summary(jax.eval_shape(lambda: variables))
    assert "norm" not in str(shapes)
    assert shapes.total.norm is None
    assert "norm" not in str(js.inspect.summary(variables, values=False))
    assert "<table>" in shapes._repr_html_()


def test_specs_gradients_and_states():
    """Specs, gradients and optimizer states, each by its names."""
    net = js.transform(lambda x: js.layers.dense(x, 3))
    x = jnp.ones((1, 2))
    specs, variables = net.spec(x), net.init(jax.random.key(0), x)
    assert js.inspect.summary(specs).total.elements == specs.num_params
    gradients = jax.grad(lambda v: net.apply(v, x).sum())(variables)
    norm = math.hypot(*(float(jnp.linalg.norm(one)) for one in gradients.values()))
    assert js.inspect.summary(gradients).total.norm == pytest.approx(norm)
    state = js.inspect.summary(optax.adam(1e-3).init(variables), None)
    assert [row.name for row in state.rows] == [
        "0/count",
        "0/mu/dense/bias",
        "0/mu/dense/kernel",
        "0/nu/dense/bias",
        "0/nu/dense/kernel",
    ]


def test_json(variables: js.Variables):
    """JSON that any reader takes: what is not finite is null."""
    only = js.Variables({"w": jnp.array([jnp.nan])})
    found = json.loads(js.inspect.summary(only).to_json(), parse_constant=lambda word: pytest.fail(word))
    assert found["rows"][0]["mean"] is None
    assert found["rows"][0]["nan"] == 1
    assert json.loads(js.inspect.summary(variables).to_json())["total"]["elements"] == 10


def test_files(tmp_path: Path):
    """A path, a reader, what was loaded, an archive of NumPy's: all the same."""
    values = {"a/w": np.arange(6.0, dtype="float32").reshape(2, 3), "b": np.float32(2)}
    path = str(tmp_path / "model.npz")
    js.checkpoint.save(path, {name: jnp.asarray(value) for name, value in values.items()})
    rows = js.inspect.summary(values, None).rows
    for there in (path, js.checkpoint.load_checkpoint(path), js.checkpoint.load(path)):
        assert [row._replace(frozen=0) for row in js.inspect.summary(there, None).rows] == list(rows)
    np.savez(tmp_path / "plain.npz", **values)
    with np.load(tmp_path / "plain.npz") as archive:
        assert js.inspect.summary(archive, None).rows == rows


def test_errors(variables: js.Variables):
    """What has no names, and values that are traced."""
    with pytest.raises(js.errors.VariablesMismatchError, match="mapping of full names"):
        js.inspect.summary(object())
    with pytest.raises(js.errors.VariablesMismatchError, match="traced"):
        jax.jit(lambda v: js.inspect.summary(v).total.norm)(variables)
    with pytest.raises(js.errors.VariablesMismatchError, match="one name"):
        js.inspect.summary({"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)})


@settings(max_examples=40)
@given(
    st.dictionaries(st.from_regex(r"[a-c](/[a-c]){0,3}", fullmatch=True), st.integers(0, 5)),
    st.integers(0, 4),
)
def test_rows_add_up(sizes: dict[str, int], depth: int):
    """Whatever the depth, the rows together are the total, and each has the variables of its scope."""
    values = {f"{name}/w": np.full(size, 2.0) for name, size in sizes.items()}
    found = js.inspect.summary(values, depth)
    assert sum(row.elements for row in found.rows) == found.total.elements == sum(sizes.values())
    assert sum(row.variables for row in found.rows) == len(sizes)
    assert all(row.name.count("/") < max(1, depth) for row in found.rows)
    if sizes:
        assert math.hypot(*(row.norm or 0 for row in found.rows)) == pytest.approx(found.total.norm)


def test_ten_thousand():
    """Ten thousand variables take no time: a table by scope, one of each, and both in colours."""
    console = pytest.importorskip("rich.console", reason="an extra")
    names = [f"net/layer_{layer}/{name}" for layer in range(2500) for name in "abcd"]
    variables = js.Variables({name: jnp.ones((2, 2)) for name in names})
    taken = []
    for _ in range(3):
        start = time.process_time()
        text = str(js.inspect.summary(variables))
        console.Console(quiet=True).print(js.inspect.summary(variables, None))
        taken.append(time.process_time() - start)
    assert text.count("\n") == 2500 + 3
    assert min(taken) < 2  # twice 0.25 s on an idle machine; this one may be slow
