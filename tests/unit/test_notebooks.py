"""What notebooks show: short whatever the number of variables, and nothing of a name is taken for HTML."""

import jax
import jax.numpy as jnp
import pytest

import jaxscope as js


def many(count: int) -> js.Variables:
    return js.Variables({f"layer_{at}/w": jnp.float32(at) for at in range(count)})


@pytest.mark.parametrize(("count", "rows"), [(0, 1), (1, 2), (30, 31), (31, 32), (5000, 32)])
def test_short(count: int, rows: int):
    """A row for each of thirty variables; of more, the first and last, and how many are left out."""
    page = many(count)._repr_html_() if count else js.Variables({})._repr_html_()
    assert page.count("<tr>") == rows
    assert ("more</td>" in page) == (count > 30)
    if count > 30:
        assert f"{count - 30:,} more" in page
        assert f"layer_{count - 1}/w" in page
    assert f"{count:,} variable" in page


def test_specs_and_gradients():
    """Specs, values and gradients show alike; masks show their values; what is not trainable says so."""
    net = js.transform(lambda x: x * js.get_variable("w", [2, 3]) + js.get_variable("n", [], trainable=False))
    specs = net.spec(1.0)
    variables = net.init(jax.random.key(0), 1.0)
    gradients = jax.grad(lambda v: net.apply(v, 1.0).sum())(variables)
    for shown in (specs, variables, gradients):
        page = shown._repr_html_()
        assert "float32[2,3]" in page
        assert "28 B" in page
        assert page.count("not trainable") == 1
    assert "True" in jax.tree.map(lambda _: True, variables)._repr_html_()


def test_escaped():
    """Names and values are text."""
    page = js.Variables({"w": "<script>"})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_nets():
    """A net shows how it is called, and where it is written."""

    @js.transform
    def net(x, training=False):
        return x

    assert net._repr_html_().startswith("<code>")
    assert "net(x, training=False)" in net._repr_html_()
    assert "test_notebooks.py:" in net._repr_html_()
    assert "Callable" in js.transform(Callable())._repr_html_()


class Callable:
    def __call__(self, x):
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # treescope asks JAX 0.8 for what it is to lose
def test_treescope():
    """Where treescope is installed, it shows a mapping, short for thousands."""
    treescope = pytest.importorskip("treescope", reason="another package's protocol")
    text = treescope.render_to_text(many(5000))
    assert "'layer_0/w': " in text
    assert "'layer_4999/w': " in text
    assert "4,970 more variables" in text
    assert "layer_2000/w" not in text
    assert "VariableSpec" in treescope.render_to_text(js.transform(lambda: js.get_variable("w", [2])).spec())
