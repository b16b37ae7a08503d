"""The examples do what they say, and break nothing when they are stopped."""

import contextlib
import functools
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import XLA_FLAGS

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "examples" / "digits.py"
for needed in ("matplotlib", "optax", "rich", "sklearn"):
    pytest.importorskip(needed)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-u", str(DIGITS), *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, cwd: Path) -> str:
    process = start(*arguments, cwd=cwd)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def is_png(path: Path) -> bool:
    picture = path.read_bytes()
    return picture.startswith(b"\x89PNG\r\n\x1a\n") and picture.endswith(b"IEND\xaeB`\x82")


def test_digits_runs_to_the_end(tmp_path: Path):
    """It shows each shared weight once, trains, and leaves one whole picture."""
    output = run("--epochs", "2", "--out", "picture.png", cwd=tmp_path)
    assert output.count("conv_1/") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    assert is_png(tmp_path / "picture.png")


@pytest.mark.slow
def test_digits_reads_well(tmp_path: Path):
    """As the README promises: at least 97% of the held-out fifth."""
    match = re.search(r"(\d+) of 360 test digits read right", run(cwd=tmp_path))
    assert match
    assert int(match[1]) / 360 >= 0.97


def test_digits_stops_cleanly(tmp_path: Path):
    """Ctrl-C during training leaves no file, says so, and exits as an interrupted program does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # children inherit that it is ignored
    process = start("--epochs", "100000", cwd=tmp_path)
    signal.signal(signal.SIGINT, before)
    try:
        assert process.stdout
        for line in process.stdout:
            if "classifier" in line:  # the table: training is next
                break
        # Python drops an interrupt that comes while a weak reference's callback runs; a user presses again.
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=10)
                break
    finally:
        process.kill()  # else it trains on behind a test that failed
    assert process.returncode == 130
    assert errors == "interrupted; no picture was written\n"
    assert not list(tmp_path.iterdir())


@functools.cache
def loaded(name: str) -> ModuleType:
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), ROOT / "examples" / name)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def digits() -> ModuleType:
    return loaded("digits.py")


def test_digits_keeps_the_old_picture(tmp_path: Path, digits: ModuleType):
    """Ctrl-C while the picture is written leaves the one that was there before."""
    picture = tmp_path / "digits.png"
    picture.write_bytes(b"before")

    class Figure:
        def savefig(self, path: Path, **options: object):
            path.write_bytes(b"half a pic")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        digits.save(Figure(), picture)
    assert picture.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [picture]


# --- Programs with a checkpoint: dqn.py, cifar_towers.py. ---


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which each program is compiled in a hurry, and once for all runs."""
    folder = tmp_path_factory.mktemp("compiled")
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": XLA_FLAGS,
    }


def start_example(name: str, *arguments: str, cwd: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "examples" / name), *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_example(name: str, *arguments: str, cwd: Path, env: dict[str, str]) -> str:
    process = start_example(name, *arguments, cwd=cwd, env=env)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def interrupt_example(name: str, *arguments: str, after: str, cwd: Path, env: dict[str, str]) -> str:
    """Press Ctrl-C once a line of its output has some text; return what it says about that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start_example(name, *arguments, cwd=cwd, env=env)
    signal.signal(signal.SIGINT, before)
    try:
        assert process.stdout
        for line in process.stdout:
            if after in line:
                break
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=10)
                break
    finally:
        process.kill()
    assert process.returncode == 130
    return errors


def archive(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


SHORT_DQN = ("--rounds", "2", "--carts", "4", "--out", "picture.png", "--checkpoint", "state.npz")


def test_dqn_runs_to_the_end(tmp_path: Path, cache: dict[str, str]):
    """It leaves a picture and a checkpoint, of two networks by the same names below their scopes."""
    output = run_example("dqn.py", *SHORT_DQN, cwd=tmp_path, env=cache)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picture.png", "state.npz"]
    assert is_png(tmp_path / "picture.png")
    assert "256 new games" in output
    saved = archive(tmp_path / "state.npz")
    online = [name for name in saved if name.startswith("online/")]
    assert len(online) == 7
    for name in online:  # the target follows, and is not there yet
        target = saved[name.replace("online/", "target/")]
        assert target.shape == saved[name].shape
        assert not np.array_equal(target, saved[name])


def test_dqn_on_two_devices(tmp_path: Path, cache: dict[str, str]):
    """With the carts on two devices, everybody learns the same."""
    flag = {"XLA_FLAGS": f"{XLA_FLAGS} --xla_force_host_platform_device_count=2"}
    for name, env in {"one": cache, "two": cache | flag}.items():
        folder = tmp_path / name
        folder.mkdir()
        run_example("dqn.py", "--rounds", "1", *SHORT_DQN[2:], cwd=folder, env=env)
    one, two = (archive(tmp_path / name / "state.npz") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        if name.startswith(("online/", "target/", "curve/")):
            np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_dqn_goes_on_where_it_was_stopped(tmp_path: Path, cache: dict[str, str]):
    """Ctrl-C leaves a checkpoint; from there it makes the steps that it would have made, to the bit."""
    for name in ("through", "stopped"):
        (tmp_path / name).mkdir()
    run_example("dqn.py", *SHORT_DQN, cwd=tmp_path / "through", env=cache)
    here = tmp_path / "stopped"
    errors = interrupt_example("dqn.py", *SHORT_DQN, after="14 variables", cwd=here, env=cache)
    assert "--resume goes on" in errors
    assert [path.name for path in here.iterdir()] == ["state.npz"]
    run_example("dqn.py", *SHORT_DQN, "--resume", cwd=here, env=cache)
    one, two = (archive(tmp_path / name / "state.npz") for name in ("through", "stopped"))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the form of CIFAR-10's binary version: 40 images of noise to learn from, 10 to test with."""
    folder = tmp_path_factory.mktemp("cifar")
    random = np.random.default_rng(0)
    for name, count in {"data_batch_1": 24, "data_batch_2": 16, "test_batch": 10}.items():
        records = random.integers(0, 256, [count, 3073], dtype=np.uint8)
        records[:, 0] = np.arange(count) % 10
        records.tofile(folder / f"{name}.bin")
    return folder


def short_cifar(cifar: Path, way: str, steps: int) -> list[str]:
    options = ["--data", str(cifar), "--batch", "8", "--every", "2", "--out", "picture.png"]
    return [*options, "--checkpoint", "state.npz", "--way", way, "--steps", str(steps)]


def test_cifar_towers_are_the_mesh(tmp_path: Path, cifar: Path, cache: dict[str, str]):
    """Both ways say that they are one, and learn the same: losses, weights, averages."""
    found = {}
    for way in ("towers", "mesh"):
        here = tmp_path / way
        here.mkdir()
        output = run_example("cifar_towers.py", *short_cifar(cifar, way, 3), cwd=here, env=cache)
        match = re.search(
            r"21 variables both ways; loss ([\d.]+) in 2 towers and ([\d.]+) on the mesh;", output
        )
        assert match
        assert abs(float(match[1]) / float(match[2]) - 1) < 1e-5
        assert is_png(here / "picture.png")
        found[way] = archive(here / "state.npz")
    assert found["towers"].keys() == found["mesh"].keys()
    assert len(found["mesh"]["curve/loss"]) == 3
    assert len(found["mesh"]["curve/averaged"]) == 2
    for name, value in found["towers"].items():
        if value.dtype == np.float32:
            np.testing.assert_allclose(found["mesh"][name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_cifar_towers_goes_on_where_it_was_stopped(tmp_path: Path, cifar: Path, cache: dict[str, str]):
    """Stopped and resumed, it ends where it would have; the names are those of the tutorial in TF1."""
    for name in ("through", "stopped"):
        (tmp_path / name).mkdir()
    options = short_cifar(cifar, "towers", 4)
    run_example("cifar_towers.py", *options, cwd=tmp_path / "through", env=cache)
    here = tmp_path / "stopped"
    after = "variables both ways"
    errors = interrupt_example("cifar_towers.py", *options, after=after, cwd=here, env=cache)
    assert "--resume goes on" in errors
    run_example("cifar_towers.py", *options, "--resume", cwd=here, env=cache)
    one, two = (archive(tmp_path / name / "state.npz") for name in ("through", "stopped"))
    for name in one:
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)
    layers = ["conv1", "conv2", "local3", "local4", "softmax_linear"]
    trained = [f"{layer}/{name}" for layer in layers for name in ("weights", "biases")]
    shadows = [f"{name}/ExponentialMovingAverage" for name in trained]
    assert {name for name in one if ":" not in name and "__" not in name and "curve/" not in name} == {
        *trained,
        *shadows,
        "global_step",
    }
    assert one["global_step"] == 4


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("digits.py", ("--epochs", "0")),
        ("digits.py", ("--out", "no/such/folder.png")),
        ("digits.py", ("--seed", "-1")),
        ("dqn.py", ("--rounds", "0")),
        ("dqn.py", ("--checkpoint", "state.zip")),
        ("dqn.py", ("--resume",)),
        ("dqn.py", ("--seed", "-1")),
        ("cifar_towers.py", ("--batch", "7")),
        ("cifar_towers.py", ("--data", ".")),
        ("cifar_towers.py", ("--out", "no/such/folder.png")),
        ("cifar_towers.py", ("--resume",)),
    ],
)
def test_examples_say_at_once_what_cannot_be(
    tmp_path: Path,
    name: str,
    wrong: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """A wrong option is reported before a minute is spent on training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *wrong])
    with pytest.raises(SystemExit) as caught:
        loaded(name).main()
    assert caught.value.code == 2
    assert "must" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["digits.py", "dqn.py", "cifar_towers.py"])
def test_examples_explain_themselves(tmp_path: Path, name: str):
    """`--help` lists the options, and takes no time (it did: 2 ** 32 choices were written out)."""
    process = start_example(name, "--help", cwd=tmp_path, env={})
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "--seed" in output


def test_dqn_learns(tmp_path: Path):
    """As its page of text promises: nearly all of 500 steps."""
    output = run_example("dqn.py", cwd=tmp_path, env={})
    match = re.search(r"games without chance: (\d+) of 500 steps", output)
    assert match
    assert int(match[1]) >= 475
