"""What holds for the modules of each library: they are what they are alone, whatever is around them."""

import jax
import numpy as np
import pytest

import jaxscope as js
from tests.interop.models import KEY, MODELS


@pytest.fixture(scope="module", params=sorted(MODELS))
def case(request):
    make, library = MODELS[request.param]
    return make(request.getfixturevalue(library))


@pytest.fixture(scope="module")
def own(case, x):
    with jax.numpy_dtype_promotion("standard"):
        return case.own(KEY, x)


def transformed(layer):
    @js.transform
    def net(x, key=None, train=False):
        with js.random_keys(key):
            return layer(x, train=train)

    return net


def key_in(scope, key):
    """Return the first key that a scope takes of a stream."""

    @js.transform
    def take():
        with js.random_keys(key), js.variable_scope(scope):
            return js.next_key()

    return take.apply({})


def test_evaluated(case, own, x):
    layer = case.layer("there")
    values = layer.variables(*own)
    expected, _ = case.alone(*own, x, None, False)
    np.testing.assert_array_equal(transformed(layer).apply(values, x), expected)


def test_what_it_has(case, own):
    """Values come one by one, or as the pair that the library returns; and nothing else is taken for them."""
    layer = case.layer("there")
    values = layer.variables(*own)
    again = layer.variables(tuple(own))
    assert list(again) == list(values)
    assert list(again.trainable) == list(values.trainable)
    for wrong in (3, [1, 2], {"first": 3}, {"first": {"kernel": 3}}, (), (own, own)):
        with pytest.raises(TypeError, match=r"is one |has is |is no array"):
            layer.variables(wrong)


def test_trained(case, own, x, equal):
    """Results, gradients and state of a step of training, with the same key."""
    layer = case.layer("there")
    net, values = transformed(layer), layer.variables(*own)
    key = jax.random.key(1)

    def loss(trained, state):
        y, after = net.apply_with_state(trained | state, x, key, train=True)
        return (y**2).sum(), (y, after)

    @jax.jit
    def step(values):
        return jax.value_and_grad(loss, has_aux=True)(values.trainable, values.non_trainable)

    (_, (y, after)), gradients = step(values)
    inner = key_in("there", key)

    def theirs(tree):
        result, now = case.alone(*tree, x, inner, True)
        return (result**2).sum(), (result, now)

    expected, now = theirs(own)[1]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    equal(after, layer.variables(*now).non_trainable, rtol=1e-5)
    assert any((after[name] != values[name]).any() for name in after)

    # Their gradients by finite differences of their own function, along one direction.
    def along(t):
        moved = jax.tree.map(
            lambda leaf, slope: leaf + t * slope,
            values.trainable,
            gradients,
        )
        return loss(moved, values.non_trainable)[0]

    slope = sum((one**2).sum() for one in gradients.values())
    ahead, behind = along(1e-3), along(-1e-3)
    np.testing.assert_allclose((ahead - behind) / 2e-3, slope, rtol=2e-2)


def test_the_librarys_own_values(case, own, x, equal):
    """By one key, as the library draws them: the same bits, of all that does not depend on inputs."""
    layer = case.layer("there", initial=KEY)
    made = transformed(layer).init(jax.random.key(0), x)
    expected = layer.variables(*own)
    averages = [name for name in made if name.endswith("average")]
    equal(
        made.select(lambda name, _: name not in averages),
        expected.select(lambda name, _: name not in averages),
    )
    equal(made, expected, rtol=1e-6)


def test_each_value_is_drawn_by_the_librarys_law(case, x):
    """By (key, name): a matrix is what the library's initializer gives for that key, wherever it is."""
    specs = transformed(case.layer("there")).spec(x)
    key = jax.random.key(11)
    named = [spec for spec in specs.values() if spec.name.endswith(("/kernel", "/w", "/weight"))]
    matrices = [spec for spec in named if len(spec.shape) == 2]
    assert len(matrices) >= 2
    for spec in matrices:
        value = spec.initializer(key, spec.shape, spec.dtype)
        np.testing.assert_allclose(value, case.law(key, spec.shape), rtol=1e-5, err_msg=spec.name)


def test_values_depend_on_names_alone(case, x, equal):
    """What else the net has changes no value; another name does."""
    layer, other = case.layer("there"), case.layer("elsewhere")
    key = jax.random.key(0)
    alone = transformed(layer).init(key, x)
    both = js.transform(lambda x: (other(x), js.get_variable("v", [2]), layer(x))).init(key, x)
    equal(alone, both.select("there/"))
    moved = both.select("elsewhere/").rename("elsewhere/", "there/")
    assert any((moved[name] != alone[name]).any() for name in alone)


def test_sharing(case, own, x):
    """Calls of one object with a name share; those of objects without one do as their scope says."""
    layer = case.layer("there")
    net = js.transform(lambda a, b: (layer(a), layer(b)))
    names = list(net.spec(x, x))
    assert names == list(transformed(layer).spec(x))
    values = layer.variables(*own)
    left, right = net.apply(values, x, x + 1)
    np.testing.assert_array_equal(left, case.alone(*own, x, None, False)[0])
    np.testing.assert_array_equal(right, case.alone(*own, x + 1, None, False)[0])

    def scoped(a, b, reuse):
        with js.variable_scope("there", reuse=reuse):
            return case.layer()(a), case.layer()(b)

    assert sorted(js.transform(scoped).spec(x, x, js.AUTO_REUSE)) == sorted(names)
    with pytest.raises(js.errors.VariableExistsError):
        js.transform(scoped).spec(x, x, False)


AROUND = {
    "jit": jax.jit,
    "remat": jax.checkpoint,
    "scan": lambda f: lambda x: jax.lax.scan(lambda c, _: (c, f(x)), 0, None, length=2)[1][1],
    "cond": lambda f: lambda x: jax.lax.cond(x[0, 0] > -1e9, f, lambda x: f(x) + 1, x),
    "vmap": lambda f: lambda x: jax.vmap(f)(x[None])[0],
    "js.jit": js.jit,
    "js.remat": js.remat,
}


@pytest.mark.parametrize("around", AROUND)
def test_inside_of_transforms(case, own, x, around):
    """Values, gradients and names as without."""
    layer = case.layer("there")
    values = layer.variables(*own)
    plain = transformed(layer)
    # Haiku's averages begin with what the first inputs say, which no inner trace may compute.
    haiku = {"state_initializer": js.initializers.zeros}
    computed = haiku if any(name.endswith("average") for name in values) else {}

    def inside(x):
        with js.variable_scope("there", reuse=js.AUTO_REUSE if around == "cond" else None):
            return AROUND[around](lambda x: case.layer(**computed)(x))(x)

    net = js.transform(inside)
    assert sorted(net.spec(x)) == sorted(values)
    state = values.non_trainable
    losses = [
        run_one(values.trainable)
        for run_one in (
            jax.jit(jax.value_and_grad(lambda v, net=net: (net.apply(v | state, x) ** 2).sum()))
            for net in (net, plain)
        )
    ]
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=1e-5)
    for name, gradient in losses[1][1].items():
        np.testing.assert_allclose(losses[0][1][name], gradient, rtol=1e-4, atol=1e-4, err_msg=name)


def test_a_missing_key(case, x):
    """A module that draws says that no key is to be had; one that does not needs none."""
    net = transformed(case.layer("there"))
    with pytest.raises((js.errors.KeyStreamError, RuntimeError), match="key") as caught:
        net.spec(x, None, train=True)
    # Equinox has keys among its arguments, and says so itself.
    assert isinstance(caught.value, RuntimeError) or caught.value.code == "no_key_stream"


def test_state_is_not_written_by_apply(case, own, x):
    layer = case.layer("there")
    net, values = transformed(layer), layer.variables(*own)
    with pytest.raises(js.errors.StateError):
        net.apply(values, x, jax.random.key(0), train=True)


def test_nothing_trained(case, own, x):
    layer = case.layer("there", trainable=False)
    assert not layer.variables(*own).trainable
    assert not any(spec.trainable for spec in transformed(layer).spec(x).values())
    some = case.layer("there", trainable=lambda name: name.startswith(("first", "Dense_0", "norm")))
    trained = [name for name, spec in transformed(some).spec(x).items() if spec.trainable]
    assert 0 < len(trained) < len(layer.variables(*own)) - 2
    assert list(some.variables(*own).trainable) == sorted(trained)


def test_files(case, own, x, tmp_path, equal):
    """What lies in a file under the library's names is loaded under ours."""
    layer = case.layer("there")
    specs = transformed(layer).spec(x)
    values = layer.variables(*own, scope="top")
    table = js.interop.names(layer, x, scope="top")
    assert sorted(table.values()) == sorted(values)
    theirs = {_plain(pattern): values[name] for pattern, name in table.items()}
    js.checkpoint.save(str(tmp_path / "model.npz"), theirs)
    loaded = js.checkpoint.load(str(tmp_path / "model.npz"), rename=table)
    equal(dict(sorted(loaded.items())), dict(sorted(values.items())))
    assert len(specs) == len(values)


def _plain(pattern):
    """Return a name that a pattern of `names` is for."""
    for written, meant in (("(?:params[/.])?", "params/"), ("(?:[/.]value)?", ""), ("[/.]", "/")):
        pattern = pattern.replace(written, meant)
    return pattern.replace("\\", "")
