"""Tables and reprs: what is shown of a set of variables, and that it takes no time."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js


@js.transform
def mlp(x: jax.Array) -> None:
    js.get_variable("calls", [], "int32", trainable=False)
    for name, units in (("hidden", 4), ("out", 2)):
        with js.variable_scope(name):
            js.get_variable("kernel", [3, units])
            js.get_variable("bias", [units])


@pytest.fixture
def specs() -> js.VariableSpecs:
    return mlp.spec(jnp.ones(3))


def test_a_table_of_specs(specs: js.VariableSpecs):
    """In order of making, by scope, with totals."""
    assert specs.tabulate() == str(specs)
    assert str(specs).splitlines() == [
        "name         shape   dtype    count   size",
        "------------------------------------------",
        "calls        scalar  int32        1    4 B  not trainable",
        "hidden/",
        "  kernel     3x4     float32     12   48 B",
        "  bias       4       float32      4   16 B",
        "out/",
        "  kernel     3x2     float32      6   24 B",
        "  bias       2       float32      2    8 B",
        "------------------------------------------",
        "5 variables                      25  100 B",
    ]


def test_a_scope_that_is_entered_again_is_written_again():
    """Each variable stands below its own scope."""
    made = [js.VariableSpec(name, (), np.dtype("float32")) for name in ("a/b/w", "a/v", "c", "a/b/u")]
    names = [line.split("  scalar")[0] for line in str(js.VariableSpecs(made)).splitlines()[2:-2]]
    assert [name.rstrip() for name in names] == ["a/", "  b/", "    w", "  v", "c", "a/", "  b/", "    u"]


def test_a_table_of_what_transforms_put_in():
    """What is no array has no shape and no size, and is shown."""
    table = str(js.Variables({"w": jnp.ones(2), "mask": True, "label": "adam"}, non_trainable=["mask"]))
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
    assert rows["mask"] == ["bool", "=", "True,", "not", "trainable"]
    assert rows["label"] == ["str", "=", "'adam'"]
    assert rows["w"] == ["2", "float32", "2", "8", "B"]
    assert rows["3"] == ["variables", "2", "8", "B"]


def test_names_that_look_like_markup_stay_names():
    assert "[red]x" in str(js.Variables({"[red]x": jnp.zeros(2)}))


def test_symbolic_sizes_are_shown():
    """Those of `jax.export` are no numbers yet."""
    (rows,) = jax.export.symbolic_shape("rows")
    net = js.transform(lambda x: js.get_variable("w", [x.shape[0], 2], initializer=js.initializers.zeros))
    specs = net.spec(jax.ShapeDtypeStruct((rows,), jnp.float32))
    assert repr(specs).splitlines()[1] == "  w: float32[rows,2] (8*rows B)"
    assert "2*rows" in str(specs)


@pytest.mark.parametrize("show", [str, repr])
def test_many_variables_are_shown_at_once(show: Any):
    """10,000 of them: a table that took a second would be no help in a notebook."""
    names = [
        f"block_{block}/layer_{layer}/{name}" for block in range(100) for layer in range(50) for name in "wb"
    ]
    many = js.VariableSpecs(js.VariableSpec(name, (3, 4), np.dtype("float32")) for name in names)
    start = time.process_time()
    shown = show(many)
    assert time.process_time() - start < 1  # 0.07 seconds on a quiet machine
    assert "block_99/" in shown
