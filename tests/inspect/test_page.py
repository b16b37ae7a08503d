"""page: what is in the file that it makes, how large and how safe that is, and the command that makes it."""

import base64
import hashlib
import html
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jaxscope as js
from jaxscope.command.main import main
from jaxscope.inspect import histograms
from jaxscope.inspect.page import html as html_module
from jaxscope.inspect.page.columns import coded, front_coded, rounded

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "a/\u2028b",
    "__proto__/constructor",
    "${alert(1)}`'\"\\",
    "&lt;b&gt;",
    "\u202egnp.exe",
    "a\nb\x00c",
    "\ud800",
    "//",
    " ",
    "{{script}}",
]


def contents(page: js.inspect.Page) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.html)
    return json.loads(text)


def names(found: dict[str, Any]) -> list[str]:
    before: list[str] = []
    made = []
    for same, rest in zip(found["names"]["same"], found["names"]["rest"], strict=True):
        before = [*before[:same], *rest.split("/")]
        made.append("/".join(before))
    return made


def column(of: dict[str, Any], count: int) -> list[Any]:
    return [of["of"][at] for at in ([0] * count if of["at"] == 0 else of["at"])]


# --- columns and histograms ------------------------------------------------------------------------


@given(st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=4).map("/".join)))
def test_names_go_and_come(there: list[str]):
    """Whatever names are, they are the same when they are read; and short where they begin alike."""
    assert names({"names": front_coded(there)}) == there
    assert column(coded(there), len(there)) == there


@given(st.lists(st.floats() | st.none()))
def test_numbers_to_four_digits(values: list[float | None]):
    """JSON takes all of them; each is as near as four digits are, or None where there is no such number."""
    found = json.loads(json.dumps(rounded(values), allow_nan=False))
    for value, kept in zip(values, found, strict=True):
        if value is None or not np.isfinite(value):
            assert kept is None
        else:
            assert kept == pytest.approx(value, rel=6e-4, abs=0 if abs(value) > 1e-300 else 1e-303)


def count_of(level: str) -> float:
    step = histograms.LEVELS.index(level)
    return 2 ** ((step - 1) / 2) if step else 0


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.float16, np.int32, np.uint8, np.bool_, np.complex64]),
        arrays.array_shapes(max_dims=2, max_side=9, min_side=0),
    )
)
def test_histograms_count_what_is_finite(value: np.ndarray):
    """Bars count what NumPy counts, within the square root of two; alone, or among others."""
    ((_, found, bars),) = histograms.of_all([("w", value)])
    wide = np.abs(value) if value.dtype.kind == "c" else value
    finite = wide.astype(np.float64)
    finite = finite[np.isfinite(finite)]
    both = {name: text for name, _, text in histograms.of_all([("v", np.ones(3, np.float32)), ("w", value)])}
    assert both["w"] == bars
    if not finite.size:
        assert bars == ""
        return
    total = sum(map(count_of, bars))
    assert len(bars) == histograms.BINS
    assert finite.size / 1.2 <= total <= finite.size * 1.2
    if found.min == found.max:
        assert set(bars[1:]) == {"0"}
    else:
        assert bars[0] != "0"
        assert bars[-1] != "0"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_large_histograms(dtype: str):
    """A large array is counted in pieces, whatever its layout, as NumPy counts it."""
    value = np.asarray(np.random.default_rng(0).normal(0, 30, (700, 400)).astype(jnp.dtype(dtype)))
    counts, _ = np.histogram(value.astype(np.float64), histograms.BINS)
    for one in (value, value.T, jnp.asarray(value)):
        ((_, _, bars),) = histograms.of_all([("w", one)])
        for level, count in zip(bars, counts, strict=True):
            assert count / 1.3 <= count_of(level) <= count * 1.3


# --- contents --------------------------------------------------------------------------------------


@js.transform
def net(x):
    with js.variable_scope("embed") as embed:
        w = js.get_variable("w", [3, 2])
    calls = js.get_variable("calls", [], jnp.int32, js.initializers.zeros, trainable=False)
    with js.variable_scope(embed, reuse=True):
        return x @ w @ js.get_variable("w", [3, 2]).T + calls.astype(jnp.float32)


X = jnp.ones([1, 3])


def test_contents():
    """Names, types, statistics as of `summary`; of specs initializers and lines; of sharing who asks."""
    variables = net.init(jax.random.key(0), X)
    page = js.inspect.page(variables, specs=net.spec(X), sharing=js.inspect.sharing(net, X), title="A net")
    found = contents(page)
    (side,), at = found["sides"], {name: place for place, name in enumerate(names(found))}
    assert (found["title"], set(at)) == ("A net", {"embed/w", "calls"})

    def of(named: dict[str, Any]) -> tuple[Any, Any]:
        values = column(named, 2)
        return values[at["embed/w"]], values[at["calls"]]

    assert of(side["type"]) == (["float32", [3, 2], 6, 24], ["int32", [], 1, 4])
    assert of(side["trainable"]) == (True, False)
    assert of(side["sharding"])[0].startswith("one device: ")
    row = js.inspect.summary(variables.select("embed"), None).rows[0]
    for key in ("norm", "min", "max", "mean"):
        assert side["statistics"][key][at["embed/w"]] == pytest.approx(getattr(row, key), rel=1e-3)
    assert of(side["statistics"]["nan"]) == (0, 0)
    site = of(found["site"])[0]
    assert (site[0], site[2]) == (__file__, "net")
    assert "zeros" in of(found["initializer"])[1]
    places = found["sharing"]["places"]
    asked = [(places[one][3], *rest) for one, *rest in found["sharing"]["asked"][at["embed/w"]]]
    assert asked == [("embed", 1, 1), ("embed", 1, 0)]


def test_without_values(tmp_path: Path):
    """Specs have none; of files they are not read where they are not asked for; what is no array is told."""
    found = contents(js.inspect.page(net.spec(X)))
    assert found["sides"][0]["statistics"] is None
    assert "site" in found
    path = tmp_path / "m.npz"
    js.checkpoint.save(path, net.init(jax.random.key(0), X))
    found = contents(js.inspect.page(path, values=False))
    assert (found["sides"][0]["statistics"], found["title"]) == (None, "m.npz")
    found = contents(js.inspect.page({"a": jnp.ones(2), "rate": "cosine"}))
    assert column(found["sides"][0]["note"], 2) == ["", "= 'cosine'"]
    assert found["sides"][0]["statistics"]["bars"][1] == ""
    assert names(contents(js.inspect.page({}))) == []


def test_compared():
    """Two sets: what only one has, what differs in what, what is perhaps renamed, as `diff` says it."""
    a = {"lm/w": jnp.ones(3), "lm/b": jnp.zeros(3), "step": jnp.int32(1), "old": jnp.ones(4)}
    b = {"gpt/w": jnp.ones(3), "gpt/b": jnp.zeros(3), "step": jnp.int32(3), "extra": jnp.full(2, jnp.inf)}
    found = contents(js.inspect.page(a, b, labels=["before", "after"]))
    there = names(found)
    assert there == ["gpt/w", "gpt/b", "step", "extra", "lm/w", "lm/b", "old"]
    difference = found["difference"]
    kinds = dict(zip(there, column(difference["kinds"], 7), strict=True))
    assert (kinds["step"], kinds["old"], kinds["extra"]) == (["values"], ["only in a"], ["only in b"])
    pairs = [(there[old], there[new]) for rename in difference["renames"] for old, new in rename["pairs"]]
    assert set(pairs) == {("lm/w", "gpt/w"), ("lm/b", "gpt/b")}
    assert (found["title"], found["labels"]) == ("before and after", ["before", "after"])
    assert [column(side["there"], 7)[4] for side in found["sides"]] == [True, False]

    found = contents(js.inspect.page(a, b, rename={r"lm/(.*)": r"gpt/\1", "old": None}, values=False))
    assert names(found) == ["gpt/w", "gpt/b", "step", "extra"]
    assert column(found["difference"]["old"], 4) == ["lm/w", "lm/b", "", ""]
    assert column(found["difference"]["kinds"], 4)[:3] == [[], [], []]
    assert not any(column(found["difference"]["compared"], 4))
    found = contents(
        js.inspect.page(net.spec(X), {"w": jnp.ones([3, 2])}, rename={"embed/(.*)": r"\1", "calls": None})
    )
    assert column(found["difference"]["compared"], 1) == [False]
    assert column(found["site"], 1)[0][2] == "net"
    infinite = contents(js.inspect.page({"w": jnp.ones(1)}, {"w": jnp.full(1, jnp.inf)}))
    assert column(infinite["difference"]["absolute"], 1) == ["infinite"]


def test_mistakes():
    """What belongs to two sets, to another net, or to none, is refused."""
    variables = net.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="about two sets"):
        js.inspect.page(variables, rtol=0.1)
    with pytest.raises(ValueError, match="one for each thing"):
        js.inspect.page(variables, labels=["a", "b"])
    with pytest.raises(js.errors.VariablesMismatchError, match="specs knows none"):
        js.inspect.page({"other": jnp.ones(1)}, specs=net.spec(X))
    with pytest.raises(js.errors.VariablesMismatchError, match="sharing knows none"):
        js.inspect.page({"other": jnp.ones(1)}, sharing=js.inspect.sharing(net, X))
    with pytest.raises(js.errors.VariablesMismatchError, match="no value yet"):
        jax.jit(lambda w: js.inspect.page({"w": w}) and 0)(jnp.ones(1))


# --- the file --------------------------------------------------------------------------------------


def test_hostile_names():
    """Whatever names are, no tag begins in the data, which is the same when it is read."""
    page = js.inspect.page({name: jnp.ones(1) for name in HOSTILE}, title=HOSTILE[0] + "\ud800")
    found = contents(page)
    assert (names(found), found["title"]) == (HOSTILE, HOSTILE[0] + "\ud800")
    plain = js.inspect.page({"a": jnp.ones(1)}, title="a").html
    for tag in ("<script", "</script", "<!--", "<img", "\u2028", "\u202e"):
        assert page.html.count(tag) == plain.count(tag)
    page.html.encode()  # half a character, of names, is none


def test_policy():
    """Scripts and styles are named by their digests, and nothing else may be loaded, run or sent."""
    page = js.inspect.page({"a": jnp.ones(1)}).html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    digest = lambda text: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [
        digest(one) for one in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ]
    assert rules["style-src"].split() == [
        digest(one) for one in re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    ]
    assert not re.search(
        r"\son\w+=|javascript:|\bstyle=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    )
    ours = html_module._static()["script"]
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
        "http:",
        "https:",
    ):
        assert way not in ours.replace("http://www.w3.org/2000/svg", "")
    assert "Permission to use, copy, modify" in page


def test_no_part_is_long():
    """What the page is made of is read by people."""
    folder = Path(html_module.__file__).parent
    for path in (*folder.glob("*.js"), folder / "page.css", folder / "page.html"):
        if path.name != html_module._LIBRARY:
            assert len(path.read_text().splitlines()) <= 500, path


def test_ten_thousand():
    """The page of ten thousand small variables, statistics and all, is small, and made in a moment."""
    values = np.random.default_rng(0).standard_normal((10_000, 16)).astype("float32")
    variables = js.Variables(
        {f"gpt/h{at // 100}/mlp_{at % 4}/kernel_{at % 100}": value for at, value in enumerate(values)}
    )
    times = []
    for _ in range(3):
        start = time.process_time()
        page = js.inspect.page(variables)
        times.append(time.process_time() - start)
    assert min(times) < 0.5  # 0.15 s on a quiet machine
    assert len(page.html.encode()) < 1_000_000


def test_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What cannot be finished leaves the file that was there, and nothing else."""
    page = js.inspect.page({"a": jnp.ones(1)})
    path = tmp_path / "page.html"
    page.save(path)
    assert path.read_text() == page.html

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            page.save(path)
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["page.html"])
    for wrong in (tmp_path, tmp_path / "no" / "page.html"):
        with pytest.raises(OSError, match="folder"):
            page.save(wrong)


def test_notebook():
    """A notebook gets a frame that may run scripts, and reach nothing of the notebook."""
    page = js.inspect.page({"a</iframe>": jnp.ones(1)}, title='"><b>')
    (frame,) = re.findall(r"<iframe ([^>]*)></iframe>", page._repr_html_())
    assert html.unescape(re.findall(r'srcdoc="([^"]*)"', frame)[0]) == page.html
    assert re.findall(r'sandbox="([^"]*)"', frame) == ["allow-scripts allow-modals"]
    assert repr(page).startswith("<Page '\"><b>': 1 variable, ")


# --- the command -----------------------------------------------------------------------------------

NET = """
import jaxscope as js

@js.transform
def net(x):
    return js.layers.dense(x, 4, name="head")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a_net.py").write_text(NET)
    js.checkpoint.save(tmp_path / "m.npz", {"head/kernel": jnp.ones([3, 4]), "head/bias": jnp.zeros(4)})
    js.checkpoint.save(
        tmp_path / "n.safetensors", {"head/kernel": jnp.ones([3, 4]), "head/bias": jnp.ones(4)}
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def made(capsys: Any, *arguments: str) -> dict[str, Any]:
    """Return the contents of the page that the command makes."""
    assert main(["view", *arguments]) == 0
    out, err = capsys.readouterr()
    match = re.fullmatch(r"wrote (.*): [0-9.]+ KiB\n", out)
    assert match, out
    assert err == ""
    return contents(js.inspect.Page("", Path(match[1]).read_text(), 0)) | {"at": match[1]}


@pytest.mark.usefixtures("folder")
def test_view(capsys):
    """A file, with its values or without; a net, with who asks; two of them, compared; named after them."""
    found = made(capsys, "m.npz")
    assert (found["at"], found["sides"][0]["statistics"]) == ("m.html", None)
    found = made(capsys, "m.npz", "--values", "--title", "Mine", "-o", "x.html")
    assert (found["at"], found["title"], found["sides"][0]["statistics"]["norm"][1]) == (
        "x.html",
        "Mine",
        3.464,
    )
    found = made(capsys, "a_net.py:net", "--input", "f32[2,3]")
    assert (found["at"], len(found["sharing"]["places"])) == ("net.html", 1)
    found = made(capsys, "m.npz", "n.safetensors", "--values")
    assert (found["at"], found["title"]) == ("m-n.html", "m.npz and n.safetensors")
    kinds = dict(zip(names(found), column(found["difference"]["kinds"], 2), strict=True))
    assert kinds == {"head/kernel": [], "head/bias": ["values"]}
    found = made(capsys, "m.npz", "a_net.py:net", "--input", "f32[2,3]")
    assert found["labels"] == ["m.npz", "a_net.py:net"]


def test_view_writes_over_pages_alone(capsys, folder: Path):
    """What is no page of ours is left, unless it is said; a page is made anew."""
    (folder / "notes.html").write_text("<p>mine")
    assert main(["view", "m.npz", "-o", "notes.html"]) == 2
    assert "--force writes over it" in capsys.readouterr().err
    made(capsys, "m.npz", "-o", "notes.html", "--force")
    made(capsys, "m.npz", "-o", "notes.html")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.npz"], "nothing.npz"),
        (["a_net.py:net", "--input", "f32[2,3]", "--values"], "a net has no values"),
        (["m.npz", "--rtol", "0.1"], "are about two things"),
        (["m.npz", "n.safetensors", "--rename", "xy"], "a rename is written A=B"),
        (["m.npz", "-o", "no/page.html"], "there is no folder"),
        (["m.npz", "-o", "."], "is there already"),
    ],
)
def test_view_mistakes(capsys, folder: Path, arguments: list[str], words: str):
    """Status 2, one message, and no file."""
    before = set(os.listdir(folder))
    assert main(["view", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert set(os.listdir(folder)) - before <= {"__pycache__"}


def test_view_interrupted(capsys, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while values are read leaves nothing."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(js.checkpoint.CheckpointReader, "__getitem__", interrupted)
    before = set(os.listdir(folder))
    assert main(["view", "m.npz", "--values"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert set(os.listdir(folder)) == before


def test_completion(capsys):
    """Shells complete the command."""
    assert main(["completion", "bash"]) == 0
    assert re.search(r"view\) words=\".*--values", capsys.readouterr().out)
