"""The command line: what it prints, how it ends, and that nothing is left half done."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxscope as js
from jaxscope.command.main import main

NET = """
import jax
import jaxscope as js

@js.transform
def net(x, training=False):
    with js.variable_scope("gpt"):
        x = js.layers.dense(x, 4, activation=jax.nn.relu)
        return js.layers.dense(x, 2, name="head")
"""
X = jnp.ones((1, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a net and its variables in each format."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "a_net.py").write_text(NET)
    space: dict = {}
    exec(NET, space)
    variables = space["net"].init(jax.random.key(0), X)
    state = optax.adam(1e-3).init(variables)
    js.checkpoint.save(folder / "m.safetensors", variables, opt_state=state, step=7, key=jax.random.key(1))
    js.checkpoint.save(folder / "m.npz", variables)
    js.checkpoint.save(folder / "m.ckpt-7", variables | js.optim.tf1_slots(state, variables), step=7)
    js.checkpoint.save(folder / "orbax", variables)
    js.checkpoint.save(folder / "other.npz", variables.replace({"gpt/head/bias": jnp.array([jnp.nan, 1.0])}))
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return code, out, err


# --- inspect ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.safetensors", "m.npz", "m.ckpt-7", "orbax"])
def test_inspect(capsys, name: str):
    """Each format shows its scopes; what goes along is told in the first line."""
    code, out, err = run(capsys, "inspect", name)
    assert (code, err) == (0, "")
    first, *table = out.splitlines()
    assert first.startswith(f"{name}: ")
    assert ("step 7" in first) == (name in ("m.safetensors", "m.ckpt-7"))
    assert ("optimizer state of 9 arrays, a random key" in first) == (name == "m.safetensors")
    assert {"gpt/dense", "gpt/head"} <= {line.split()[0] for line in table}
    assert "norm" not in out


def test_inspect_values(capsys):
    """With --values there are statistics; --json gives all as JSON."""
    code, out, _ = run(capsys, "inspect", "other.npz", "--values", "--depth", "all", "--json")
    rows = {row["name"]: row for row in json.loads(out)["rows"]}
    assert (code, rows["gpt/head/bias"]["nan"], rows["gpt/head/bias"]["max"]) == (0, 1, 1.0)
    assert rows["gpt/dense/kernel"]["shape"] == [3, 4]
    assert "mean" in run(capsys, "inspect", "m.npz", "--values")[1]


@pytest.mark.parametrize("thing", ["a_net:net", "a_net.py:net"])
def test_inspect_a_net(capsys, thing: str):
    """A net by its module or file, with the types of its inputs; or who asks for what."""
    code, out, _ = run(capsys, "inspect", thing, "--input", "f32[8,3]", "--input", "training=true")
    assert code == 0
    assert "gpt/dense" in out
    assert "26" in out
    code, out, _ = run(capsys, "inspect", thing, "--input", "f32[8,3]", "--sharing")
    assert "a_net.py:8 in net" in out


def test_a_large_file(tmp_path: Path):
    """Ten gigabytes, whose values are nowhere, are inspected in no time and no memory."""
    count, size = 500, 20 * 2**20
    header = {
        f"net/layer_{at}/w": {
            "dtype": "F32",
            "shape": [5, 2**20],
            "data_offsets": [at * size, (at + 1) * size],
        }
        for at in range(count)
    }
    text = json.dumps(header).encode()
    path = tmp_path / "large.safetensors"
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + count * size)
    start = time.process_time()
    assert main(["inspect", str(path)]) == 0
    assert time.process_time() - start < 1  # 0.03 s; beside it, importing JAX takes half a second


# --- diff ------------------------------------------------------------------------------------------


def test_diff(capsys):
    """0 where nothing differs, 1 where something does; formats, and nets, are compared with each other."""
    assert run(capsys, "diff", "m.npz", "orbax")[:2] == (0, "4 variables equal\n")
    assert run(capsys, "diff", "m.npz", "a_net:net", "--input", "bf16[1,3]", "--no-values")[0] == 1
    assert run(capsys, "diff", "m.npz", "a_net:net", "--input", "f32[1,3]")[0] == 0
    code, out, _ = run(capsys, "diff", "m.npz", "other.npz")
    assert code == 1
    assert "gpt/head/bias  values" in out
    assert run(capsys, "diff", "m.npz", "other.npz", "--no-values")[0] == 0
    found = json.loads(run(capsys, "diff", "m.npz", "other.npz", "--json")[1])
    assert (found["same"], found["rows"][0]["elements"]) == (3, 2)


# --- convert ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["m.safetensors", "m.npz", "m.ckpt-7", "orbax"])
@pytest.mark.parametrize("target", ["t.safetensors", "t.npz", "t.ckpt", "t"])
def test_convert(capsys, tmp_path: Path, source: str, target: str):
    """From each format to each: the same variables, the step, and what is not converted is told."""
    code, out, err = run(capsys, "convert", source, tmp_path / target)
    assert code == 0
    assert out.startswith("wrote ")
    assert ("left: the optimizer state, 9 arrays" in err) == (source == "m.safetensors")
    made, old = js.checkpoint.load(tmp_path / target), js.checkpoint.load("m.npz")
    assert made.step == js.checkpoint.load(source).step
    assert set(old) <= set(made)
    for name in old:
        np.testing.assert_array_equal(made[name], old[name])
    if source == "m.safetensors":
        assert made.key == jax.random.key(1)


def test_convert_names_and_types(capsys, tmp_path: Path):
    """Names by pattern, parts by pattern, fractions in other types."""
    path = tmp_path / "t.npz"
    options = [
        *("--rename", r"gpt/(.*)=lm/\1", "--drop", ".*/bias"),
        *("--dtype", "gpt/head=f16", "--dtype", "bf16"),
    ]
    assert run(capsys, "convert", "m.npz", path, *options)[0] == 0
    made = js.checkpoint.load_checkpoint(path).get_variable_to_dtype_map()
    assert made == {"lm/dense/kernel": jnp.bfloat16, "lm/head/kernel": np.float16}
    assert run(capsys, "convert", "m.npz", path, "--select", "gpt/head", "--force")[0] == 0
    assert list(js.checkpoint.load(path)) == ["gpt/head/bias", "gpt/head/kernel"]


def test_wide_types_and_frozen(capsys, tmp_path: Path):
    """64 bits stay 64 bits; typed keys stay keys, and what is not trainable stays so."""
    source, target = tmp_path / "a.npz", tmp_path / "b.safetensors"
    values = {"d": np.array([1e300]), "i": np.array([2**40]), "k": jax.random.key(3), "n": np.float32(1)}
    js.checkpoint.save(source, js.Variables(values, non_trainable=["n"]))
    assert run(capsys, "convert", source, target)[0] == 0
    reader = js.checkpoint.load_checkpoint(target)
    assert (reader["d"][0], reader["i"][0], reader.non_trainable) == (1e300, 2**40, {"n"})
    assert js.checkpoint.load(target, rename={"d|i": None})["k"] == jax.random.key(3)


# --- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "nowhere.npz"], "nowhere.npz: No such file"),
        (["inspect", "nowhere"], "there is no file or folder"),
        (["inspect", "bad.safetensors"], "the file is damaged"),
        (["inspect", "bad.npz", "--values"], "the file is damaged"),
        (["inspect", "bad.ckpt"], "the file is damaged"),
        (["inspect", "a_net.py"], "no format of variables has the ending '.py'"),
        (["inspect", "m.npz", "--depth", "x"], "a depth is 0, 1, 2"),
        (["inspect", "m.npz", "--sharing"], "--sharing is for nets"),
        (["inspect", "a_net:net", "--input", "f32[8,3]", "--values"], "--values is for files"),
        (["inspect", "a_net:net"], "say what it takes by --input"),
        (["inspect", "a_net:net", "--input", "what[3"], "is no input"),
        (["inspect", "a_net:net", "--input", "x32[3]"], "is no element type"),
        (["inspect", "a_net:nat"], "it has net"),
        (["inspect", "no_module:net"], "is no file, and no module"),
        (["inspect", "broken.py:net"], "importing 'broken.py' raised ZeroDivisionError"),
        (["inspect", "nowhere.py:net"], "there is no file 'nowhere.py'"),
        (["inspect", "a_net:jax.__name__", "--input", "f32[8]"], "is no net or function"),
        (["diff", "m.npz", "m.npz", "--rename", "x=y"], "'x' matches no whole name"),
        (["diff", "m.npz", "m.npz", "--rename", "xy"], "a rename is written A=B"),
        (["diff", "m.npz", "m.npz", "--rename", "(=y"], "is no pattern"),
        (["convert", "m.npz", "other.npz"], "--force writes over it"),
        (["convert", "m.npz", "m.ckpt-7"], "--force writes over it"),
        (["convert", "m.npz", "t.xyz"], "no format of variables has the ending"),
        (["convert", "m.npz", "t.npz", "--select", "zzz"], "matches no name in the file"),
        (["convert", "m.npz", "t.npz", "--dtype", "i32"], "has fractions"),
        (["convert", "m.npz", "nowhere/t.npz"], "there is no folder"),
        (["convert", "large.npz", "t.npz", "--dtype", "f16"], "do not fit float16"),
        (["frobnicate"], "invalid choice"),
        (["diff", "m.npz"], "the following arguments are required: B"),
        ([], "usage: jaxscope"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_mistakes(capsys, folder: Path, arguments: list[str], words: str):
    """Status 2, one message that says what is wrong, no traceback, nothing written."""
    (folder / "bad.safetensors").write_text("xx")
    (folder / "broken.py").write_text("1 / 0")
    (folder / "bad.npz").write_bytes((folder / "m.npz").read_bytes()[:-30])
    (folder / "bad.ckpt.index").write_bytes((folder / "m.ckpt-7.index").read_bytes()[:-30])
    np.savez(folder / "large.npz", w=np.array([1e30], "float32"))
    before = set(os.listdir(folder))
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert {name for name in set(os.listdir(folder)) - before if name != "__pycache__"} == set()


def test_traceback(capsys):
    """Who wants it gets it."""
    with pytest.raises(js.errors.CheckpointError):
        main(["--traceback", "inspect", "a_net.py"])


# --- as a process ----------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "jaxscope", *arguments]


def environment(**more: str) -> dict[str, str]:
    root = str(Path(js.__file__).parent.parent)
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    return {**kept, "PYTHONPATH": root, "TERM": "xterm", **more}


def test_colours(folder: Path):
    """On a terminal there are colours, unless NO_COLOR is set; never in a pipe."""
    pytest.importorskip("rich", reason="an extra")
    seen = {}
    for name, more in (("colours", {}), ("none", {"NO_COLOR": "1"})):
        ours, theirs = pty.openpty()
        arguments = command("inspect", "m.npz")
        done = subprocess.run(arguments, cwd=folder, env=environment(**more), stdout=theirs, check=True)
        assert done.returncode == 0
        seen[name] = os.read(ours, 10_000).decode()
        os.close(ours)
        os.close(theirs)
    assert "\x1b[1m" in seen["colours"]
    assert "\x1b" not in seen["none"]
    piped = subprocess.run(
        command("inspect", "m.npz"), cwd=folder, env=environment(), capture_output=True, check=True
    )
    assert b"\x1b" not in piped.stdout


def test_interrupted(tmp_path: Path):
    """Ctrl-C in the middle of writing: the file that was there stays, and no part of another is left."""
    np.savez(tmp_path / "a.npz", **{str(at): np.zeros((1, 2**23), "float32") for at in range(12)})
    (tmp_path / "b.npz").write_bytes(b"as it was")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # children inherit that it is ignored
    process = subprocess.Popen(
        command("convert", "a.npz", "b.npz", "--force"),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".b.npz.*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert b"interrupted" in err
    assert (tmp_path / "b.npz").read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(capsys, shell: str):
    """Each shell's script names every command and option; bash takes its own, and completes by it."""
    code, out, _ = run(capsys, "completion", shell)
    assert code == 0
    for word in ("inspect", "convert", "rename", "no-values", "depth"):
        assert word in out
    if shell == "bash":
        script = f"{out}\nCOMP_WORDS=(jaxscope diff --no); COMP_CWORD=2; _jaxscope; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "--no-values\n"


def test_version(capsys):
    assert run(capsys, "--version")[:2] == (0, f"{js.__version__}\n")


PAGE = Path(__file__).parent.parent.parent / "docs/how_to/inspect.md"
OF_EXAMPLES = [
    line for line in PAGE.read_text().splitlines() if line.startswith("jaxscope inspect examples/")
]


@pytest.mark.parametrize("line", OF_EXAMPLES)
def test_the_page_names_what_is_there(line: str, monkeypatch: pytest.MonkeyPatch, capsys):
    """A line of the page that looks into one of the examples does."""
    monkeypatch.chdir(PAGE.parent.parent.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(shlex.split(line, comments=True)[1:]) == 0
    assert "encoder/features/kernel" in capsys.readouterr().out


def test_the_page_has_such_a_line():
    assert OF_EXAMPLES
