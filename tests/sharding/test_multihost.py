"""`examples/multihost.py`: killed with -9 on one mesh, it goes on on another as if nothing had been."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import XLA_FLAGS

for needed in ("matplotlib", "optax", "orbax.checkpoint", "rich"):
    pytest.importorskip(needed, reason="the example needs it")

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "multihost.py"
SMALL = ("--steps", "24", "--every", "4", "--width", "24", "--context", "8", "--batch", "12")


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Return the environment of all runs."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "XLA_FLAGS": XLA_FLAGS}  # each process compiles for itself


def started(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLE), *SMALL, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lives(folder: Path) -> list[tuple[int, int, dict[int, float]]]:
    """Return of each start the number of processes, its first step, and the losses by step."""
    found = []
    for part in (folder / "losses.txt").read_text().split("# ")[1:]:
        title, *lines = part.splitlines()
        match = re.fullmatch(r"data=\d+,model=\d+ in (\d) processes, from step (\d+)", title)
        assert match
        losses = {int(step): float(loss) for step, loss in map(str.split, lines)}
        assert list(losses) == list(range(int(match[2]), int(match[2]) + len(losses)))
        found.append((int(match[1]), int(match[2]), losses))
    return found


@pytest.mark.slow
def test_killed_and_gone_on(tmp_path: Path, environment: dict[str, str]):
    """While it starts, in a save, and at any moment; each time it goes on in another number of processes."""
    meshes = ("data=2,model=2", "data=3,model=2", "data=2,model=1", "data=2,model=4")
    run = started(tmp_path, environment, "--kill", "start,save,any", "--mesh", *meshes)
    out, errors = run.communicate(timeout=400)
    assert run.returncode == 0, errors
    told = re.search(r"(\d+) times killed, (\d+) in the middle of a save", out)
    assert told
    assert int(told[1]) == 3
    assert int(told[2]) >= 1
    assert (tmp_path / "multihost.png").read_bytes().endswith(b"IEND\xaeB`\x82")

    # What was complete when it was killed is what the next one goes on from.
    moments = re.findall(r"^killed; .*; saved \[(.*)\], begun \[(.*)\]$", out, re.MULTILINE)
    newest = [int(saved.split(", ")[-1]) if saved else -1 for saved, _ in moments]
    assert newest[0] == -1  # before the first checkpoint
    assert moments[1][1]  # in the middle of a save
    *killed, last = lives(tmp_path / "multihost")
    assert last[:2] == (4, newest[-1] + 1)
    begun = dict(zip((2, 3, 1), (0, newest[0] + 1, newest[1] + 1), strict=True))  # if it got so far
    for count, first, losses in killed:
        assert first == begun[count]
        assert not losses or max(losses) < 23
    assert list(last[2])[-1] == 23

    ((_, _, through),) = lives(tmp_path / "multihost" / "undisturbed")
    assert list(through) == list(range(24))
    assert through[23] < through[0] - 0.5
    seen = {step for _, _, losses in (*killed, last) for step in losses}
    assert seen == set(through)
    for _, _, losses in (*killed, last):
        for step, loss in losses.items():
            assert loss == pytest.approx(through[step], rel=1e-5)


@pytest.mark.slow
def test_stopped_and_gone_on(tmp_path: Path, environment: dict[str, str]):
    """Ctrl-C has all processes save the same step; in one process --resume goes on after it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = started(tmp_path, environment, "--steps", "2000", "--every", "1000", "--mesh", "data=2,model=2")
    signal.signal(signal.SIGINT, before)
    try:
        assert run.stdout
        for line in run.stdout:
            if "step" in line:
                break
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=100)
    finally:
        run.kill()
    assert run.returncode == 130, errors
    ((_, _, losses),) = lives(tmp_path / "multihost")
    done = max(losses) + 1
    assert f"interrupted after {done} steps; --resume goes on" in errors
    goes_on = ("--steps", str(done + 2), "--resume", "--mesh", "data=2,model=1", "--folder", "multihost")
    run = started(tmp_path, environment, *goes_on)
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    assert [each[:2] for each in lives(tmp_path / "multihost")] == [(2, 0), (1, done)]
    assert list(lives(tmp_path / "multihost")[1][2]) == [done, done + 1]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--every", "0"), "must be at least 1"),
        (("--width", "20"), "must be a multiple of 8"),
        (("--batch", "7"), "must be a multiple of data=2"),
        (("--mesh", "data=2,rows=2"), "--mesh"),
        (("--mesh", "data=3"), "must be a multiple of 2"),
        (("--kill", "never"), "--kill"),
        (("--coordinator", "localhost:1"), "there must be --process"),
        (("--out", "no/such/folder.png"), "must be a file"),
    ],
)
def test_wrong_options_are_told_at_once(
    wrong: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Before any process is started."""
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    import multihost

    monkeypatch.setattr(sys, "argv", ["multihost.py", *wrong])
    with pytest.raises(SystemExit) as caught:
        multihost.main()
    assert caught.value.code == 2
    assert told in capsys.readouterr().err
