"""The table of reference/layers.md says what the code does: names, variables, shapes, defaults."""

import ast
import inspect
import math
import re
from pathlib import Path

import jax.numpy as jnp
import pytest

import jaxscope as js
from jaxscope import layers

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "layers.md"
SIZES = {"in": 6, "units": 4, "filters": 5, "size": 3, "multiplier": 2, "vocab": 7, "proj": 2}


def rows():
    """Return the rows of the table, as lists of cells."""
    text = PAGE.read_text().partition("<!-- layers -->")[2].partition("<!-- end -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


ROWS = {re.findall(r"`(\w+)`", row[0])[0]: row for row in rows()}


def of_rank(rank):
    return jnp.ones([2, *[5] * (rank - 2), SIZES["in"]])


def call(name):
    """Call a layer on an input of its kind, as the table shows it."""
    function, units = getattr(layers, name), SIZES["units"]
    zeros = jnp.zeros([2, units])
    if name.endswith("rnn") and name != "basic_rnn":
        cells = [layers.GRUCell(units), layers.GRUCell(units)]
        match name:
            case "multi_rnn":
                return function(of_rank(2), (zeros, zeros), cells)
            case "static_rnn":
                return function(cells[0], [of_rank(2)] * 2, dtype="float32")
            case "bidirectional_rnn":
                return function(*cells, of_rank(3), dtype="float32")
        return function(cells[0], of_rank(3), dtype="float32")
    match name:
        case "basic_rnn" | "gru":
            return function(of_rank(2), zeros, units)
        case "basic_lstm":
            return function(of_rank(2), (zeros, zeros), units)
        case "lstm":
            state = zeros, jnp.zeros([2, SIZES["proj"]])
            return function(of_rank(2), state, units, use_peepholes=True, num_proj=SIZES["proj"])
        case "embedding":
            return function(jnp.array([1]), SIZES["vocab"], units)
        case "group_norm":
            return function(of_rank(4), 2)
        case "multi_head_attention":
            return function(of_rank(3), 2)
        case "dense":
            return function(of_rank(2), units)
    rank = int(re.search(r"[123](?=d)", name)[0]) if re.search(r"[123]d", name) else 2
    x = of_rank(rank + 2)
    if "pooling" in name:
        return function(x, 2, 2)
    if name == "depthwise_conv2d":
        return function(x, SIZES["size"], depth_multiplier=SIZES["multiplier"])
    if "separable" in name:
        return function(x, SIZES["filters"], SIZES["size"], depth_multiplier=SIZES["multiplier"])
    return function(x, SIZES["filters"], SIZES["size"]) if "conv" in name else function(x)


def test_every_layer_has_a_row():
    """The rows are the public functions, each with its object where there is one."""
    functions = {n for n in layers.__all__ if inspect.isfunction(getattr(layers, n)) and n[0].islower()}
    assert ROWS.keys() == functions
    others = {n for row in ROWS.values() for n in re.findall(r"`(\w+)`", row[0])[1:]}
    rest = {"Cell", "DropoutWrapper", "LSTMStateTuple", "Layer", "ResidualWrapper", "contrib"}
    assert others == {*layers.__all__} - functions - rest


@pytest.mark.filterwarnings("ignore:layer_norm of an input of rank:UserWarning")  # called bare
@pytest.mark.parametrize("name", ROWS)
def test_variables(name):
    """A layer makes the variables that its row shows, in that order, of these shapes."""
    shown = re.findall(r"`([\w/]+)` `\[(.*?)\]`", ROWS[name][4])
    # The first is shown with its scope, the others by what follows it.
    scope = shown[0][0].partition("/")[0] + "/" if shown else ""
    expected = [
        (scope + own.removeprefix(scope), tuple(map(number, shape.split(", ")))) for own, shape in shown
    ]
    found = [(full, spec.shape) for full, spec in js.transform(call).spec(name).items()]
    assert (found[: len(expected)] if ROWS[name][4].endswith("...") else found) == expected


def number(size):
    """Return what a size such as `in + 2 * units` stands for."""
    words = re.sub("[a-z]+", lambda word: str(SIZES[word[0]]), size)
    return sum(math.prod(map(int, term.split("*"))) for term in words.split("+"))


@pytest.mark.parametrize("name", ROWS)
def test_defaults(name):
    """A layer's arguments have the defaults that its row shows."""
    parameters = inspect.signature(getattr(layers, name)).parameters
    shown = re.findall(r"`(\w+)=(.*?)`", ROWS[name][5])
    assert shown
    for argument, value in shown:
        assert parameters[argument].default == ast.literal_eval(value)


@pytest.mark.parametrize("name", ROWS)
def test_sources(name):
    """The docstring names the function of TF1 that the row shows."""
    source = ROWS[name][1].strip("`")
    text = inspect.getdoc(getattr(layers, name)).partition("Source:")[2].partition("Example:")[0]
    assert (source if source != "none" else "TF1 has none") in text


@pytest.mark.parametrize(("column", "place"), [(2, "haiku"), (3, "flax.linen")])
def test_other_libraries(column, place):
    """What the other libraries are said to call it is there."""
    library = pytest.importorskip(place, reason="their names are checked where they are installed")
    names = {
        cell.strip("`").partition(".")[2] for cell in (row[column] for row in ROWS.values()) if cell != "none"
    }
    assert not {n for n in names if not hasattr(library, n)}
