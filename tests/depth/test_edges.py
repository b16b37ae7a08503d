"""Blocks in the corners: what a block does, it does lifted, too, or a clear error says that it cannot."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import JaxscopeError, TraceError

KEY = jax.random.key(0)
ONE = jnp.float32(1)
AUTO = js.AUTO_REUSE
Body = Callable[..., Any]
Lift = Callable[[Body], Body]


def loop(block: Body, length: int = 2) -> Body:
    def run(x: Any, *rest: Any) -> Any:
        for i in range(length):
            with js.variable_scope(f"layer_{i}"):
                x = block(x, *rest)
        return x

    return run


def jitted(block: Body) -> Body:
    return loop(js.jit(block))


def scanned(block: Body) -> Body:
    return js.scan_layers(block, 2)


def nested(block: Body) -> Body:
    return js.scan_layers(js.jit(js.jit(block)), 2)


LIFTS = [jitted, scanned, nested]


def weight(x: Any) -> Any:
    return x * js.get_variable("w", [])


def outcome(net: Any, *args: Any) -> Any:
    """Return names and a result, or the class, the code and the variable's full name of an error."""
    net = js.transform(net)
    try:
        names = list(net.spec(*args))
        variables = net.init(KEY, *args)
        return names, [variables[name].tolist() for name in names], net.apply(variables, *args)
    except JaxscopeError as error:
        return type(error), error.code, error.summary, error.facts.get("scope")


def same(one: Any, other: Any) -> None:
    assert one[:2] == other[:2]
    if isinstance(one[0], list):
        np.testing.assert_allclose(one[2], other[2], rtol=1e-5)
    else:
        assert one == other


def own_stream(x: Any, key: Any) -> Any:
    with js.random_keys(key), js.variable_scope("noise"):
        return x + jax.random.normal(js.next_key()) + jax.random.normal(js.next_key())


def test_streams_opened_in_a_block():
    """A block may open a stream of its own: each layer has its own keys, those of the loop."""
    bare = outcome(loop(own_stream), ONE, KEY)
    for lift in LIFTS:
        same(outcome(lift(own_stream), ONE, KEY), bare)


def noisy(x: Any) -> Any:
    return x + jax.random.normal(js.next_key())


@pytest.mark.parametrize(
    ("lifted", "bare"),
    [
        (lambda: js.scan_layers(js.scan_layers(noisy, 2), 2), lambda: loop(loop(noisy))),
        (lambda: js.scan_layers(js.jit(noisy), 2), lambda: loop(noisy)),
        (lambda: loop(js.jit(js.jit(noisy))), lambda: loop(noisy)),
        (lambda: js.scan_layers(js.scan_layers(lambda x: own_stream(x, KEY), 2), 2),
         lambda: loop(loop(lambda x: own_stream(x, KEY)))),
    ],
)  # fmt: skip
def test_keys_of_nested_blocks(lifted: Callable[[], Body], bare: Callable[[], Body]):
    """A block in a block takes the keys that it takes alone."""

    def net(block: Body) -> Body:
        def run(x: Any, key: Any) -> Any:
            with js.random_keys(key):
                return block(x)

        return run

    same(outcome(net(lifted()), ONE, KEY), outcome(net(bare()), ONE, KEY))


def renaming(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter("shared/w", **kwargs)


def sharing(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **{**kwargs, "reuse": AUTO})


def test_getters_in_a_block():
    """They mean in a block what they mean around a loop, also where they pass on names of their own."""
    block = lambda x: x * js.get_variable("w", [], custom_getter=renaming)
    bare = lambda x: block(x)
    assert outcome(js.jit(block), ONE)[0] == outcome(bare, ONE)[0] == ["shared/w"]
    with pytest.raises(js.errors.VariableExistsError, match="shared/w"):
        js.transform(scanned(block)).spec(ONE)  # as the second layer of a loop

    def reusing(x: Any) -> Any:
        with js.variable_scope("", reuse=AUTO):
            return scanned(block)(x)

    assert outcome(reusing, ONE)[0] == ["shared/w"]
    twice = js.jit(lambda x: x * js.get_variable("w", [], custom_getter=sharing))
    assert outcome(lambda x: twice(twice(x)), ONE)[0] == ["w"]


def test_names_of_scopes_in_a_block():
    """What depends on a full name is not computed once for all layers."""

    def block(x: Any) -> Any:
        with js.variable_scope("s") as scope:
            return x * len(scope.name)

    same(outcome(jitted(block), ONE), outcome(loop(block), ONE))
    with pytest.raises(TraceError, match="the name of a scope"):
        js.transform(scanned(block)).spec(ONE)


def demanding(x: Any) -> Any:
    with js.variable_scope("q", reuse=True):
        return weight(x)


def lenient(x: Any) -> Any:
    with js.variable_scope("s", reuse=AUTO):
        return weight(x)


def numbered(x: Any) -> Any:
    with js.variable_scope(None, "d"):
        return weight(x)


@pytest.mark.parametrize("block", [demanding, lenient, numbered, lambda x: lenient(numbered(numbered(x)))])
@pytest.mark.parametrize("lift", LIFTS)
def test_reuse_and_default_names(lift: Lift, block: Body):
    """Reuse is that of the request, at any depth, and so are the numbers of default names."""
    same(outcome(lift(block), ONE), outcome(loop(block), ONE))


@pytest.mark.parametrize("block", [demanding, lenient, numbered])
def test_blocks_called_twice_in_one_scope(block: Body):
    """So it is without a scope of its own for each call."""
    inner = js.jit(block)
    outer = js.jit(lambda x: inner(x))
    bare = outcome(lambda x: block(block(x)), ONE)
    for one in (inner, outer):
        same(outcome(lambda x, one=one: one(one(x)), ONE), bare)


def test_lift_numbers_default_names():
    """What js.lift returns continues the numbers of the scope it is called in."""

    def lifted(x: Any) -> Any:
        function, values = js.lift(numbered, x)
        return function(values, x)

    same(outcome(lambda x: lifted(numbered(x)), ONE), outcome(lambda x: numbered(numbered(x)), ONE))


def test_a_second_run_through_a_getter():
    """A getter sees the variables of layers that share a stack, however they are given."""
    tenfold = lambda getter, name, **kwargs: 10 * getter(name, **kwargs)
    block = lambda x: x * js.get_variable("w", [], initializer=js.initializers.ones)

    @js.transform
    def net(x: Any) -> Any:
        with js.variable_scope("", reuse=AUTO):
            x = js.scan_layers(block, 2)(x)
        with js.variable_scope("", reuse=True, custom_getter=tenfold):
            return js.scan_layers(block, 2)(x)

    variables = net.init(KEY, ONE)
    assert net.apply(variables, ONE) == net.apply(variables.stack("layer_{}"), ONE) == 100


@pytest.mark.parametrize("lift", LIFTS)
def test_name_scopes_count(lift: Lift):
    """js.Variable has the name that it has behind the bare loop."""

    def net(lift: Lift) -> Body:
        def run(x: Any) -> Any:
            x = lift(lenient)(x)
            with js.name_scope("layer_1/"):
                js.Variable(1.0, name="s")
            with js.variable_scope("layer_1"):
                x = x * js.Variable(2.0, name="u")
            with js.variable_scope("layer_0"), js.variable_scope("s"):
                return x * js.Variable(2.0, name="u")

        return run

    same(outcome(net(lift), ONE), outcome(net(loop), ONE))


def frozen(following: Any, **kwargs: Any) -> Any:
    return following(**{**kwargs, "trainable": False})


def first_frozen(getter: Any, name: str, **kwargs: Any) -> Any:
    return getter(name, **{**kwargs, "trainable": "layer_0" not in name})


def filled(getter: Any, name: str, **kwargs: Any) -> Any:
    if kwargs["initializer"] is None and kwargs["collections"] is None:
        kwargs["initializer"] = js.initializers.ones
    return getter(name, **kwargs)


@pytest.mark.parametrize(
    "around",
    [{"creator": frozen}, {"getter": first_frozen}, {"getter": filled}],
    ids=("creator", "freezes", "fills"),
)
@pytest.mark.parametrize("lift", [*LIFTS, lambda block: js.ensemble(block, 2, "layer_{}")])
def test_getters_and_creators_around(lift: Lift, around: dict[str, Any]):
    """They see each request as the block made it."""

    def net(lift: Lift) -> Body:
        def run(x: Any) -> Any:
            if "creator" in around:
                with js.variable_creator_scope(around["creator"]):
                    return lift(weight)(x)
            with js.variable_scope("o", custom_getter=around["getter"]):
                return lift(weight)(x)

        return run

    got, bare = js.transform(net(lift)), js.transform(net(loop))
    flags = lambda net: {name: spec.trainable for name, spec in net.spec(ONE).items()}
    assert flags(got) == flags(bare)
    assert got.init(KEY, ONE).as_dict() == bare.init(KEY, ONE).as_dict()


@pytest.mark.parametrize("lift", LIFTS)
def test_other_dtypes_than_declared(lift: Lift):
    """Variables cast to bfloat16, a NumPy carry and a Python number go through as in the loop."""
    block = lambda x: jnp.tanh(x @ js.get_variable("w", [2, 2]))
    got, bare = js.transform(lift(block)), js.transform(loop(block))
    variables = bare.init(KEY, jnp.ones(2))
    half = jax.tree.map(lambda value: value.astype(jnp.bfloat16), variables)
    for values, x in ((half, jnp.ones(2, jnp.bfloat16)), (variables, np.ones(2, np.float32))):
        one, other = got.apply(values, x), bare.apply(values, x)
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0.02)
    assert js.transform(lift(weight)).apply({"layer_0/w": ONE, "layer_1/w": ONE}, 2.0) == 2


def test_a_variable_of_another_dtype():
    """A block that shares a variable has it as it is, also in the spec."""
    block = js.jit(lambda x: x * js.get_variable("w", [2]))

    @js.transform
    def net(x: Any) -> Any:
        with js.variable_scope("", reuse=AUTO):
            js.get_variable("w", [2], "int32")
            y = block(x)
        return y * js.get_variable("v", [2], y.dtype)

    x = jnp.ones(2, "int32")
    assert net.spec(x)["v"].dtype == net.apply(net.init(KEY, x), x).dtype == "int32"


@pytest.mark.parametrize("lift", LIFTS)
def test_a_function_that_decides_the_shape(lift: Lift):
    """Rule R4: it may decide otherwise from time to time."""
    block = lambda x: (x * js.get_variable("w", initializer=lambda: jnp.ones(3))).sum()
    given = {"layer_0/w": jnp.ones(5), "layer_1/w": jnp.ones(5)}
    for values in (given, js.Variables(given).stack("layer_{}")):
        assert js.transform(lift(block)).apply(values, ONE) == 25


def test_axes_are_part_of_a_recipe():
    """A block whose variable has the size of a named axis is recorded for each size."""
    block = js.jit(lambda x: x * js.get_variable("w", [jax.lax.psum(1, "i")]).sum())
    net = js.transform(jax.vmap(lambda x: block(x), axis_name="i"))
    assert [net.spec(jnp.ones(n))["w"].shape for n in (3, 5)] == [(3,), (5,)]


def test_shared_groups_check_dtypes():
    """R23 (8): a second run that asks for another dtype is an error, as in the loop."""
    halves = lambda x: x * js.get_variable("w", [], "float16").astype("float32")

    def net(lift: Lift) -> Body:
        def run(x: Any) -> Any:
            with js.variable_scope("", reuse=AUTO):
                return lift(halves)(lift(weight)(x))

        return run

    same(outcome(net(scanned), ONE), outcome(net(loop), ONE))


def setting(x: Any) -> Any:
    w = js.get_variable("w", [])
    js.set_variable("w", w)
    return x


@pytest.mark.parametrize("block", [setting, demanding, lambda x: weight(weight(x))])
@pytest.mark.parametrize("lift", LIFTS)
def test_errors_are_those_of_the_loop(lift: Lift, block: Body):
    """By full names, with the scope of the request."""
    same(outcome(lift(block), ONE), outcome(loop(block), ONE))


def test_a_block_may_catch_its_own_error():
    """The error of a request is raised inside the block."""

    def block(x: Any) -> Any:
        try:
            return x + js.get_variable("w", [])
        except js.errors.VariableExistsError:
            return x

    got = js.jit(block)
    same(outcome(lambda x: got(got(x)), ONE), outcome(lambda x: block(block(x)), ONE))


def test_methods_are_bound():
    """js.jit decorates methods, as jax.jit does."""

    class Net:
        @js.jit
        def run(self, x: Any) -> Any:
            return weight(x)

    net = Net()
    assert list(js.transform(lambda x: net.run(x)).spec(ONE)) == ["w"]


def test_stacks_of_stacks():
    """Layers in layers may be given stacked once or twice, in either order."""
    net = js.transform(js.scan_layers(js.scan_layers(weight, 2, "in_{}"), 3, "out_{}"))
    flat = net.init(KEY, ONE)
    expected = net.apply(flat, ONE)
    inner, outer = flat.stack("in_{}"), flat.stack("out_{}")
    for values in (inner, outer, inner.stack("out_{}"), outer.stack("in_{}")):
        np.testing.assert_allclose(net.apply(values, ONE), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["layer_0/w", "layer_00/w"])
@pytest.mark.parametrize("stack", [3.0, None, jnp.float32(1)])
def test_stacks_that_are_none(name: str, stack: Any):
    """What is no stack of layers is an error of ours, and `00` is no number of a layer."""
    net = js.transform(lambda: js.get_variable(name, []))
    with pytest.raises(JaxscopeError) as caught:
        net.apply({"layer_{}/w": stack})
    assert caught.value.code in ("not_an_array", "missing", "shape_mismatch")


def handing_through(x: Any, key: Any) -> Any:
    with js.random_keys(key):
        made = jax.random.fold_in(key, 1)
        x = x + jax.random.uniform(js.next_key())
    with js.random_keys(made):
        return x + jax.random.uniform(js.next_key()), key, made, js.get_variable("w", [])


@pytest.mark.parametrize(
    "wrap", [js.jit, js.remat, lambda f: js.jit(js.remat(f)), lambda f: js.remat(js.jit(f))]
)
def test_what_a_block_hands_through(wrap: Lift):
    """Keys and variables that come out of a block are the objects that they were: keys go on, names hold."""

    def net(block: Body) -> Body:
        def run(x: Any, key: Any) -> Any:
            with js.variable_scope("", reuse=AUTO):
                x, key, made, w = block(*block(x, key)[:2])
            js.add_to_collection("chosen", w)
            for given in (key, made):
                with js.random_keys(given):
                    x = x + jax.random.uniform(js.next_key())
            return x

        return run

    found, bare = (js.transform(net(block)) for block in (wrap(handing_through), handing_through))
    assert found.spec(ONE, KEY) == bare.spec(ONE, KEY)
    assert "chosen" in found.spec(ONE, KEY)["w"].collections
    same(outcome(net(wrap(handing_through)), ONE, KEY), outcome(net(handing_through), ONE, KEY))


def lifted(block: Body) -> Body:
    def run(x: Any, **kwargs: Any) -> Any:
        function, values = js.lift(block, x, **kwargs)
        return function(values, x, **kwargs)

    return run


@pytest.mark.parametrize(
    "wrap",
    [
        js.jit,
        js.remat,
        lambda f: js.scan_layers(f, 1),
        lambda f: js.ensemble(f, 1),
        lambda f: js.make_template("t", f),
        lifted,
    ],
    ids=["jit", "remat", "scan_layers", "ensemble", "template", "lift"],
)
def test_keywords_of_any_name(wrap: Lift):
    """A block's keywords are its own, whatever the library's arguments are called."""
    names = ("self", "block", "function", "name", "length", "size", "xs", "outputs", "policy", "args", "run")

    def block(x: Any, **kwargs: Any) -> Any:
        return x * js.get_variable("w", [], initializer=js.initializers.ones) * sum(kwargs.values())

    net = js.transform(lambda x: wrap(block)(x, **dict.fromkeys(names, 2.0)))
    assert jnp.sum(net.apply(net.init(KEY, ONE), ONE)) == 2 * len(names)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: js.scan_layers(3, 2), TypeError),
        (lambda: js.scan_layers(weight, "2"), TypeError),
        (lambda: js.transform(js.scan_layers(weight, 2)).spec(x=ONE), TypeError),
        (lambda: js.transform(js.ensemble(weight, 2, in_axes=0)).spec(ONE), js.errors.InvalidShapeError),
        (
            lambda: js.transform(js.ensemble(weight, 2, in_axes=0)).spec(jnp.ones(3)),
            js.errors.InvalidShapeError,
        ),
        (lambda: js.transform(js.scan_layers(weight, 2, "l{}_{x}")).spec(ONE), js.errors.InvalidNameError),
    ],
)
def test_wrong_calls(call: Callable[[], Any], error: type[Exception]):
    """Each is refused with a word about what is wrong."""
    with pytest.raises(error):
        call()


def test_lifted_functions_check_their_values():
    """A value that is missing, or is no array, is named."""

    def net(x: Any, give: Any) -> Any:
        function, values = js.lift(weight, x)
        return function(give(values), x)

    for give, code in ((lambda _: {}, "missing"), (lambda _: {"w": 3.0}, "not_an_array")):
        assert outcome(lambda x, give=give: net(x, give), ONE)[1] == code


def test_what_a_stack_was_asked_for():
    """A stack without an axis of layers is told by its name and its shape."""

    def block(x: jax.Array) -> jax.Array:
        return x + js.get_variable("w", initializer=lambda: jnp.ones(4))

    net = js.transform(js.scan_layers(block, 3))
    with pytest.raises(js.errors.ShapeMismatchError) as caught:
        net.apply({"layer_{}/w": jnp.float32(1)}, jnp.ones(4))
    assert "layer_{}/w float32[]" in str(caught.value)
