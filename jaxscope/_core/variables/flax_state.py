"""Flax's serialization: what it has to know of a type to save and restore it, without an import of it."""

import sys
from collections.abc import Mapping
from typing import Any

from jaxscope.errors import VariablesMismatchError

_FLAX = "flax.serialization"
_told: list[Any] = []


def tell_flax(kind: type[Any]) -> None:
    """Let flax save and restore a type of named values, if the program has imported flax; once.

    Its state is the dict of what flax makes of the values, by their names. What is restored has just the
    names of the target, and is as trainable.

    Args:
        kind: `Variables`, which has `as_dict` and `non_trainable`.
    """
    flax = sys.modules.get(_FLAX)
    # A module that is just being imported has not all of its functions yet.
    if flax is None or flax in _told or not hasattr(flax, "register_serialization_state"):
        return
    _told[:] = [flax]

    def to_state(variables: Any) -> dict[str, Any]:
        return {name: flax.to_state_dict(value) for name, value in variables.items()}

    def from_state(target: Any, state: Mapping[str, Any]) -> Any:
        missing = [name for name in target if name not in state]
        extra = [name for name in state if name not in target]
        if missing or extra:
            raise VariablesMismatchError(
                f"what flax restores does not match the {len(target)} variables of the target",
                missing="\n".join(missing),
                extra="\n".join(map(str, extra)),
                fix="rename what was saved, flax.serialization.msgpack_restore(data), or give another target",
            )
        values = {name: flax.from_state_dict(value, state[name], name=name) for name, value in target.items()}
        return kind(values, non_trainable=target.non_trainable)

    flax.register_serialization_state(kind, to_state, from_state, override=True)
