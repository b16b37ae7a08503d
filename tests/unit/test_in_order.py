"""Order: pytrees whose dicts keep the order that they have."""

import collections
from typing import Any

import jax
from hypothesis import given
from hypothesis import strategies as st

from jaxscope._core.base.in_order import in_order

LEAVES = st.integers() | st.none()
KEYS = st.integers(0, 3) | st.sampled_from("abc") | st.none()
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3).map(lambda found: collections.defaultdict(list, found))
    ),
    max_leaves=8,
)


def shown(tree: Any) -> str:
    """Return a text that tells types and order."""
    return repr(tree)


@given(tree=TREES)
def test_what_comes_back_is_the_same_in_the_same_order(tree: Any):
    leaves, structure = jax.tree.flatten(in_order(tree))
    assert shown(jax.tree.unflatten(structure, leaves)) == shown(tree)


@given(tree=TREES)
def test_leaves_come_in_the_order_of_the_dicts(tree: Any):
    def visit(tree: Any) -> list[int]:
        if isinstance(tree, dict):
            return [leaf for item in tree.values() for leaf in visit(item)]
        if isinstance(tree, list | tuple):
            return [leaf for item in tree for leaf in visit(item)]
        return [] if tree is None else [tree]

    assert jax.tree.leaves(in_order(tree)) == visit(tree)


def test_paths_say_the_keys():
    [(path, _)] = jax.tree_util.tree_flatten_with_path(in_order({"b": [{1: 0}]}))[0]
    assert jax.tree_util.keystr(path) == "['b'][0][1]"


def test_another_order_is_another_structure():
    one, other = (jax.tree.structure(in_order(tree)) for tree in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one != other
