"""Leaves: the arrays of whatever has names, one after the other, of which none is read before it is used."""

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

import jaxscope as js


class Leaf(NamedTuple):
    """One array by its name, or what stands for one.

    Attributes:
        name: The full name; a path for what is in other trees: `0/mu/gpt/w`.
        shape: Axis lengths, in elements; None for what is no array.
        dtype: The element type; None likewise.
        trainable: Whether it is; None where that is not known.
        read: Returns the value; None where there is none, as for a spec.
        note: What is to be said of it, where it cannot be read.
        sharding: How it lies on devices: the array's sharding, or what a spec was given; None where that is
            not known.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: Any
    trainable: bool | None
    read: Callable[[], Any] | None
    note: str = ""
    sharding: Any = None

    @property
    def elements(self) -> int:
        """The number of elements."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size, in bytes."""
        return self.elements * int(getattr(self.dtype, "itemsize", 0))

    @property
    def type(self) -> str:
        """The element type and the shape in one word; "" for what is no array."""
        return "" if self.shape is None else type_text(self)


#: What has named arrays: variables, specs, gradients, optimizer states, dicts, what `js.checkpoint` opens, or
#: the path of a file.
Named = Any


def leaves(named: Named) -> list[Leaf]:
    """Return the arrays of whatever has names, in its order.

    Args:
        named: `Variables`, specs, any pytree of arrays (gradients, optimizer states, mappings in mappings),
            another mapping of names to arrays (whose values are asked for one by one), or a path of a file.

    Raises:
        VariablesMismatchError: It is none of these, or has two arrays of one name.
        CheckpointError: The file is damaged, or of no known format.
        FileNotFoundError: There is no file.
    """
    if isinstance(named, str | os.PathLike):
        named = js.checkpoint.load_checkpoint(os.fspath(named))
    if isinstance(named, js.VariableSpecs):
        return [_of_spec(name, spec) for name, spec in named.items()]
    if isinstance(named, js.Variables):
        frozen = set(named.non_trainable)
        return [_leaf(name, value, name not in frozen) for name, value in named.items()]
    if isinstance(named, js.checkpoint.CheckpointReader):
        return _of_reader(named)
    if isinstance(named, js.checkpoint.Loaded):
        return _of_loaded(named)
    if isinstance(named, Mapping) and jax.tree_util.all_leaves([named]):
        return [_asked_for(str(name), named) for name in named]  # an archive of NumPy's, say
    found = list(_of_tree(named))
    if len({leaf.name for leaf in found}) < len(found):
        names = [leaf.name for leaf in found]
        raise js.errors.VariablesMismatchError(
            "two arrays would have one name",
            names="\n".join(sorted({name for name in names if names.count(name) > 1})),
            fix="give what has them one by one",
        )
    if any(leaf.shape is None and not leaf.name for leaf in found):
        raise js.errors.VariablesMismatchError(
            f"variables are a mapping of full names to values, and this is of type {type(named).__name__}",
            fix="pass variables, specs, gradients, an optimizer state, a dict of names, or a file's path",
        )
    return found


@functools.cache  # NumPy makes the name anew each time
def named_dtype(dtype: Any) -> str:
    """Return the name of an element type."""
    return str(getattr(dtype, "name", dtype))


def type_text(array: Any) -> str:
    """Return the element type and the shape of an array, or of what stands for one, in one word."""
    return f"{named_dtype(array.dtype)}[{','.join(map(str, array.shape))}]"


def is_array(value: Any) -> bool:
    """Tell an array, or what stands for one, from what has no shape and dtype."""
    return not isinstance(value, type) and hasattr(value, "shape") and hasattr(value, "dtype")


def on_host(value: Any) -> bool:
    """Tell whether an array is in the host's memory, so that NumPy can look at it there."""
    if not isinstance(value, jax.Array):
        return True
    devices: Any = value.sharding.device_set
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


def is_key(dtype: Any) -> bool:
    """Tell whether arrays of a type are of typed keys."""
    return jnp.issubdtype(dtype, jax.dtypes.prng_key)


def flat(value: Any) -> np.ndarray[Any, Any]:
    """Return the elements of an array one after the other, on the host; of keys their data."""
    if is_key(value.dtype):
        value = jax.random.key_data(value)
    return np.ascontiguousarray(value).reshape(-1)


def _of_tree(tree: Any) -> Iterator[Leaf]:
    if isinstance(tree, Mapping):  # in its own order, which a flattened dict has not
        for key, value in tree.items():
            for leaf in _of_tree(value):
                yield leaf._replace(name=f"{key}/{leaf.name}" if leaf.name else str(key))
        return
    for path, value in jax.tree_util.tree_flatten_with_path(tree)[0]:
        yield _leaf("/".join(map(_key, path)), value, None)


def _key(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


class _Given:
    """Reads what is there."""

    # One object; a function is three, and for so many more Python's collector looks at all there is.
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self) -> Any:
        return self.value


def _leaf(name: str, value: Any, trainable: bool | None) -> Leaf:
    if isinstance(value, js.VariableSpec):
        return _of_spec(name, value)
    if isinstance(value, bool | int | float | complex):
        value = np.asarray(value)
    if not is_array(value):
        return Leaf(name, None, None, trainable, None, f"= {value!r}"[:80])
    if isinstance(value, Tracer):
        raise js.errors.VariablesMismatchError(
            f"{name!r} has no value yet: it is traced",
            fix="return it from the jitted function, and look at the result; or look at its specs",
        )
    known = isinstance(value, (jax.Array, np.ndarray, np.generic))
    shape = tuple(value.shape)
    sharding = getattr(value, "sharding", None)
    return Leaf(name, shape, value.dtype, trainable, _Given(value) if known else None, sharding=sharding)


def _of_spec(name: str, spec: js.VariableSpec) -> Leaf:
    return Leaf(name, spec.shape, spec.dtype, spec.trainable, None, sharding=spec.sharding)


def _asked_for(name: str, values: Mapping[str, Any]) -> Leaf:
    value = np.asanyarray(values[name])
    return Leaf(name, value.shape, value.dtype, None, lambda: values[name])


def _of_loaded(loaded: "js.checkpoint.Loaded") -> list[Leaf]:
    types = loaded.shape_dtypes()
    frozen = set(types.non_trainable)
    return [
        Leaf(name, tuple(one.shape), one.dtype, name not in frozen, _reading(loaded, name))
        for name, one in types.items()
    ]


def _of_reader(reader: "js.checkpoint.CheckpointReader") -> list[Leaf]:
    types, unreadable, frozen = reader.get_variable_to_dtype_map(), reader.unreadable, reader.non_trainable
    found: list[Leaf] = []
    for name, shape in reader.get_variable_to_shape_map().items():
        note = unreadable.get(name, "")
        read = None if note else _reading(reader, name)
        found.append(Leaf(name, tuple(shape), types[name], name not in frozen, read, note))
    return found


def _reading(reader: Mapping[str, Any], name: str) -> Callable[[], Any]:
    return lambda: reader[name]
