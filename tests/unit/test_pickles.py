"""Pickles and exported programs: what is saved names `jaxscope` alone, and comes back as it was."""

import copy
import pickle
import pickletools
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import PartitionSpec

import jaxscope as js
from jaxscope._core.base.public import publish
from jaxscope._core.variables.specs import FROM_INPUTS

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)  # JAX's trees need 2


def half(value: jax.Array) -> jax.Array:
    return value / 2


@js.transform
def net(x: jax.Array) -> None:
    js.get_variable("mean", initializer=x.mean())
    js.get_variable("n", [], "int32", trainable=False, collections=["mine"])
    js.get_variable("constant", initializer=[1.0, 2.0])
    for number in range(2):
        js.get_variable(
            f"layer_{number}/w",
            [2, 3],
            initializer=[js.initializers.ones, js.initializers.he_normal()][number],
            regularizer=js.regularizers.l2(0.1),
            constraint=half,
            partitioner=PartitionSpec("x"),
        )


SPECS = net.spec(jnp.ones(3))
STACKED = SPECS.stack("layer_{}")
VARIABLES = net.init(jax.random.key(0), jnp.ones(3))


def error() -> Exception:
    try:
        SPECS.bind({})
    except js.errors.JaxscopeError as caught:
        return caught
    raise AssertionError


SAVED = {
    "variables": VARIABLES,
    "tree": jax.tree.structure(VARIABLES),
    "tree inside": jax.tree.structure([VARIABLES, {"a": VARIABLES.trainable}]),
    "specs": SPECS,
    "stacked": STACKED,
    "spec": SPECS["mean"],
    "error": error(),
    "class": js.Variables,
    "function": js.get_variable,
    "method": VARIABLES.select,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("saved", SAVED.values(), ids=SAVED)
def test_a_pickle_names_nothing_that_may_move(saved: Any, protocol: int):
    """Files outlive the folders of a package: no module below `_core` is named, whatever the protocol."""
    data = pickle.dumps(saved, protocol)
    named = [str(argument) for _, argument, _ in pickletools.genops(data) if argument is not None]
    assert [name for name in named if name.startswith("jaxscope._")] == []
    assert b"jaxscope._core" not in data


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_variables_come_back(protocol: int):
    made = pickle.loads(pickle.dumps(VARIABLES, protocol))
    assert jax.tree.structure(made) == jax.tree.structure(VARIABLES)
    jax.tree.map(np.testing.assert_array_equal, made, VARIABLES)
    tree = pickle.loads(pickle.dumps(jax.tree.structure(VARIABLES), protocol))
    assert tree == jax.tree.structure(VARIABLES)


COPIES = [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy]


@pytest.mark.parametrize("duplicate", COPIES, ids=["pickle", "copy", "deepcopy"])
def test_specs_come_back(duplicate: Any):
    """In their order, with the places where they were made, and what they start from."""
    made = duplicate(SPECS)
    assert list(made) == list(SPECS)
    assert made == SPECS
    assert made["mean"].initializer is FROM_INPUTS
    for name, spec in made.items():
        assert str(spec.site) == str(SPECS[name].site)
        assert spec.partition_spec() == SPECS[name].partition_spec()
        assert spec.regularizer == SPECS[name].regularizer
        assert spec.constraint is SPECS[name].constraint
    key, layers = jax.random.key(0), "layer_"
    for one, other in ((made, SPECS), (duplicate(STACKED), STACKED)):
        values = one.select(layers).init(key)
        jax.tree.map(np.testing.assert_array_equal, values, other.select(layers).init(key))
    value = VARIABLES.stack("layer_{}")["layer_{}/w"]
    stacked, old = duplicate(STACKED)["layer_{}/w"], STACKED["layer_{}/w"]
    assert stacked.regularizer(value) == old.regularizer(value)
    np.testing.assert_array_equal(stacked.constraint(value), value / 2)


def test_a_pickle_is_read_by_another_process(tmp_path: Any):
    """Which has not made these variables before."""
    file = tmp_path / "variables.pickle"
    file.write_bytes(pickle.dumps((VARIABLES, jax.tree.structure(VARIABLES))))
    program = (
        "import pickle, jax, pathlib\n"
        f"made, tree = pickle.loads(pathlib.Path({str(file)!r}).read_bytes())\n"
        "assert jax.tree.structure(made) == tree\n"
        "print(list(made), list(made.non_trainable))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == f"{list(VARIABLES)} {list(VARIABLES.non_trainable)}", run.stderr


# --- exported programs -------------------------------------------------------------------------


def test_an_exported_program_takes_and_gives_variables():
    """After it was saved and loaded, with gradients."""
    pytest.importorskip("flatbuffers")

    @jax.jit
    def step(variables: js.Variables, x: jax.Array) -> tuple[jax.Array, js.Variables]:
        return sum(value.sum() for value in variables.trainable.values()) * x, variables.non_trainable

    program = export.export(step)(VARIABLES, jnp.float32(2))
    loaded = export.deserialize(program.serialize(vjp_order=1))
    result, state = loaded.call(VARIABLES, jnp.float32(2))
    assert result == step(VARIABLES, jnp.float32(2))[0]
    assert jax.tree.structure(state) == jax.tree.structure(VARIABLES.non_trainable)
    params, rest = VARIABLES.trainable, VARIABLES.non_trainable
    gradients = jax.grad(lambda params: loaded.call(params | rest, jnp.float32(2))[0])(params)
    assert jax.tree.structure(gradients) == jax.tree.structure(params)
    assert gradients["constant"].tolist() == [2, 2]


@pytest.mark.parametrize("names", [[], ["a"], ["a/\ud800", "é", "layer_10", "layer_2"]], ids=str)
def test_an_exported_program_keeps_names_and_trainability(names: list[str]):
    pytest.importorskip("flatbuffers")
    variables = js.Variables(dict.fromkeys(names, jnp.ones(2)), non_trainable=names[:1])
    program = export.export(jax.jit(lambda variables: variables))(variables)
    result = export.deserialize(program.serialize()).call(variables)
    assert jax.tree.structure(result) == jax.tree.structure(variables)


def test_other_libraries_take_the_dict():
    """`flax.serialization` knows dicts; the names are its keys."""
    serialization = pytest.importorskip("flax.serialization")
    data = serialization.to_bytes(VARIABLES.as_dict())
    loaded = serialization.from_bytes(VARIABLES.as_dict(), data)
    back = VARIABLES.replace(jax.tree.map(jnp.asarray, loaded))
    jax.tree.map(np.testing.assert_array_equal, back, VARIABLES)


# --- homes -------------------------------------------------------------------------------------


def test_what_is_public_says_where():
    """Every class and function that a public module exports names a public module as its home."""
    modules = [js, js.initializers, js.regularizers, js.errors, js.testing]
    homes = {
        f"{module.__name__}.{name}": value.__module__
        for module in modules
        for name in module.__all__
        if hasattr(value := getattr(module, name), "__qualname__")
    }
    assert {name: home for name, home in homes.items() if "_core" in home} == {}


def test_publish_moves_what_it_is_told_and_nothing_else():
    def made(name: str, module: str) -> Any:
        return type(name, (), {"__module__": module, "method": lambda self: None})

    own, foreign = made("own", "jaxscope._core.a"), made("foreign", "other._core")
    hidden, renamed = made("hidden", "jaxscope._core.a"), made("renamed", "jaxscope._core.a")
    own.method.__module__ = "jaxscope._core.a"
    own.kind = hidden
    namespace = {"own": own, "foreign": foreign, "alias": renamed, "hidden": hidden, "constant": 3}
    publish("jaxscope", ["own", "foreign", "alias", "constant"], namespace)
    assert (own.__module__, own.method.__module__) == ("jaxscope", "jaxscope")
    assert foreign.__module__ == "other._core"
    assert hidden.__module__ == renamed.__module__ == "jaxscope._core.a"
