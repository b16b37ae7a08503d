"""Loading: strict unless told otherwise, one report or one error for all, and nothing read for nobody."""

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

import jaxscope as js
from jaxscope.errors import CheckpointError, DtypeMismatchError, VariablesMismatchError
from tests.checkpoint.nets import FORMATS, SPECS, VARIABLES, X, gpt, same

optax = pytest.importorskip("optax", reason="optimizer states are optax's")
pytest.importorskip("orbax.checkpoint", reason="folders are orbax's")
pytest.importorskip("google_crc32c", reason="TF1's checkpoints have its checksums")


def saved(folder: Path, name: str = "model.npz", /, **values: Any) -> Path:
    js.checkpoint.save(folder / name, values.pop("variables", values))
    return folder / name


def specs(**types: Any) -> js.VariableSpecs:
    return js.VariableSpecs(
        js.VariableSpec(
            name.replace("__", "/"), tuple(shape), np.dtype(dtype), initializer=js.initializers.ones
        )
        for name, (dtype, *shape) in types.items()
    )


# --- strict ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_one_error_lists_all_that_is_wrong(tmp_path: Path, name: str):
    path = saved(
        tmp_path,
        name,
        variables={
            "old/a": np.ones(3, "float32"),
            "shape": np.ones((2, 3), "float32"),
            "dtype": np.ones(3, "int32"),
            "large": np.int64(2**40),
            "extra": np.zeros(2, "float64"),
            "fine": np.ones(2, "float32"),
        },
    )
    asked = specs(
        a=("float32", 3), shape=("float32", 3, 2), dtype=("float32", 3), large=("int32",), fine=("float32", 2)
    )
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(path, asked, rename={r"older/(.*)": r"\1"})
    assert str(caught.value) == (
        "the file does not match the 5 specs\n"
        f"  file     {path}\n"
        "  rename   'older/(.*)' matches no whole name in the file\n"
        "  extra    extra float64[2]\n"
        "           old/a float32[3]\n"
        "  missing  a float32[3]\n"
        "  shape    shape float32[2,3], not float32[3,2]\n"
        "  dtype    dtype int32[3], not float32[3]\n"
        "  value    not all values of 'large', int64 in the file, fit int32: 1099511627776 to 1099511627776\n"
        '  fix      rename={r"old/(.*)": r"new/\\1"} if they are called otherwise\n'
        '           missing="init", key=... to draw what is not there\n'
        '           extra="ignore" to leave what is not asked for\n'
        "           cast=True to round to the types asked for"
    )


def test_the_report_is_one_table(tmp_path: Path):
    path = saved(
        tmp_path,
        variables={"lm/w": np.ones((2, 3)), "lm/b": np.ones(3, "float32"), "n": np.int64(4), "m": np.ones(1)},
    )
    asked = specs(gpt__w=("float32", 2, 3), gpt__b=("float32", 3), n=("int32",), head=("float32", 3))
    loaded = js.checkpoint.load(
        path, asked, rename={r"lm/(.*)": r"gpt/\1"}, missing="init", extra="ignore", key=jax.random.key(0)
    )
    assert str(loaded.report) == (
        f"{path}: 3 used, 2 renamed, 2 cast, 1 missing, 1 left\n"
        "used     gpt/w  float32[2,3]  float64[2,3] in the file, lm/w in the file\n"
        "used     gpt/b  float32[3]    lm/b in the file\n"
        "used     n      int32[]       int64[] in the file\n"
        "missing  head   float32[3]    drawn anew\n"
        "left     m      float64[1]"
    )
    report = loaded.report
    assert report.used == {"gpt/w": "lm/w", "gpt/b": "lm/b", "n": "n"}
    assert report.renamed == {"lm/w": "gpt/w", "lm/b": "gpt/b"}
    assert report.cast == {"gpt/w": ("float64[2,3]", "float32[2,3]"), "n": ("int64[]", "int32[]")}
    assert (report.missing, report.left) == (["head"], ["m"])
    assert loaded["n"].tolist() == 4
    assert loaded["gpt/w"].dtype == "float32"


def test_arguments(tmp_path: Path):
    path = saved(tmp_path, w=jnp.ones(2))
    for wrong in ({"missing": "draw"}, {"extra": True}):
        with pytest.raises(ValueError, match='must be "error" or'):
            js.checkpoint.load(path, **wrong)
    for wrong in ({"missing": "init"}, {"specs": {"w": 1}}, {"mesh": 1}, {"shardings": 1}):
        with pytest.raises(TypeError):
            js.checkpoint.load(path, **wrong)
    with pytest.raises(KeyError, match="no variable 'ww'; near names: w"):
        js.checkpoint.load(path)["ww"]
    with pytest.raises(TypeError, match="rename must give a name or None, not int, as for 'w'"):
        js.checkpoint.load(path, rename=lambda name: 1)
    assert repr(js.checkpoint.load(path)) == f"<Loaded {str(path)!r}: 1 variables>"


# --- names -----------------------------------------------------------------------------------------


def test_rename(tmp_path: Path):
    """The first pattern that matches a whole name counts; None leaves an array out; functions serve too."""
    path = saved(
        tmp_path, variables={"a/w": jnp.ones(1), "a/w2": jnp.ones(2), "b": jnp.ones(3), "c": jnp.ones(4)}
    )
    loaded = js.checkpoint.load(path, rename={"a/w": "w", r"a/(.*)": r"x/\1", "c": None, ".": "rest"})
    assert loaded.report.used == {"w": "a/w", "x/w2": "a/w2", "rest": "b"}
    assert loaded.report.left == ["c"]
    loaded = js.checkpoint.load(path, rename=lambda name: None if name == "c" else name.upper())
    assert sorted(loaded) == ["A/W", "A/W2", "B"]


def test_two_of_one_name(tmp_path: Path):
    path = saved(tmp_path, variables={"a/w": jnp.ones(1), "b/w": jnp.ones(2)})
    with pytest.raises(VariablesMismatchError, match="a/w and b/w would both be w"):
        js.checkpoint.load(path, rename={"./(.*)": r"\1"})


@pytest.mark.parametrize("name", FORMATS)
def test_stacks_of_layers(tmp_path: Path, name: str):
    """A file of layers serves specs that are stacked, and one of stacks those of layers, as with `bind`."""
    stacked = VARIABLES.rename({}).stack("layer_{}")
    js.checkpoint.save(tmp_path / name, stacked)
    loaded = js.checkpoint.load(tmp_path / name, SPECS)
    same(loaded.variables, stacked)
    np.testing.assert_array_equal(gpt.apply(loaded.variables, X), gpt.apply(VARIABLES, X))
    js.checkpoint.save(tmp_path / name, VARIABLES)
    same(js.checkpoint.load(tmp_path / name, SPECS.stack("layer_{}")).variables, VARIABLES)


def test_a_stack_and_a_layer_of_it(tmp_path: Path):
    path = saved(tmp_path, variables={**VARIABLES, **VARIABLES.stack("layer_{}")})
    with pytest.raises(VariablesMismatchError, match=r"gpt/layer_0/bias alone and in 'gpt/layer_\{\}/bias'"):
        js.checkpoint.load(path, SPECS)


def test_a_stack_that_is_too_short(tmp_path: Path):
    short = {
        name: value[:1] if "{}" in name else value for name, value in VARIABLES.stack("layer_{}").items()
    }
    path = saved(tmp_path, variables=short)
    with pytest.raises(
        VariablesMismatchError, match=r"gpt/layer_\{\}/bias float32\[1,8\], not float32\[2,8\]"
    ):
        js.checkpoint.load(path, SPECS)


# --- missing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_missing_is_drawn_as_init_draws_it(tmp_path: Path, name: str):
    there, missing = VARIABLES.partition("gpt/layer_0")
    js.checkpoint.save(tmp_path / name, there)
    loaded = js.checkpoint.load(tmp_path / name, SPECS, missing="init", key=jax.random.key(0))
    assert sorted(loaded.report.missing) == sorted(missing)
    same(loaded["gpt/scale"], VARIABLES["gpt/scale"])
    same(loaded.variables, VARIABLES)


def test_what_is_missing_and_cannot_be_drawn(tmp_path: Path):
    """It is found at once, not when it is read."""
    net = js.transform(lambda x: (js.get_variable("w", [2]), js.get_variable("mean", initializer=x.mean())))
    path = saved(tmp_path, w=jnp.ones(2))
    with pytest.raises(js.errors.InitializerError, match="computed from the function's inputs"):
        js.checkpoint.load(path, net.spec(X), missing="init", key=jax.random.key(0))


def test_a_file_of_which_nothing_is_asked_for(tmp_path: Path):
    """It is the wrong one, or `rename` was forgotten: nothing is drawn in its place."""
    path = saved(tmp_path, variables={"params/w": jnp.ones(2)})
    with pytest.raises(
        VariablesMismatchError, match="none of the 1 arrays in the file is asked for: see rename"
    ):
        js.checkpoint.load(path, SPECS, missing="init", extra="ignore", key=jax.random.key(0))


def test_optimizer_state(tmp_path: Path):
    """Its leaves follow the names of variables; what new variables need is taken from the state given."""
    path, tx = tmp_path / "model.npz", optax.adam(1e-3)
    old = VARIABLES.trainable.rename("gpt/", "lm/").select("lm/layer")
    state = jax.tree.map(lambda leaf: leaf + jnp.asarray(1, leaf.dtype), tx.init(old))
    js.checkpoint.save(path, old, opt_state=state)
    new = SPECS.select("gpt/(layer|scale)")
    rename = {r"lm/(.*)": r"gpt/\1"}
    loaded = js.checkpoint.load(
        path,
        new,
        rename=rename,
        missing="init",
        key=jax.random.key(0),
        opt_state=tx.init(VARIABLES.trainable),
    )
    adam = loaded.opt_state[0]
    assert adam.count == 1
    assert adam.mu["gpt/layer_0/bias"].tolist() == [1] * 8
    assert adam.mu["gpt/scale"].tolist() == [0] * 8
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(
            path,
            new,
            rename=rename,
            missing="init",
            key=jax.random.key(0),
            opt_state=optax.sgd(0.1, 0.9).init(VARIABLES),
        )
    assert "opt_state[0].mu['lm/layer_0/bias'] float32[8]" in str(caught.value.facts["extra"])
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(path, opt_state={"m": jnp.ones(3)}, extra="ignore")
    assert caught.value.facts["missing"] == "opt_state['m'] float32[3]"


# --- element types ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_old_files_of_64_bits(tmp_path: Path, name: str):
    """They become 32 where each value fits, and the report says so."""
    values = {
        "w": np.array([1.5, np.inf, np.nan]),
        "n": np.array([-(2**31), 2**31 - 1]),
        "c": np.array([1 + 2j]),
    }
    if name.endswith("safetensors"):
        values["c"] = values["c"].astype("complex64")
    path = saved(tmp_path, name, variables=values)
    loaded = js.checkpoint.load(path)
    assert {name: value.dtype.name for name, value in loaded.variables.items()} == {
        "w": "float32",
        "n": "int32",
        "c": "complex64",
    }
    np.testing.assert_array_equal(loaded["w"], np.float32([1.5, np.inf, np.nan]))
    assert loaded["n"].tolist() == [-(2**31), 2**31 - 1]
    assert "w" in loaded.report.cast
    with jax.enable_x64(True):
        assert js.checkpoint.load(path)["w"].dtype == "float64"


@pytest.mark.parametrize("name", FORMATS)
def test_what_does_not_fit(tmp_path: Path, name: str):
    """Of many values it is found when they are read; one error lists all."""
    many = np.zeros(5000, "int64")
    many[-1] = 2**31
    path = saved(tmp_path, name, variables={"a": many, "b": np.array([1e300]), "c": -many.astype("float64")})
    loaded = js.checkpoint.load(path)
    assert loaded["c"].shape == (5000,)
    with pytest.raises(DtypeMismatchError) as caught:
        loaded.variables  # noqa: B018 - the property reads
    assert caught.value.code == "needs_x64"
    assert caught.value.facts["values"].splitlines() == [
        "not all values of 'a', int64 in the file, fit int32: 0 to 2147483648",
        "not all values of 'b', float64 in the file, fit float32: 1e+300 to 1e+300",
    ]
    with pytest.raises(DtypeMismatchError, match="not all values of 'b'"):
        loaded["b"]


def test_casting_on_request(tmp_path: Path):
    path = saved(
        tmp_path, w=jnp.float32([1, 2]), half=jnp.ones(2, "bfloat16"), n=jnp.int32(100), b=jnp.bool_(True)
    )
    asked = specs(w=("bfloat16", 2), half=("float32", 2), n=("int8",), b=("bool",))
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(path, asked)
    assert caught.value.facts["dtype"].splitlines() == [
        "w float32[2], not bfloat16[2]",
        "half bfloat16[2], not float32[2]",
        "n int32[], not int8[]",
    ]
    loaded = js.checkpoint.load(path, asked, cast=True)
    assert [loaded[name].dtype.name for name in asked] == ["bfloat16", "float32", "int8", "bool"]
    for wrong in (specs(n=("float32",)), specs(b=("int8",)), specs(w=("int32", 2))):
        with pytest.raises(VariablesMismatchError, match="dtype"):
            js.checkpoint.load(path, wrong, cast=True, extra="ignore")
    path = saved(tmp_path, n=jnp.int32(200), big=jnp.float32(1e30))
    with pytest.raises(VariablesMismatchError, match="not all values of 'n', int32 in the file, fit int8"):
        js.checkpoint.load(path, specs(n=("int8",)), cast=True, extra="ignore")
    with pytest.raises(DtypeMismatchError, match="float16"):
        js.checkpoint.load(path, specs(big=("float16",)), cast=True, extra="ignore")["big"]


# --- lazily ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_one_variable_alone(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    """Nothing else is read: a file of which all else is spoiled gives it."""
    path = saved(tmp_path, name, variables={f"w{at}": np.full(1000, at, "float32") for at in range(5)})
    asked: list[str] = []
    loaded = js.checkpoint.load(path)
    fetch = loaded._stored.fetch
    monkeypatch.setattr(
        loaded._stored, "fetch", lambda wanted: [asked.extend(o.name for o in wanted), fetch(wanted)][1]
    )
    kept = loaded["w3"]
    assert kept[0] == 3
    assert loaded["w3"] is kept
    assert asked == ["w3"]
    assert len(loaded.variables) == 5
    assert asked == ["w3", "w0", "w1", "w2", "w4"]


def test_nothing_is_kept(tmp_path: Path):
    """What nobody has any longer, or has given away, is read again: a training's first values do not stay."""
    path = saved(tmp_path, w=jnp.arange(1000.0))
    loaded = js.checkpoint.load(path)
    value = loaded["w"]
    taken = jax.jit(lambda x: x + 1, donate_argnums=0)(value)
    assert taken[0] == 1
    assert loaded["w"][-1] == 999
    state = js.Variables({"w": jnp.ones(3)})
    js.checkpoint.save(path, state, opt_state=state)
    loaded = js.checkpoint.load(path, opt_state=state)
    values = (loaded["w"], *loaded.variables.values(), loaded.opt_state["w"])
    gone = [weakref.ref(value) for value in values]
    del values
    gc.collect()
    assert [value() for value in gone] == [None] * 3


def test_a_file_that_is_cut_while_it_is_open(tmp_path: Path):
    """An error where it is still possible: the system kills who reads beyond the end of a mapped file."""
    path = saved(tmp_path, "m.safetensors", w=np.ones(100_000, "float32"))
    for mapped in (True, False):
        js.checkpoint.save(path, {"w": np.ones(100_000, "float32")})
        loaded = js.checkpoint.load(path, mapped=mapped)
        os.truncate(path, 1000)
        with pytest.raises(CheckpointError, match="it has become shorter since it was opened"):
            loaded["w"]


def test_apply_reads_what_it_needs(tmp_path: Path):
    """A loaded file stands where a mapping of variables may."""
    js.checkpoint.save(tmp_path / "m.npz", VARIABLES)
    loaded = js.checkpoint.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(gpt.apply(loaded, X), gpt.apply(VARIABLES, X))
    same(SPECS.bind(loaded), VARIABLES)


def test_a_loaded_file_is_a_tree(tmp_path: Path):
    """Transforms take it as they take its variables, and what they make are `Variables`."""
    js.checkpoint.save(tmp_path / "m.npz", VARIABLES)
    loaded = js.checkpoint.load(tmp_path / "m.npz", SPECS)
    np.testing.assert_array_equal(jax.jit(gpt.apply)(loaded, X), jax.jit(gpt.apply)(VARIABLES, X))
    same(jax.tree.map(lambda value: value, loaded), VARIABLES)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(loaded)]
    assert paths == [path for path, _ in jax.tree_util.tree_leaves_with_path(VARIABLES)]


def test_read_in_a_trace(tmp_path: Path):
    """Values are values there, too, and none of the trace stays behind."""
    js.checkpoint.save(tmp_path / "m.npz", VARIABLES, key=jax.random.key(1), opt_state=[jnp.ones(2)])
    loaded = js.checkpoint.load(
        tmp_path / "m.npz", SPECS, missing="init", key=jax.random.key(0), opt_state=[jnp.ones(2)]
    )
    kept = []

    @jax.jit
    def step(x):
        kept.extend([loaded["gpt/scale"], loaded.key, *loaded.opt_state])
        return gpt.apply(loaded, x)

    with jax.checking_leaks():
        np.testing.assert_allclose(step(X), gpt.apply(VARIABLES, X), rtol=1e-5)
    assert not any(isinstance(value, jax.core.Tracer) for value in kept)
    same(loaded["gpt/scale"], VARIABLES["gpt/scale"])


def test_what_was_loaded_is_saved_again(tmp_path: Path):
    """Into its own file, from which its arrays come, and it is as trainable."""
    path = tmp_path / "m.safetensors"
    js.checkpoint.save(path, VARIABLES)
    js.checkpoint.save(path, js.checkpoint.load(path))
    same(js.checkpoint.load(path).variables, VARIABLES)


def test_specs_that_do_not_fit_the_mesh(tmp_path: Path):
    """All of them are in the specs' own error."""
    js.checkpoint.save(tmp_path / "m.npz", VARIABLES)
    with pytest.raises(js.errors.InvalidShapeError) as caught:
        js.checkpoint.load(tmp_path / "m.npz", SPECS, mesh=jax.make_mesh((1,), ("data",)))
    assert str(caught.value).count("/kernel") == 2


# --- places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_shardings(tmp_path: Path, name: str):
    """One for all, or by name; what cannot be split so, or is no variable, is in the one error."""
    device = SingleDeviceSharding(jax.devices()[0])
    js.checkpoint.save(tmp_path / name, VARIABLES)
    mesh = jax.make_mesh((1,), ("model",))
    whole = NamedSharding(mesh, P())
    assert js.checkpoint.load(tmp_path / name, shardings=whole)["gpt/scale"].sharding == whole
    loaded = js.checkpoint.load(tmp_path / name, SPECS, shardings={"gpt/scale": whole})
    assert loaded["gpt/scale"].sharding == whole
    assert loaded["gpt/seen"].sharding == device
    split = NamedSharding(mesh, P("model"))
    with pytest.raises(VariablesMismatchError) as caught:
        js.checkpoint.load(tmp_path / name, shardings={"gpt/seen": split, "typo": whole})
    lines = caught.value.facts["shardings"].splitlines()
    assert lines[0] == "typo is no variable"
    assert lines[1].startswith("gpt/seen of shape () cannot be split by NamedSharding(")


def test_damaged_facts(tmp_path: Path):
    """A later version of what a file holds is not guessed at."""
    theirs = pytest.importorskip("safetensors.numpy", reason="writes a file of another kind")
    path = tmp_path / "m.safetensors"
    theirs.save_file({"w": np.ones(2)}, path, metadata={"jaxscope": "2"})
    with pytest.raises(CheckpointError, match="saved by a later jaxscope"):
        js.checkpoint.load(path)
