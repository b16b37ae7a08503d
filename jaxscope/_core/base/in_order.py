"""Order: pytrees in which dicts keep the order that they have, which JAX's own nodes forget."""

import collections
from typing import Any

import jax

__all__ = ["in_order"]

_DICTS = (dict, collections.defaultdict)


@jax.tree_util.register_pytree_with_keys_class
class _Items:
    """A dict as a node with its values in their order, of which a dict is made again.

    Args:
        content: A dict or a `collections.defaultdict`.
    """

    __slots__ = ("content",)

    def __init__(self, content: dict[Any, Any]) -> None:
        self.content = content

    def _kind(self) -> tuple[Any, ...]:
        factory = getattr(self.content, "default_factory", None)
        return (type(self.content), factory, *self.content)

    def tree_flatten_with_keys(self) -> tuple[Any, tuple[Any, ...]]:
        """Return the values with their keys, and kind and keys."""
        pairs = [(jax.tree_util.DictKey(key), in_order(item)) for key, item in self.content.items()]
        return pairs, self._kind()

    def tree_flatten(self) -> tuple[Any, tuple[Any, ...]]:
        """Return the values, and kind and keys."""
        return [in_order(item) for item in self.content.values()], self._kind()

    @classmethod
    def tree_unflatten(cls, kind: tuple[Any, ...], values: Any) -> Any:
        """Return a dict again."""
        made, factory, *keys = kind
        pairs = zip(keys, values, strict=True)
        return dict(pairs) if made is dict else made(factory, pairs)


def _is_dict(value: Any) -> bool:
    return type(value) in _DICTS


def in_order(tree: Any) -> Any:
    """Return a pytree like another one, whose dicts become nodes that keep their order.

    JAX sorts a dict by its keys, so that code which goes through it would see another order, and one whose
    keys cannot be sorted is an error. What is made of the new one's structure has dicts again.

    Args:
        tree: Any pytree.

    Example:
        >>> leaves, structure = jax.tree.flatten(in_order({"b": 1, "a": 2}))
        >>> leaves, list(jax.tree.unflatten(structure, leaves))
        ([1, 2], ['b', 'a'])
    """
    if type(tree) in _DICTS:
        return _Items(tree)
    leaves, structure = jax.tree.flatten(tree, is_leaf=_is_dict)
    if not any(type(leaf) in _DICTS for leaf in leaves):
        return tree
    return jax.tree.unflatten(structure, [_Items(leaf) if type(leaf) in _DICTS else leaf for leaf in leaves])
