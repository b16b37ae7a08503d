"""Contents: variables, optimizer state, step and key as one flat set of arrays, and back.

Variables have their full names in a file. What goes along has names that no request can ask for, and facts
(strings beside the arrays) tell that they are ours: which variables are not trainable, which arrays are
typed keys.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

import jaxscope as js
from jaxscope.checkpoint.stored import Stored, is_text
from jaxscope.errors import CheckpointError

#: What names of arrays that are no variables begin with.
ALONG = "jaxscope:"
STEP, KEY, OPT_STATE = ALONG + "step", ALONG + "key", ALONG + "opt_state"
#: What TF1 calls the step; in a file of ours that does so, too, a fact of the name `STEP` says it.
TF1_STEP = "global_step"
#: Facts: the version of this layout; and what their names begin with.
_LONGEST = 60_000  # bytes of a name: zips have no longer ones
VERSION, FROZEN, IMPL = "jaxscope", "not trainable:", "key of:"


def flat(
    variables: Mapping[str, Any], opt_state: Any, step: Any, key: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return everything to be saved as arrays by name, and the facts.

    Raises:
        CheckpointError: Something is no array, or has a name that is taken; one error tells all.
    """
    # What was loaded has `variables`, which know what is trainable.
    there = getattr(variables, "variables", variables)
    made = there if isinstance(there, js.Variables) else js.Variables.from_nested(there)
    given: list[tuple[str, Any]] = list(made.items())
    facts = {VERSION: "1"} | {FROZEN + name: "" for name in made.non_trainable}
    if opt_state is not None:
        facts[OPT_STATE] = ""
        given += [(OPT_STATE + path, leaf) for path, leaf in named(opt_state)]
    if step is not None:
        given.append((STEP, step))
    if key is not None:
        given.append((KEY, key))
    arrays: dict[str, Any] = {}
    problems = _wrong_along(step, key) + [
        f"{name!r} is no name for a variable in a file" for name in made if not _may_be_called(name)
    ]
    for name, value in given:
        if name in arrays:
            problems.append(f"{name!r} is there twice")
        try:
            arrays[name] = _array(value)
        except (TypeError, ValueError):
            problems.append(f"{name} is no array but {type(value).__name__}")
            continue
        if is_key(arrays[name]):
            facts[IMPL + name] = str(jax.random.key_impl(arrays[name]))
            arrays[name] = jax.random.key_data(arrays[name])
    if problems:
        raise unsupported(problems)
    return arrays, facts


def _wrong_along(step: Any, key: Any) -> list[str]:
    """Return what is wrong with a step or a key."""
    problems: list[str] = []
    whole = isinstance(step, int) or jnp.issubdtype(getattr(step, "dtype", None) or "O", jnp.integer)
    if step is not None and not (whole and np.ndim(step) == 0):
        problems.append(f"step is no integer: {step!r}"[:200])
    if key is not None and not (hasattr(key, "dtype") and (is_key(key) or key.dtype == np.uint32)):
        problems.append(f"key is no key of JAX's but {type(key).__name__}")
    return problems


def unsupported(problems: list[str]) -> CheckpointError:
    """Return the error for values that cannot be saved."""
    return CheckpointError(
        "not everything can be saved, and nothing was",
        code="unsupported",
        values="\n".join(problems),
        fix="save arrays of this process's devices, under variables' names, in a format that has their types",
    )


def check_version(stored: Stored) -> None:
    """Raise an error for a file whose facts are of a later version of this layout."""
    said = stored.facts.get(VERSION, "1")
    if said != "1":
        raise CheckpointError(
            f"the file was saved by a later jaxscope, as version {said[:20]!r} of what it holds",
            code="unsupported",
            file=stored.path,
            fix="update jaxscope",
        )


def named(tree: Any) -> list[tuple[str, Any]]:
    """Return the leaves of a pytree, each with its path as text."""
    return [
        (jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    ]


def is_key(value: Any) -> bool:
    """Tell whether an array, or what stands for one, is of typed keys."""
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _may_be_called(name: str) -> bool:
    short = is_text(name) and len(name.encode()) < _LONGEST
    return short and not name.startswith((ALONG, "__")) and "\0" not in name


def _array(value: Any) -> Any:
    if isinstance(value, jax.Array | Tracer):
        return value
    if isinstance(value, np.ndarray):
        return value
    if hasattr(type(value), "__jax_array__"):
        return value.__jax_array__()
    if isinstance(value, bool | int | float | complex | np.generic) or hasattr(type(value), "__array__"):
        return np.asarray(value)
    raise TypeError
