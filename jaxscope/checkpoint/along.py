"""What goes along with variables: optimizer state by the paths of its leaves, the step, keys."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding
from jax.tree_util import DictKey, keystr

from jaxscope.checkpoint import contents, converting, reads
from jaxscope.checkpoint.placing import splits, whole
from jaxscope.checkpoint.stored import Place, Stored, damaged


def planned(
    stored: Stored,
    given: Mapping[str, str],
    ways: Any,
    variables: Mapping[str, Any],
    problems: Any,
) -> tuple[list[Any], Any] | None:
    """Return the optimizer state's leaves, to be read or as they are, and its structure; or None.

    Args:
        stored: The file.
        given: Name here -> name in the file, of its variables: leaves whose path has a variable's name
            follow.
        ways: The arguments of `load`.
        variables: How variables are read: what has a variable's name and shape lives where the variable does.
        problems: What is wrong is added.
    """
    if ways.opt_state is None:
        return None
    if stored.tf1 and contents.OPT_STATE not in stored.facts:
        problems.add("opt_state", ["is none of JAX's; what TF1's optimizer kept is in loaded.slots"])
        return None
    there = {name for name in stored.entries if reads.is_along(stored, name)}
    unused = {name for name in there if name.startswith(contents.OPT_STATE)}
    paths, tree = jax.tree_util.tree_flatten_with_path(ways.opt_state)
    leaves: list[Any] = []
    for path, like in paths:
        old = tuple(DictKey(given.get(key.key, key.key)) if isinstance(key, DictKey) else key for key in path)
        name, shown = contents.OPT_STATE + keystr(old), f"opt_state{keystr(path)}"
        struct = like if hasattr(like, "dtype") and hasattr(like, "shape") else np.asarray(like)
        if name not in there:
            if ways.missing == "init" and not isinstance(like, jax.ShapeDtypeStruct):
                leaves.append(like)
            else:
                problems.add("missing", [f"{shown} {reads.typed(struct)}"])
            continue
        unused.discard(name)
        leaves.append(
            _leaf(stored, name, shown, struct, _place(path, struct, variables, ways), ways, problems)
        )
    if ways.extra == "error":
        problems.add(
            "extra",
            (f"{name.removeprefix(contents.ALONG)} {stored.entries[name]}" for name in sorted(unused)),
        )
    return leaves, tree


def _leaf(stored: Stored, name: str, shown: str, like: Any, place: Place, ways: Any, problems: Any) -> Any:
    dtype = None
    if (
        ways.cast
        and not contents.is_key(like)
        and converting.castable(stored.entries[name].dtype, like.dtype)
    ):
        dtype = converting.here(like.dtype)
    struct = reads.struct_of(stored, name, dtype)
    asked = like.dtype if contents.is_key(like) else converting.here(like.dtype)
    if struct.shape != tuple(like.shape):
        problems.add("shape", [f"{shown} {reads.typed(struct)}, not {reads.typed(like)}"])
    elif struct.dtype != asked:
        problems.add("dtype", [f"{shown} {reads.typed(struct)}, not {reads.typed(like)}"])
    else:
        problems.add("value", reads.misfits(stored, name, shown, struct.dtype))
    return reads.read_of(stored, name, shown, struct.dtype, place)


def _place(path: Any, like: Any, variables: Mapping[str, Any], ways: Any) -> Place:
    """Return where a leaf is to live: as the given pytree says, else as the variable of its name."""
    said = getattr(like, "sharding", None)
    if isinstance(said, Sharding) and (isinstance(like, jax.ShapeDtypeStruct) or len(said.device_set) > 1):
        return said
    for key in path:
        read = variables.get(key.key) if isinstance(key, DictKey) else None
        if read is not None and read.wanted.place is not None:
            place: Sharding = read.wanted.place
            # A leaf may have the name and another shape, as factored states do.
            return place if splits(place, tuple(like.shape)) else whole(ways.mesh)
    return whole(ways.mesh)


def told(stored: Stored, opt_state: tuple[list[Any], Any] | None) -> dict[str, str]:
    """Return what a file has beside variables, and what becomes of it, in words."""
    if contents.VERSION not in stored.facts:
        return {}
    found: dict[str, str] = {}
    if contents.OPT_STATE in stored.facts:
        count = sum(name.startswith(contents.OPT_STATE) for name in stored.entries)
        found["opt_state"] = f"{count} arrays, " + ("used" if opt_state is not None else "not asked for")
    for what, name in (("step", _step_name(stored)), ("key", contents.KEY)):
        if name in stored.entries:
            found[what] = str(stored.entries[name])
    return found


def _step_name(stored: Stored) -> str:
    """Return what the step is called in a file."""
    if contents.VERSION in stored.facts:
        return stored.facts.get(contents.STEP, contents.STEP)
    return contents.TF1_STEP if stored.tf1 else ""


def step_of(stored: Stored) -> int | None:
    """Return the step that a file has; None for none."""
    name = _step_name(stored)
    entry = stored.entries.get(name)
    if entry is None:
        return None
    if entry.shape != () or entry.dtype.kind not in "iu":
        if contents.VERSION not in stored.facts:
            return None  # a variable of TF1 that is called so
        raise damaged(stored.path, f"its step is {entry}")
    return int(stored.host(name))


def key_of(stored: Stored) -> jax.Array | None:
    """Return the key that a file has, typed or legacy as it was; None for none."""
    if contents.VERSION not in stored.facts or contents.KEY not in stored.entries:
        return None
    struct = reads.struct_of(stored, contents.KEY)
    reads.check_expansion(stored, [contents.KEY])
    return reads.fetched(stored, [reads.read_of(stored, contents.KEY, "key", struct.dtype, None)])[0]
