"""Masks and labels by name: the first pattern decides, and what decides nothing is an error."""

import re
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxscope as js

VARIABLES = js.Variables(
    {
        "encoder/ln/bias": jnp.ones(3),
        "encoder/ln/gamma": jnp.ones(3),
        "encoder/dense/kernel": jnp.ones([3, 3]),
        "head/bias": jnp.ones(2),
        "head/kernel": jnp.ones([3, 2]),
    }
)


@js.transform
def net(x):
    for i in range(3):
        with js.variable_scope(f"layer_{i}"):
            x = js.layers.dense(x, 4, jax.nn.relu, kernel_regularizer=js.regularizers.l2(0.1))
            js.get_variable("calls", [], jnp.int32, js.initializers.zeros, trainable=False)
    return js.layers.dense(x, 2, name="head")


def test_the_first_pattern_decides():
    rules = {"head/": "head", r".*/(bias|gamma)": "small", r".*/bias": "never", ...: "rest"}
    assert js.optim.match(VARIABLES, rules).as_dict() == {
        "encoder/dense/kernel": "rest",
        "encoder/ln/bias": "small",
        "encoder/ln/gamma": "small",
        "head/bias": "head",
        "head/kernel": "head",
    }


PATTERNS = ["encoder/", "head/", ".*/bias", ".*/kernel", ".*", "encoder/ln/bias$", "e.*gamma"]


@given(st.lists(st.sampled_from(PATTERNS), unique=True), st.integers(0, 10))
def test_is_what_the_rules_say(patterns, place):
    """For any patterns in any order, wherever the default stands."""
    rules = dict(zip(patterns, range(len(patterns)), strict=True))
    entries = list(rules.items())
    entries.insert(min(place, len(entries)), (..., "default"))
    expected = {
        name: next((at for pattern, at in rules.items() if re.match(pattern, name)), "default")
        for name in VARIABLES
    }
    assert js.optim.match(VARIABLES, dict(entries)).as_dict() == expected


def like(tree):
    return jax.tree.structure(tree, is_leaf=lambda value: value is None)


def test_fits_what_it_is_made_for():
    """Variables, gradients, specs, flat and nested dicts, ordered or not: the result has their structure."""
    rules = {".*/bias": False, ...: True}
    x = jnp.ones([1, 4])
    specs = net.spec(x)
    variables = specs.init(jax.random.key(0))
    trainable = variables.trainable
    gradients = jax.grad(lambda params: net.apply(params | variables.non_trainable, x).sum())(trainable)
    trees = [variables, trainable, gradients, dict(trainable), OrderedDict(trainable), trainable.nested()]
    trees += [jax.eval_shape(lambda: trainable), jax.tree.map(np.asarray, trainable)]
    for tree in trees:
        mask = js.optim.match(tree, rules)
        assert like(mask) == like(tree)
        flat = mask if not isinstance(mask, dict) or "head" not in mask else js.Variables.from_nested(mask)
        assert all(flat[name] == (not name.endswith("bias")) for name in flat)
    assert like(js.optim.match(specs, rules)) == like(variables)
    assert jax.jit(lambda tree: jnp.asarray(js.optim.match(tree, rules)["head/kernel"]))(trainable)


def test_predicates_see_name_and_value():
    mask = js.optim.match(VARIABLES, {lambda name, value: value.ndim > 1 and "head" not in name: 1, ...: 0})
    assert [name for name, one in mask.items() if one] == ["encoder/dense/kernel"]
    assert not any(js.optim.match(VARIABLES, {lambda name, value: False: 1, ...: 0}).values())
    assert js.optim.match(net.spec(jnp.ones([1, 4])), {lambda name, spec: spec.trainable: 1, ...: 0})[
        "head/bias"
    ]


RULES = [
    {r"layer_\d+/": 1, ...: 2},
    {".*/kernel": 1, ...: 2},
    {"layer_0/": 1, "layer_": 1, "head": 2},
    {"layer_.*/calls": 1, ".*layer_[0-9]+/dense/bias": 2, ...: 3},
    {lambda name, value: len(value.shape) == 1: 1, ...: 2},
    {lambda name, value: name.startswith("layer_1"): 1, ...: 1},
]


@pytest.mark.parametrize("rules", RULES)
def test_stacks_are_labelled_as_their_layers(rules):
    """The labels of stacked variables are the stacked labels of the variables."""
    variables = net.init(jax.random.key(0), jnp.ones([1, 4]))
    single = js.optim.match(variables, rules)
    stacked = js.optim.match(variables.stack("layer_{}"), rules)
    assert stacked.as_dict() == single.stack("layer_{}").as_dict()
    specs = net.spec(jnp.ones([1, 4])).stack("layer_{}")
    assert js.optim.match(specs, rules).as_dict() == stacked.as_dict()


def test_a_stack_may_be_meant_by_its_own_name():
    stacked = net.init(jax.random.key(0), jnp.ones([1, 4])).stack("layer_{}")
    assert js.optim.match(stacked, {r"layer_{}/dense/kernel": 1, ...: 0})["layer_{}/dense/kernel"] == 1


def test_nested_stacks():
    values = {f"block_{i}/layer_{j}/w": jnp.zeros(2) for i in range(3) for j in range(12)}
    nested = js.Variables(values).stack("layer_{}").stack("block_{}")
    assert js.optim.match(nested, {r"block_\d/layer_\d+/w$": 7}).as_dict() == {"block_{}/layer_{}/w": 7}
    with pytest.raises(js.errors.MergeError):
        js.optim.match(nested, {"block_2/layer_11/": 1, ...: 0})
    assert js.optim.match({"layer_{}/w": jnp.zeros([0, 2])}, {"layer_": 1}) == {"layer_{}/w": 1}


def test_layers_that_differ_cannot_be_labelled_in_a_stack():
    stacked = net.init(jax.random.key(0), jnp.ones([1, 4])).stack("layer_{}")
    with pytest.raises(js.errors.MergeError, match=r"layer_\{\}/dense/kernel: 'first', 'rest'"):
        js.optim.match(stacked, {"layer_0/": "first", ...: "rest"})


def test_patterns_that_match_nothing():
    """One error lists all of them, with what may have been meant, and the names that are left."""
    with pytest.raises(js.errors.VariableNotFoundError) as caught:
        js.optim.match(VARIABLES, {"bias": 1, ".*/gama": 2, "haed/": 3, "encoder/": 4})
    error = caught.value
    assert error.code == "nothing_matches"
    assert error.summary == "3 patterns match no name, and 2 of 5 names match no pattern"
    assert error.facts["left"] == "head/bias\nhead/kernel"
    assert error.facts["patterns"].splitlines() == [
        "'bias': only '.*bias' matches, 'encoder/ln/bias' for instance",
        "'.*/gama': near gamma",
        "'haed/': near head/",
    ]


def test_what_is_no_regular_expression():
    with pytest.raises(js.errors.VariableNotFoundError, match="'a\\(b': no regular expression, missing"):
        js.optim.match(VARIABLES, {"a(b": 1, ...: 2})


def test_names_that_match_no_pattern():
    with pytest.raises(js.errors.VariablesMismatchError) as caught:
        js.optim.match(VARIABLES, {"encoder/": 4})
    assert caught.value.code == "unlabelled"
    assert caught.value.facts["left"] == "head/bias\nhead/kernel"
    many = {f"layer_{i}/w": 1 for i in range(100)}
    with pytest.raises(js.errors.VariablesMismatchError, match=r"\(70 more\)"):
        js.optim.match(many, {})


@pytest.mark.parametrize("wrong", [3, ("a",), None])
def test_a_pattern_is_a_string_or_a_predicate(wrong):
    with pytest.raises(TypeError, match="pattern"):
        js.optim.match(VARIABLES, {wrong: 1, ...: 0})


def test_what_has_no_names():
    for tree in [(VARIABLES, 1), jnp.ones(3), None]:
        with pytest.raises(js.errors.VariablesMismatchError, match="mapping"):
            js.optim.match(tree, {...: 0})
    with pytest.raises(TypeError, match="mapping"):
        js.optim.match(VARIABLES, [("head/", 1)])
    assert js.optim.match({}, {"a": 1}) == {}


def loss(params):
    return sum(jnp.sum(value**2) for value in jax.tree.leaves(params))


def test_multi_transform():
    """Each label's variables are moved by its own optimizer, and others not at all."""
    labels = js.optim.match(VARIABLES, {"head/": "fast", r".*/bias": "frozen", ...: "slow"})
    rates = {"fast": 0.5, "slow": 0.25}
    transforms = {label: optax.sgd(rate) for label, rate in rates.items()} | {"frozen": optax.set_to_zero()}
    optimizer = optax.multi_transform(transforms, labels)

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(VARIABLES)
    params, state = step(VARIABLES, state)
    params, state = step(params, state)
    assert {name: float(value.reshape(-1)[0]) for name, value in params.items()} == {
        name: (1 - 2 * rates.get(label, 0)) ** 2 for name, label in labels.items()
    }


@pytest.mark.usefixtures("optax_dtypes")
def test_inside_of_multi_transform():
    """A function of names as the mask of an optimizer that sees a part of the variables."""

    def decayed(params):
        return js.optim.match(params, {r".*/(bias|gamma)": False, ...: True})

    labels = js.optim.match(VARIABLES, {"head/": "head", ...: "body"})
    adamw = optax.adamw(0.1, weight_decay=0.5, mask=decayed)
    optimizer = optax.multi_transform({"head": adamw, "body": optax.set_to_zero()}, labels)
    zero = jax.tree.map(jnp.zeros_like, VARIABLES)
    updates, _ = jax.jit(optimizer.update)(zero, optimizer.init(VARIABLES), VARIABLES)
    moved = {name for name, update in updates.items() if np.any(update)}
    assert moved == {"head/kernel"}


def test_masked_values_have_labels():
    """Where optax has masked a value, there is no array, and the name still counts."""
    masked = js.Variables({"layer_{}/w": optax.MaskedNode(), "b": jnp.ones(1), "c": None})
    assert js.optim.match(masked, {r"layer_\d+/w": 1, "c": 2, ...: 0}).as_dict() == {
        "layer_{}/w": 1,
        "b": 0,
        "c": 2,
    }


def test_masked():
    mask = js.optim.match(VARIABLES, {r".*/kernel": True, ...: False})
    optimizer = optax.chain(optax.masked(optax.add_decayed_weights(1.0), mask), optax.scale(-1.0))
    zero = jax.tree.map(jnp.zeros_like, VARIABLES)
    updates, _ = optimizer.update(zero, optimizer.init(VARIABLES), VARIABLES)
    assert {name for name, update in updates.items() if np.any(update)} == {
        "encoder/dense/kernel",
        "head/kernel",
    }


def test_values_may_be_anything():
    """Arrays too, which a stack's layers share if they are equal."""
    stacked = js.Variables({"layer_{}/w": jnp.ones([3, 2])})
    one = np.arange(3)
    assert js.optim.match(stacked, {"layer_0": one, "layer_1": one.copy(), ...: one})["layer_{}/w"] is one
    with pytest.raises(js.errors.MergeError):
        js.optim.match(stacked, {"layer_0": one, ...: one + 1})
    with pytest.raises(js.errors.MergeError):
        js.optim.match(stacked, {"layer_0": one, ...: "adam"})
