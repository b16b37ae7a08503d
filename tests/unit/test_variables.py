"""Variables: an immutable mapping, and a pytree whose key paths are the names."""

import copy
import functools
import gc
import operator
import pickle
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.tree_util import keystr, tree_leaves_with_path

import jaxscope as js
from jaxscope.errors import InvalidNameError, MergeError, VariableNotFoundError

names = st.lists(st.sampled_from("abc12"), min_size=1, max_size=3).map("/".join)


@pytest.fixture
def variables() -> js.Variables:
    values = {"b/w": jnp.ones((2, 3)), "a": jnp.zeros(2, jnp.int32), "b/n": jnp.float32(4)}
    return js.Variables(values, non_trainable=["a"])


# --- a mapping ---------------------------------------------------------------------------------


def test_reads_like_a_dict(variables: js.Variables):
    assert list(variables) == ["a", "b/n", "b/w"]
    assert len(variables) == 3
    assert "b/w" in variables
    assert "w" not in variables
    assert variables["b/w"].shape == (2, 3)
    assert variables.get("w") is None
    assert dict(variables) == variables.as_dict() == dict(variables.items())
    assert list(variables.values()) == [variables[name] for name in variables]


@pytest.mark.parametrize("missing", ["b/W", "", 1, None])
def test_a_name_that_is_not_there_is_a_key_error(variables: js.Variables, missing: Any):
    with pytest.raises(KeyError, match=f"no variable {missing!r}"):
        variables[missing]
    assert missing not in variables


def test_a_key_error_names_what_is_near(variables: js.Variables):
    with pytest.raises(KeyError, match="no variable 'b/v'; near names: b/w"):
        variables["b/v"]


@pytest.mark.parametrize(
    "change",
    [
        lambda v: setattr(v, "anything", 1),
        lambda v: setattr(v, "_values", ()),
        lambda v: delattr(v, "_values"),
        lambda v: v.update({"a": 1}),
        lambda v: v.pop("a"),
    ],
)
def test_immutable(variables: js.Variables, change: Any):
    before = dict(variables)
    with pytest.raises(AttributeError):
        change(variables)
    assert dict(variables) == before


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        (lambda v: operator.setitem(v, "a", 1), r"variables\.replace\(\{'a': \.\.\.\}\)"),
        (lambda v: operator.delitem(v, "a"), r"\.partition"),
    ],
)
def test_items_stay(variables: js.Variables, change: Any, instead: str):
    """The error says what to write instead."""
    before = dict(variables)
    with pytest.raises(TypeError, match=instead):
        change(variables)
    assert dict(variables) == before


def test_its_dict_is_a_copy(variables: js.Variables):
    variables.as_dict().clear()
    assert len(variables) == 3


def test_a_copy_of_what_it_was_made_from():
    values = {"a": 1}
    variables = js.Variables(values)
    values["b"] = 2
    assert list(variables) == ["a"]


def test_equality_and_hash_are_those_of_the_object(variables: js.Variables):
    """Arrays have no truth value, so two sets of variables are equal only if they are one."""
    assert variables == variables  # noqa: PLR0124 - that is the point
    assert variables != js.Variables(variables, non_trainable=["a"])
    assert len({variables, variables}) == 1


def test_names_must_be_strings():
    with pytest.raises(InvalidNameError) as caught:
        js.Variables({1: jnp.ones(2)})
    assert caught.value.code == "not_a_string"


def test_non_trainable_names_must_exist():
    with pytest.raises(VariableNotFoundError, match="no variable 'kernal'\n  near     kernel"):
        js.Variables({"kernel": 1}, non_trainable=["kernal"])


def test_empty():
    assert repr(js.Variables()) == "Variables({})"
    assert jax.tree.leaves(js.Variables()) == []
    assert "0 variables" in str(js.Variables())


# --- a pytree ----------------------------------------------------------------------------------


def test_names_are_key_paths(variables: js.Variables):
    paths = [path for path, _ in tree_leaves_with_path(variables)]
    assert [keystr(path) for path in paths] == ["['a']", "['b/n']", "['b/w']"]
    assert [keystr(path, simple=True, separator=".") for path in paths] == list(variables)


@settings(deadline=None, max_examples=100)
@given(st.lists(names, unique=True), st.randoms(), st.data())
def test_one_structure_whatever_the_order(listed: list[str], random: Any, data: st.DataObject):
    frozen = data.draw(st.sets(st.sampled_from(listed))) if listed else set()
    shuffled = random.sample(listed, len(listed))
    one = js.Variables({name: name for name in listed}, non_trainable=frozen)
    two = js.Variables({name: name for name in shuffled}, non_trainable=sorted(frozen))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    assert hash(jax.tree.structure(one)) == hash(jax.tree.structure(two))
    assert jax.tree.leaves(one) == jax.tree.leaves(two) == list(one)
    assert dict(one) == {name: name for name in listed}


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(names, st.integers()), st.data())
def test_flattening_loses_nothing(values: dict[str, int], data: st.DataObject):
    frozen = data.draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    variables = js.Variables(values, non_trainable=frozen)
    leaves, tree = jax.tree.flatten(variables)
    back = jax.tree.unflatten(tree, leaves)
    assert dict(back) == values
    assert set(back.non_trainable) == frozen
    assert dict(back.trainable | back.non_trainable) == values


def test_trainability_is_part_of_the_structure():
    assert jax.tree.structure(js.Variables({"a": 1})) != jax.tree.structure(
        js.Variables({"a": 1}, non_trainable=["a"])
    )


def test_a_map_keeps_names_and_trainability(variables: js.Variables):
    shapes = jax.tree.map(jnp.shape, variables, is_leaf=lambda leaf: isinstance(leaf, jax.Array))
    assert shapes["b/w"] == (2, 3)
    assert list(shapes.non_trainable) == ["a"]


def test_none_is_no_leaf(variables: js.Variables):
    """As everywhere in JAX: a map to None leaves a tree without leaves, and the names stay."""
    nothing = jax.tree.map(lambda _: None, variables)
    assert jax.tree.leaves(nothing) == []
    assert list(nothing) == list(variables)


def test_two_sets_of_names_do_not_map_together():
    with pytest.raises(ValueError, match=r"Variables\[a\]"):
        jax.tree.map(lambda a, b: a + b, js.Variables({"a": 1}), js.Variables({"b": 1}))


def test_through_jit_grad_vmap_and_scan(variables: js.Variables):
    params = variables.trainable

    def total(v: Any) -> jax.Array:
        return sum(jnp.sum(x**2) for x in v.values())

    gradients = jax.jit(jax.grad(total))(params)
    assert isinstance(gradients, js.Variables)
    assert jax.tree.structure(gradients) == jax.tree.structure(params)
    np.testing.assert_array_equal(gradients["b/w"], 2 * params["b/w"])
    stacked = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), params)
    np.testing.assert_array_equal(jax.vmap(total)(stacked), [total(params), 4 * total(params)])
    last, _ = jax.lax.scan(lambda v, _: (jax.tree.map(lambda x: x + 1, v), None), params, None, length=3)
    np.testing.assert_array_equal(last["b/n"], 7)


def test_donation(variables: js.Variables):
    step = jax.jit(lambda v: jax.tree.map(lambda x: x + 1, v), donate_argnums=0)
    stepped = step(variables)
    assert all(value.is_deleted() for value in variables.values())
    np.testing.assert_array_equal(stepped["b/w"], 2)


def test_one_compilation_for_one_set_of_names():
    traces = []

    @jax.jit
    def count(v: Any) -> Any:
        traces.append(v)
        return v

    count(js.Variables({"a": jnp.ones(2), "b": jnp.ones(2)}))
    count(js.Variables({"b": jnp.ones(2), "a": jnp.ones(2)}))
    assert len(traces) == 1


def test_with_optax(variables: js.Variables):
    optax = pytest.importorskip("optax")
    params = variables.trainable
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    state = optimizer.init(params)
    gradients = jax.tree.map(jnp.ones_like, params)
    with jax.numpy_dtype_promotion("standard"):  # optax raises Python floats to integer arrays
        updates, state = jax.jit(optimizer.update)(gradients, state, params)
    new = optax.apply_updates(params, updates)
    assert isinstance(new, js.Variables)
    assert jax.tree.structure(new) == jax.tree.structure(params)
    assert all(np.all(new[name] < params[name]) for name in params)
    assert isinstance(state[1][0].mu, js.Variables)


def test_masks_for_optax_are_maps_by_name(variables: js.Variables):
    optax = pytest.importorskip("optax")
    params = variables.trainable
    mask = jax.tree_util.tree_map_with_path(lambda path, _: path[0].key.endswith("/w"), params)
    optimizer = optax.masked(optax.set_to_zero(), mask)
    updates, _ = optimizer.update(params, optimizer.init(params))
    np.testing.assert_array_equal(updates["b/w"], 0)
    np.testing.assert_array_equal(updates["b/n"], 4)


# --- selecting and merging ---------------------------------------------------------------------


def test_select_by_expression_or_predicate(variables: js.Variables):
    assert list(variables.select("b/")) == ["b/n", "b/w"]
    assert list(variables.select(lambda name, value: value.ndim == 2)) == ["b/w"]
    assert list(variables.select("a").non_trainable) == ["a"]


def test_a_predicate_takes_a_name_and_a_value(variables: js.Variables):
    with pytest.raises(TypeError, match="called with a full name and a value"):
        variables.partition(lambda name: True)  # type: ignore[arg-type,misc]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("method", [js.Variables.select, js.Variables.partition])
def test_an_expression_that_matches_nothing_is_an_error(variables: js.Variables, method: Any):
    """Most often it has a slip; a predicate, which nobody mistypes, may find nothing."""
    with pytest.raises(VariableNotFoundError) as caught:
        method(variables, "bb/")
    assert str(caught.value) == (
        "no variable's name matches 'bb/'\n"
        "  near     b/\n"
        "  fix      use a pattern that matches at the start of a full name"
    )
    assert caught.value.code == "nothing_matches"
    assert not variables.select(lambda name, value: False)
    assert not js.Variables().select("c/")


def test_an_expression_that_matches_inside_a_name_is_told_how_to_say_so(variables: js.Variables):
    with pytest.raises(VariableNotFoundError, match=r"at the start of a full name: '\.\*w' finds 'b/w'"):
        variables.select("w")
    assert list(variables.select(".*w")) == ["b/w"]


def test_the_name_of_a_scope_is_told_how_to_be_selected(variables: js.Variables):
    for name in ("b", "b/"):
        with pytest.raises(KeyError, match=r"which is a scope: select\('b/'\) has what is in it"):
            variables[name]
    with pytest.raises(KeyError, match="no variable 'a/'; near names: a"):
        variables["a/"]


def test_partition_and_merge_are_inverse(variables: js.Variables):
    for pattern in ("b/", "", lambda name, _: False, lambda name, _: name < "b/o"):
        one, two = variables.partition(pattern)
        assert not set(one) & set(two)
        merged = one | two
        assert jax.tree.structure(merged) == jax.tree.structure(variables)
        assert all(merged[name] is variables[name] for name in variables)
    params, state = variables.trainable, variables.non_trainable
    assert jax.tree.structure(params | state) == jax.tree.structure(variables)
    assert jax.tree.structure(state | params) == jax.tree.structure(variables)


def test_merge_takes_the_right_value_as_a_dict_does():
    left, right = js.Variables({"a": jnp.zeros(2)}), {"a": jnp.ones(2), "b": jnp.ones(3)}
    np.testing.assert_array_equal((left | right)["a"], 1)
    np.testing.assert_array_equal((right | left)["a"], 0)
    assert isinstance(right | left, js.Variables)


@pytest.mark.parametrize(
    "other",
    [
        js.Variables({"a": jnp.zeros(3)}),
        js.Variables({"a": jnp.zeros(2, jnp.int32)}),
        js.Variables({"a": jnp.zeros(2)}, non_trainable=["a"]),
    ],
    ids=["shape", "dtype", "trainable"],
)
def test_a_clash_is_an_error(other: js.Variables):
    variables = js.Variables({"a": jnp.zeros(2), "b": jnp.zeros(2)})
    for merge in (lambda: variables | other, lambda: other | variables):
        with pytest.raises(MergeError, match="variable 'a'") as caught:
            merge()
        assert caught.value.code == "merge"


@pytest.mark.parametrize("other", [None, [("a", 1)], 3])
def test_only_mappings_merge(other: Any):
    with pytest.raises(TypeError, match="unsupported operand"):
        js.Variables({"a": 1}) | other


def test_replace(variables: js.Variables):
    new = variables.replace({"b/n": jnp.float32(5)})
    assert jax.tree.structure(new) == jax.tree.structure(variables)
    assert new["b/n"] == 5
    assert new["b/w"] is variables["b/w"]
    assert variables["b/n"] == 4
    with pytest.raises(VariableNotFoundError, match="near     b/w"):
        variables.replace({"b/W": 1})
    with pytest.raises(MergeError, match="left     int32\\[2\\]\n  right    int32\\[3\\]"):
        variables.replace({"a": jnp.zeros(3, jnp.int32)})


def test_rename(variables: js.Variables):
    table = variables.rename({"a": "c/a"})
    assert list(table) == ["b/n", "b/w", "c/a"]
    assert list(table.non_trainable) == ["c/a"]
    assert list(variables.rename(lambda name: "net/" + name)) == ["net/a", "net/b/n", "net/b/w"]
    assert variables.rename({"b/n": "b/w", "b/w": "b/n"})["b/n"] is variables["b/w"]
    with pytest.raises(MergeError, match="two variables would be called 'b/w'"):
        variables.rename({"b/n": "b/w"})
    with pytest.raises(VariableNotFoundError):
        variables.rename({"c": "d"})


def test_rename_what_names_begin_with(variables: js.Variables):
    assert list(variables.rename("b/", "c/")) == ["a", "c/n", "c/w"]
    assert list(variables.rename("b/", "")) == ["a", "n", "w"]
    assert list(variables.rename("", "net/").non_trainable) == ["net/a"]
    with pytest.raises(VariableNotFoundError, match="no variable's name begins with 'B/'") as caught:
        variables.rename("B/", "c/")
    assert caught.value.code == "nothing_matches"
    assert not js.Variables().rename("B/", "c/")
    with pytest.raises(MergeError, match="two variables would be called 'a'"):
        variables.rename("b/n", "a")


@pytest.mark.parametrize("arguments", [("b/",), ({"a": "c"}, "d"), (str.upper, "d"), ("b/", 3)])
def test_rename_takes_one_of_three(variables: js.Variables, arguments: Any):
    with pytest.raises(TypeError, match="a mapping, a function, or two strings"):
        variables.rename(*arguments)


def test_nested_has_a_level_for_each_part(variables: js.Variables):
    assert variables.nested() == {"a": variables["a"], "b": {"n": variables["b/n"], "w": variables["b/w"]}}
    with pytest.raises(MergeError, match="'b/w' is in a scope whose name is also a variable's"):
        js.Variables({"b": 1, "b/w": 2}).nested()


# --- showing, copying --------------------------------------------------------------------------


def test_repr_shows_names_types_and_sizes_but_no_values(variables: js.Variables):
    assert repr(variables) == (
        "Variables({\n  a: int32[2] (8 B)\n  b/n: float32[] (4 B)\n  b/w: float32[2,3] (24 B)\n})"
    )


def test_repr_of_what_transforms_put_in():
    """Masks, None, numbers and labels are no arrays: the repr shows them."""
    shown = repr(
        js.Variables({"mask": True, "none": None, "label": "adam", "rate": 0.1, "key": jax.random.key(0)})
    )
    assert shown.splitlines()[1:-1] == [
        "  key: key<fry>[] (8 B)",
        "  label: 'adam'",
        "  mask: True",
        "  none: None",
        "  rate: 0.1",
    ]


def test_repr_is_short_whatever_there_is():
    """The first ones, the last ones, and how many are between."""
    many = js.Variables({f"layer_{number}/w": number for number in range(2000)})
    lines = repr(many).splitlines()
    assert len(lines) < 40
    assert lines[1] == "  layer_0/w: 0"
    assert lines[-2] == "  layer_1999/w: 1999"
    (left_out,) = [line for line in lines if "..." in line]
    assert left_out == f"  ... ({2000 - (len(lines) - 3):,} more)"


def test_repr_of_what_cannot_be_shown():
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "w: <Odd, which cannot be shown>" in repr(js.Variables({"w": Odd()}))


def test_repr_while_tracing(variables: js.Variables):
    shown = []
    jax.jit(lambda v: shown.append(repr(v)))(variables)
    assert shown == [repr(variables)]


@pytest.mark.parametrize(
    "duplicate",
    [lambda v: pickle.loads(pickle.dumps(v)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_copies(variables: js.Variables, duplicate: Any):
    made = duplicate(variables)
    assert jax.tree.structure(made) == jax.tree.structure(variables)
    assert list(made.non_trainable) == ["a"]
    jax.tree.map(np.testing.assert_array_equal, made, variables)


def test_structures_are_let_go():
    """What is kept for each set of names goes with the last tree of these names."""
    variables = js.Variables({"let/go": 1})
    layout = weakref.ref(variables._layout)
    del variables
    gc.collect()
    assert layout() is None


def test_functions_of_the_standard_library(variables: js.Variables):
    assert functools.reduce(lambda total, name: total + len(name), variables, 0) == 7
    match variables:
        case {"a": found}:
            assert found is variables["a"]
