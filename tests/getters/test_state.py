"""What getters keep as state: one step in a call, however often a weight is asked for, and by what way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import GetterError, StateError
from tests.getters.small import KEY, around, weight

G = js.getters
GETTERS = {
    "u": lambda training: G.spectral_norm(training=training),
    "ExponentialMovingAverage": lambda training: G.ema(0.5, training=training),
}
STATES = pytest.mark.parametrize("own", GETTERS)


def begun(net, own, *args):
    """Return variables whose state is far from where it goes."""
    v = net.init(KEY, *args)
    return v.replace({f"m/w/{own}": jnp.linspace(1, 2, v[f"m/w/{own}"].size).reshape(v[f"m/w/{own}"].shape)})


@STATES
def test_one_step_in_a_call(own):
    """A weight that is shared, as a discriminator's is by real and fake, takes one step."""

    def both():
        w = weight()()
        with js.variable_scope("", reuse=True):
            return w, js.get_variable("w"), js.get_variable("w", [4, 3], "float32")

    once, often = (around(GETTERS[own](True), model) for model in (weight(), both))
    v = begun(once, own)
    y, state = once.apply_with_state(v)
    assert not np.allclose(state[f"m/w/{own}"], v[f"m/w/{own}"])
    values, other = often.apply_with_state(v)
    np.testing.assert_array_equal(other[f"m/w/{own}"], state[f"m/w/{own}"])
    for value in values:
        np.testing.assert_array_equal(value, y)


@STATES
def test_no_step_in_evaluation(own):
    """Without `training` nothing is written, so plain `apply` will do; with it, `apply` refuses."""
    evaluate, train = (around(GETTERS[own](training), weight()) for training in (False, True))
    v = begun(evaluate, own)
    assert list(evaluate.spec()) == list(train.spec())
    _, state = evaluate.apply_with_state(v)
    np.testing.assert_array_equal(state[f"m/w/{own}"], v[f"m/w/{own}"])
    evaluate.apply(v)
    with pytest.raises(StateError):
        train.apply(v)


def test_training_and_evaluation_agree():
    """After a step of spectral norm, a call without `training` computes with the same weights."""
    evaluate, train = (around(GETTERS["u"](training), weight()) for training in (False, True))
    v = begun(train, "u")
    y, state = train.apply_with_state(v)
    np.testing.assert_array_equal(evaluate.apply(v | state), y)


@STATES
def test_a_failed_first_call_of_a_template(own):
    """What it made is undone, and its step with it."""

    def model():
        fail = [True]

        def body():
            w = weight()()
            if fail.pop():
                raise ValueError
            return w

        template = js.make_template("t", body)
        with pytest.raises(ValueError):
            template()
        fail.append(False)
        return template()

    net = around(GETTERS[own](True), model)
    alone = around(GETTERS[own](True), lambda: js.make_template("t", weight())())
    v = alone.init(KEY)
    name = f"m/t/w/{own}"
    v = v.replace({name: v[name] + 1})
    np.testing.assert_array_equal(net.apply_with_state(v)[1][name], alone.apply_with_state(v)[1][name])


@STATES
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_behind_casts_and_other_names(own, dtype):
    """State is read and written as it is stored: in float32, under the name that another getter gave it."""

    def renamed(getter, name, **kwargs):
        return getter("r/" + name, **kwargs)

    def rounded(getter, name, **kwargs):
        value = getter(name, **kwargs)
        return value.astype(jnp.bfloat16).astype(value.dtype)

    for behind in (renamed, rounded, G.cast(dtype)):
        net = around(G.chain(GETTERS[own](True), behind), weight(dtype=dtype))
        v = net.init(KEY)
        (name,) = v.non_trainable
        assert name == ("r/" if behind is renamed else "") + f"m/w/{own}"
        assert v[name].dtype == jnp.float32
        v = v.replace({name: jnp.linspace(1.001, 2, v[name].size).reshape(v[name].shape)})
        _, state = net.apply_with_state(v)
        assert state[name].dtype == jnp.float32
        assert not np.allclose(state[name], v[name])
        # It is not rounded on its way.
        assert np.any(state[name] != state[name].astype(jnp.bfloat16).astype(jnp.float32))


@STATES
def test_a_traced_flag(own):
    """Whether to take a step decides what is traced."""

    @js.transform
    def net(training):
        with js.variable_scope("m", custom_getter=GETTERS[own](training)):
            return weight()()

    with pytest.raises(GetterError) as caught:
        jax.jit(net.apply_with_state)(net.init(KEY, False), True)
    assert caught.value.code == "getter_argument"


def test_an_average_of_what_is_trained_alone():
    """Adapters and lengths have averages, frozen weights and state none."""
    model = lambda: (weight()(), js.get_variable("n", [4, 3], trainable=False))
    net = around(G.chain(G.weight_norm(), G.lora(1), G.ema(0.5)), model)
    averaged = [name for name in net.spec() if name.endswith("ExponentialMovingAverage")]
    assert [name.rpartition("/")[0] for name in averaged] == ["m/w/lora_a", "m/w/lora_b", "m/w/g"]


def test_training_an_average():
    """Over some steps of training by hand, the average is that of the weights so far."""
    train, evaluate = (around(G.ema(0.9, training=training), weight()) for training in (True, False))
    v = train.init(KEY)
    average, step = v["m/w"], jax.jit(train.apply_with_state)
    for at in range(4):
        v = v.replace({"m/w": v["m/w"] + at})
        average = 0.9 * average + 0.1 * v["m/w"]
        v |= step(v)[1]
    np.testing.assert_allclose(evaluate.apply(v), average, rtol=1e-6)
