"""sharing: each line that asks for a variable, in which scope, and how often."""

import json

import jax
import jax.numpy as jnp

import jaxscope as js


def test_shared():
    """A table that is used at both ends is asked for at two lines; each tells its scope."""

    @js.transform
    def net(ids):
        with js.variable_scope("embed") as embed:
            x = js.get_variable("table", [5, 2])[ids]
        x = js.layers.dense(x, 2)
        with js.variable_scope(embed, reuse=True):
            return x @ js.get_variable("table", [5, 2]).T

    found = js.inspect.sharing(net, jax.ShapeDtypeStruct((3,), jnp.int32))
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["embed/table", "dense/kernel", "dense/bias"]
    first, again = rows["embed/table"].requests
    assert (first.scope, first.makes, again.makes) == ("embed", True, False)
    assert again.line - first.line == 3
    assert first.file == __file__
    assert [row.name for row in found.shared] == ["embed/table"]
    assert rows["dense/kernel"].times == 1
    text = str(found)
    assert "3 variables, 1 shared" in text
    assert text.count("test_sharing.py:") == 4
    assert json.loads(found.to_json())["rows"][0]["requests"][0]["scope"] == "embed"


def test_loops_and_blocks():
    """One line that asks many times is one row; layers of blocks, and inner traces, are told as if alone."""

    @js.transform
    def net(x):
        with js.variable_scope("shared", reuse=js.AUTO_REUSE):
            for _ in range(3):
                x = x * js.get_variable("w", [2])
        x = js.scan_layers(lambda x: x * js.get_variable("scale", [2]), 2)(x)
        return jax.jit(lambda x: x * js.get_variable("inner", [2], trainable=False))(x)

    rows = {row.name: row for row in js.inspect.sharing(net, jnp.ones(2)).rows}
    assert (rows["shared/w"].times, len(rows["shared/w"].requests)) == (3, 1)
    assert [rows[f"layer_{at}/scale"].requests[0].scope for at in (0, 1)] == ["layer_0", "layer_1"]
    assert rows["inner"].times == 1
    assert not rows["inner"].trainable


def test_scopes_elsewhere():
    """A variable that is asked for in another scope than its own, as a getter may, says in which."""

    def tying(getter, name, *args, **kwargs):
        return getter("table/w" if name.startswith("head") else name, *args, **kwargs)

    @js.transform
    def net(x):
        with js.variable_scope("", custom_getter=tying, reuse=js.AUTO_REUSE):
            with js.variable_scope("table"):
                x = x * js.get_variable("w", [2])
            with js.variable_scope("head"):
                return x * js.get_variable("w", [2])

    found = js.inspect.sharing(net, jnp.ones(2))
    assert [request.scope for request in found.rows[0].requests] == ["table", "head"]
    assert str(found).count("in scope 'head'") == 1


def test_getters():
    """What a getter asks for is told of, too: at the line of the request that it answers."""
    net = js.transform(lambda x: x * js.get_variable("w", [2]))

    @js.transform
    def adapted(x):
        with js.variable_scope("", custom_getter=js.getters.weight_norm()):
            return js.layers.dense(net(x), 3)

    rows = {row.name: row for row in js.inspect.sharing(adapted, jnp.ones((1, 2))).rows}
    assert set(rows) == set(adapted.spec(jnp.ones((1, 2))))
    assert all(row.requests for row in rows.values())
