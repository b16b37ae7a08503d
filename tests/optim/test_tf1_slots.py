"""Optimizer state as TF1 keeps it: the same names, and the same steps after it has been read back.

`data/tf1_optimizers.npz` was recorded from TensorFlow 2.21 (`tf.compat.v1.train`, graph mode): for each
optimizer of `CASES` all global variables before the first step, after three and after six, with the
gradients; and Adam's powers after up to 2,000 steps.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxscope as js
from jaxscope.optim import from_tf1_slots, tf1_slots
from jaxscope.optim.powers import count_of, least_count, power_after

pytestmark = pytest.mark.usefixtures("optax_dtypes")

RECORDED = dict(np.load(Path(__file__).parent / "data" / "tf1_optimizers.npz"))
NAMES = ["net/dense/kernel", "net/dense/bias"]

#: The optimizer in optax, with TF1's numbers, and what the state does not say.
CASES = {
    "adam": (optax.adam(0.01), {}),
    "adam_b": (optax.adam(0.02, b1=0.5, b2=0.99), {"b1": 0.5, "b2": 0.99}),
    "adam_named": (optax.adam(0.01), {"name": "AdamD"}),
    "momentum": (optax.sgd(0.05, 0.9), {}),
    "nesterov": (optax.sgd(0.05, 0.9, nesterov=True), {}),
    "rmsprop": (optax.rmsprop(0.01, 0.9, 1e-6, 1.0), {}),
    "rmsprop_momentum": (optax.rmsprop(0.01, 0.9, 1e-6, 1.0, momentum=0.8), {}),
    "rmsprop_centered": (optax.rmsprop(0.01, 0.9, 1e-3, 1.0, centered=True, momentum=0.8), {}),
    "adagrad": (optax.adagrad(0.1, eps=0.0), {}),
    "adadelta": (optax.adadelta(0.5, 0.95, 1e-6), {}),
    "sgd": (optax.sgd(0.1), {}),
}


def after(case, steps):
    """Return all that TF1 had after so many steps: variables, slots, powers."""
    start = f"{case}|{steps}|"
    return {key.removeprefix(start): value for key, value in RECORDED.items() if key.startswith(start)}


def split(values):
    """Return variables and slots apart."""
    variables = {name: value for name, value in values.items() if name in NAMES}
    slots = {name: value for name, value in values.items() if name not in NAMES}
    return js.Variables(jax.tree.map(jnp.asarray, variables)), slots


def advance(optimizer, variables, state, steps):
    for step in steps:
        gradients = js.Variables({name: RECORDED[f"gradients|{name}"][step] for name in NAMES})
        updates, state = optimizer.update(gradients, state, variables)
        variables = optax.apply_updates(variables, updates)
    return variables, state


@pytest.mark.parametrize("case", CASES)
def test_names_and_values_are_tf1s(case):
    """From TF1's first state, three steps lead to TF1's slots, and three more from those to the last ones."""
    optimizer, options = CASES[case]
    update = jax.jit(optimizer.update)
    optimizer = optax.GradientTransformation(optimizer.init, update)
    variables, slots = split(after(case, 0))
    state = optimizer.init(variables)
    first = tf1_slots(state, variables, **options)
    assert first.keys() == slots.keys()
    assert list(first) == list(first.non_trainable)
    for name, value in first.items():
        np.testing.assert_array_equal(value, slots[name], err_msg=name)
        assert value.dtype == slots[name].dtype
    for begin, end in [(0, 3), (3, 6)]:
        variables, slots = split(after(case, begin))
        state = from_tf1_slots(state, variables, slots, **options)
        variables, state = advance(optimizer, variables, state, range(begin, end))
        expected = after(case, end)
        made = {**variables, **tf1_slots(state, variables, **options)}
        assert made.keys() == expected.keys()
        for name, value in made.items():
            if case == "rmsprop" and name.endswith("RMSProp_1"):
                continue  # TF1 has the last step there, and multiplies it by a momentum of 0
            np.testing.assert_allclose(value, expected[name], rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case):
    """A state comes back to the bit, into a new state or one without values, and from a whole checkpoint."""
    optimizer, options = CASES[case]
    variables, _ = split(after(case, 0))
    _, state = advance(optimizer, variables, optimizer.init(variables), range(2))
    checkpoint = {**variables, **tf1_slots(state, variables, **options), "other/Adam": np.zeros(7)}
    for template in (optimizer.init(variables), jax.eval_shape(optimizer.init, variables)):
        back = from_tf1_slots(template, variables, checkpoint, **options)
        assert jax.tree.structure(back) == jax.tree.structure(state)
        for one, two in zip(jax.tree.leaves(back), jax.tree.leaves(state), strict=True):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == two.dtype


# --- powers ---


@pytest.mark.parametrize("key", [key for key in RECORDED if key.startswith("powers|")])
def test_powers_are_tf1s(key):
    """To the bit, and back to the count, whatever has gone to 0."""
    steps = int(key.partition("|")[2])
    powers = dict(zip((0.9, 0.999), RECORDED[key], strict=True))
    for beta, power in powers.items():
        assert power_after(beta, steps) == power
        assert count_of(beta, float(power)) == (steps if power else None)
    variables = {"a": jnp.ones(2)}
    slots = {
        "beta1_power": powers[0.9],
        "beta2_power": powers[0.999],
        "a/Adam": np.ones(2),
        "a/Adam_1": np.ones(2),
    }
    state = from_tf1_slots(optax.adam(1e-3).init(variables), variables, slots)
    assert int(state[0].count) == steps


@settings(max_examples=200)
@given(st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]), st.integers(0, 2_000_000))
def test_counts_come_back(beta, steps):
    found = count_of(beta, float(power_after(beta, steps)))
    assert found == (steps if steps < least_count(beta) else None)


@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan"), 1 - 1e-12, 2.0])
def test_what_is_no_decay_rate(beta):
    with pytest.raises(ValueError, match="decay rate"):
        power_after(beta, 3)


@pytest.mark.parametrize(
    ("given_", "step", "count"),
    [
        ({}, None, 87_298),
        ({}, 10**6, 10**6),
        ({"global_step": np.int64(5 * 10**5)}, None, 5 * 10**5),
        ({"global_step": 7}, None, 87_298),
    ],
)
def test_when_both_powers_are_gone(given_, step, count):
    """The step is what else is known; if nothing is, the least number with such powers."""
    variables = {"a": jnp.ones(2)}
    slots = {"beta1_power": 0.0, "beta2_power": 0.0, "a/Adam": np.ones(2), "a/Adam_1": np.ones(2)}
    optimizer = optax.adam(optax.constant_schedule(0.1))
    state = from_tf1_slots(optimizer.init(variables), variables, slots | given_, step=step)
    assert abs(int(state[0].count) - count) <= (100 if count == 87_298 else 0)
    assert power_after(0.999, int(state[0].count)) == 0 == power_after(0.9, int(state[0].count))


def test_powers_of_other_rates_are_noticed():
    """One error with both; also where each is a power, but of different numbers of steps."""
    variables = {"a": jnp.ones(2)}
    state = optax.adam(1e-3).init(variables)
    slots = {"beta1_power": 0.25, "beta2_power": 0.9**40, "a/Adam": np.ones(2), "a/Adam_1": np.ones(2)}
    with pytest.raises(js.errors.OptimizerError) as caught:
        from_tf1_slots(state, variables, slots)
    assert caught.value.code == "tf1_slots"
    assert caught.value.facts["powers"].splitlines()[0] == "beta1_power: 0.25 is no power of 0.9"
    slots |= {"beta1_power": power_after(0.9, 5), "beta2_power": power_after(0.999, 6)}
    with pytest.raises(js.errors.OptimizerError, match="beta1_power says 5 steps, beta2_power says 6 steps"):
        from_tf1_slots(state, variables, slots)


# --- whole optimizers ---

MODEL = js.Variables(
    {
        f"layer_{i}/{name}": jnp.full(shape, i + 1.0)
        for i in range(3)
        for name, shape in [("w", [2]), ("b", [1])]
    }
    | {"head/w": jnp.ones(2)}
)


def stepped(optimizer, variables, steps=2):
    state = optimizer.init(variables)
    update = jax.jit(optimizer.update)
    for _ in range(steps):
        _, state = update(variables, state, variables)
    return state


def test_stacked_layers_have_a_slot_each():
    """The slots of stacked variables are those of the layers, and are read from them."""
    optimizer = optax.adam(0.1)
    single = tf1_slots(stepped(optimizer, MODEL), MODEL)
    stacked = MODEL.stack("layer_{}")
    state = stepped(optimizer, stacked)
    slots = tf1_slots(state, stacked)
    assert list(slots) == list(single)
    for name, value in slots.items():
        np.testing.assert_allclose(value, single[name], rtol=1e-6)
    back = from_tf1_slots(optimizer.init(stacked), stacked, slots)
    jax.tree.map(np.testing.assert_array_equal, back, state)


def test_of_nested_dicts():
    nested = MODEL.nested()
    optimizer = optax.sgd(0.1, 0.9)
    slots = tf1_slots(stepped(optimizer, nested), nested)
    assert list(slots) == [name + "/Momentum" for name in MODEL]
    back = from_tf1_slots(optimizer.init(nested), nested, slots)
    jax.tree.map(np.testing.assert_array_equal, back, stepped(optimizer, nested))


def test_around_and_beside():
    """Clipping, decay, masks, schedules and injected numbers keep their places."""
    decayed = js.optim.match(MODEL, {".*/w": True, ...: False})
    adamw = optax.adamw(optax.cosine_decay_schedule(0.1, 100), b1=0.8, mask=decayed)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), adamw)
    state = stepped(optimizer, MODEL, 3)
    slots = tf1_slots(state, MODEL, b1=0.8)
    assert slots["global_step"] == 3
    assert slots["global_step"].dtype == np.int64
    back = from_tf1_slots(optimizer.init(MODEL), MODEL, slots, b1=0.8)
    assert jax.tree.structure(back) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, back, state)
    later = from_tf1_slots(optimizer.init(MODEL), MODEL, slots, b1=0.8, step=50)
    assert [int(leaf) for leaf in jax.tree.leaves(later) if leaf.dtype == jnp.int32] == [3, 50]


def test_injected_rates_are_those_of_the_powers():
    optimizer = optax.inject_hyperparams(optax.adam)(optax.constant_schedule(0.1), b1=0.5)
    state = stepped(optimizer, MODEL, 4)
    slots = tf1_slots(state, MODEL)
    assert slots["beta1_power"] == 0.5**5
    assert slots["global_step"] == 4
    back = from_tf1_slots(optimizer.init(MODEL), MODEL, slots)
    jax.tree.map(np.testing.assert_array_equal, back.inner_state, state.inner_state)
    assert int(back.count) == int(back.hyperparams_states["learning_rate"].count) == 4


def test_several_optimizers():
    """Of multi_transform: each variable has the slots of its own; a second Adam has powers of its own."""
    labels = js.optim.match(MODEL, {"layer_0/": "b", "layer_1/": "a", "layer_2/": "m", ...: "none"})
    transforms = {
        "b": optax.adam(0.1),
        "a": optax.adam(0.2),
        "m": optax.sgd(0.1, 0.9),
        "none": optax.set_to_zero(),
    }
    optimizer = optax.multi_transform(transforms, labels)
    state = stepped(optimizer, MODEL)
    slots = tf1_slots(state, MODEL)
    assert list(slots) == [
        "beta1_power",
        "beta1_power_1",
        "beta2_power",
        "beta2_power_1",
        *(f"layer_{i}/{name}/{slot}" for i in (0, 1) for name in "bw" for slot in ("Adam", "Adam_1")),
        "layer_2/b/Momentum",
        "layer_2/w/Momentum",
    ]
    back = from_tf1_slots(optimizer.init(MODEL), MODEL, slots)
    assert jax.tree.structure(back) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, back, state)


def test_under_other_names():
    """Where TF1's slots were made inside of a scope, `rename` leads there and back."""
    optimizer = optax.adam(0.1)
    state = stepped(optimizer, MODEL)
    slots = tf1_slots(state, MODEL)
    theirs = slots.rename(lambda name: ("a_1/" if name.startswith("beta") else "a/") + name)
    assert {"a_1/beta1_power", "a/head/w/Adam"} < theirs.keys()
    back = from_tf1_slots(state, MODEL, theirs.rename(lambda name: name.partition("/")[2]))
    jax.tree.map(np.testing.assert_array_equal, back, state)


def test_narrow_states_are_widened():
    """TF1 keeps slots in the variable's dtype; what is narrower in optax comes back as it was."""
    optimizer = optax.adam(0.1, mu_dtype="bfloat16")
    state = stepped(optimizer, MODEL)
    slots = tf1_slots(state, MODEL)
    assert slots["head/w/Adam"].dtype == jnp.float32
    back = from_tf1_slots(optimizer.init(MODEL), MODEL, slots)
    assert back[0].mu["head/w"].dtype == jnp.bfloat16
    jax.tree.map(np.testing.assert_array_equal, back, state)


OTHERS = {
    "amsgrad": optax.amsgrad(0.1),
    "lion": optax.lion(0.1),
    "adafactor": optax.adafactor(0.1),
    "bias_correction": optax.rmsprop(0.1, bias_correction=True),
    "accumulation": optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation(),
    "twice": optax.chain(optax.trace(0.9), optax.scale_by_adam(), optax.scale(-1)),
    "rate_first": optax.chain(optax.scale(-0.1), optax.trace(0.9)),
    "trace_before_rms": optax.chain(optax.trace(0.9), optax.scale_by_rms(), optax.scale(-1)),
    "trace_before_rate": optax.chain(optax.scale_by_rms(), optax.trace(0.9), optax.scale(-1)),
    "noise": optax.noisy_sgd(0.1, key=0),
    "ema": optax.chain(optax.sgd(0.1), optax.ema(0.9)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_tf1_does_not_have(name):
    """An error names each part of the state that is of no optimizer of TF1."""
    state = OTHERS[name].init(MODEL)
    for call in (lambda: tf1_slots(state, MODEL), lambda: from_tf1_slots(state, MODEL, {})):
        with pytest.raises(js.errors.OptimizerError) as caught:
            call()
        assert caught.value.code == "tf1_state"
        assert "State" in caught.value.facts["parts"]


def test_an_unknown_state_is_named_by_its_place():
    state = (optax.EmptyState(), optax.MultiSteps(optax.adam(0.1), 2).init(MODEL), {"x": jnp.ones(2)})
    with pytest.raises(js.errors.OptimizerError) as caught:
        tf1_slots(state, MODEL)
    assert caught.value.facts["parts"].splitlines() == ["[2]['x']: ArrayImpl", "[1]: MultiStepsState"]


def test_all_that_is_wrong_with_slots():
    optimizer = optax.adam(optax.constant_schedule(0.1))
    state = optimizer.init(MODEL)
    slots = tf1_slots(state, MODEL).as_dict()
    slots["head/w/Adam"] = np.ones(3)
    slots["heda/w/Adam_1"] = slots.pop("head/w/Adam_1")
    slots["beta1_power"] = np.float32(0.33)
    del slots["beta2_power"]
    with pytest.raises(js.errors.OptimizerError) as caught:
        from_tf1_slots(state, MODEL, slots)
    facts = caught.value.facts
    assert facts["missing"].splitlines()[0].startswith("head/w/Adam_1; near names: heda/w/Adam_1, ")
    assert facts["missing"].splitlines()[1].startswith("beta2_power")
    assert facts["shape"] == "head/w/Adam (3,), not (2,)"
    assert "no power of 0.9" in facts["powers"]


@pytest.mark.parametrize("wrong", [None, 3, [("w/Adam", 1)]])
def test_slots_are_a_mapping(wrong):
    with pytest.raises(js.errors.OptimizerError, match="mapping"):
        from_tf1_slots(optax.adam(0.1).init(MODEL), MODEL, wrong)


def test_what_is_no_state():
    """The optimizer itself, nothing, the variables: all are told from the state of gradient descent."""
    for state in (optax.adam(0.1), None, MODEL, {"params": MODEL}):
        with pytest.raises(js.errors.OptimizerError) as caught:
            tf1_slots(state, MODEL)
        assert caught.value.code == "tf1_state"
    assert not tf1_slots(optax.sgd(0.1).init(MODEL), MODEL)


def test_a_schedule_must_know_its_step():
    optimizer = optax.sgd(optax.constant_schedule(0.1), 0.9)
    slots = tf1_slots(optimizer.init(MODEL), MODEL).as_dict()
    assert int(from_tf1_slots(optimizer.init(MODEL), MODEL, slots | {"global_step": 9})[1].count) == 9
    del slots["global_step"]
    with pytest.raises(js.errors.OptimizerError, match="step="):
        from_tf1_slots(optimizer.init(MODEL), MODEL, slots)


def test_states_of_other_variables_are_noticed():
    state = optax.adam(0.1).init(MODEL)
    with pytest.raises(js.errors.OptimizerError, match="head/w: not among the variables"):
        tf1_slots(state, MODEL.select("layer_"))
    with pytest.raises(js.errors.OptimizerError, match=r"head/w: \(2,\), and the variable \(5,\)"):
        from_tf1_slots(state, {**MODEL, "head/w": jnp.ones(5)}, {})
    twice = (
        optax.masked(optax.sgd(1.0, 0.9), True).init(MODEL),
        optax.masked(optax.sgd(1.0, 0.9), True).init(MODEL),
    )
    with pytest.raises(js.errors.OptimizerError, match="head/w/Momentum: two values"):
        tf1_slots(twice, MODEL)


def test_traced_counts_are_refused():
    state = optax.adam(0.1).init(MODEL)
    with pytest.raises(js.errors.TraceError):
        jax.jit(tf1_slots)(state, MODEL)
    several = jax.vmap(optax.adam(0.1).init)(jax.tree.map(lambda v: jnp.stack([v, v]), MODEL))
    with pytest.raises(js.errors.OptimizerError, match="array of shape"):
        tf1_slots(several, jax.tree.map(lambda v: jnp.stack([v, v]), MODEL))


def test_a_global_step_of_the_model_stays_its_own():
    variables = MODEL | {"global_step": jnp.int32(4)}
    assert "global_step" not in tf1_slots(optax.sgd(optax.constant_schedule(0.1)).init(MODEL), variables)
