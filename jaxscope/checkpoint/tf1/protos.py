"""Tensors as messages: numbers in lists by type, or all bytes at once, as files of version 1 have them.

Source:
    TensorFlow's `core/framework/tensor.proto`.
"""

from typing import Any

import numpy as np

from jaxscope.checkpoint.stored import size_of
from jaxscope.checkpoint.tf1.dtypes import DTYPES, STRING
from jaxscope.checkpoint.tf1.wire import BYTES, VARINT, Bytes, WrongError, fields, varints

_CONTENT, _STRINGS = 4, 8
#: Type -> the field with its list; and how numbers of fixed size are written there.
_LISTS = {1: 5, 2: 6, 8: 9, 18: 12, 9: 10, 10: 11, 14: 13, 19: 13, 22: 16, 23: 17}
_FIXED = {5: "<f4", 6: "<f8", 9: "<f4", 12: "<f8"}
_SMALL_INTEGERS = 7
_KINDS = {1: VARINT, _CONTENT: BYTES, _STRINGS: BYTES, _SMALL_INTEGERS: BYTES} | dict.fromkeys(
    _LISTS.values(), BYTES
)


def values(data: Bytes, dtype: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return the values of a tensor: numbers, or `bytes` objects.

    Args:
        data: The message.
        dtype: TF1's number of the type that it must have.
        shape: Axis lengths. Where there are fewer values, the last is repeated.
    """
    lists: dict[int, list[Bytes]] = {}
    said = 0
    for number, value in fields(data, _KINDS):
        if number == 1:
            said = value
        else:
            lists.setdefault(number, []).append(value)
    if said not in (0, dtype):  # TF1 does not say it
        raise WrongError(f"its values are of type {said}, not {dtype}")
    count = size_of(shape)
    if dtype == STRING:
        made = np.empty(count, object)
        given = [bytes(one) for one in lists.get(_STRINGS, [])]
        if len(given) != count:
            raise WrongError(f"it has {len(given):,} of {count:,} strings")
        made[:] = given
        return made.reshape(shape)
    found = _numbers(lists, dtype)
    if found.size > count or (count and not found.size):
        raise WrongError(f"it has {found.size:,} of {count:,} values")
    if found.size < count:
        found = np.concatenate([found, np.broadcast_to(found[-1:], count - found.size)])
    return found.reshape(shape)


def _numbers(lists: dict[int, list[Bytes]], dtype: int) -> np.ndarray[Any, Any]:
    kind = DTYPES[dtype]
    if _CONTENT in lists:
        raw = b"".join(lists[_CONTENT]) if len(lists[_CONTENT]) > 1 else lists[_CONTENT][0]
        if len(raw) % kind.itemsize:
            raise WrongError(f"its {len(raw):,} bytes are not of {kind.itemsize} each")
        return _aligned(np.frombuffer(raw, np.uint8), kind)
    number = _LISTS.get(dtype, _SMALL_INTEGERS)
    pieces = lists.get(number, [])
    raw = b"".join(pieces) if len(pieces) != 1 else pieces[0]
    if number in _FIXED:
        if len(raw) % kind.itemsize:
            raise WrongError(f"its {len(raw):,} bytes are not of {kind.itemsize} each")
        return (
            _aligned(np.frombuffer(raw, np.uint8), np.dtype(_FIXED[number]))
            .astype(np.dtype(_FIXED[number]).newbyteorder("="), copy=False)
            .view(kind)
        )
    found = varints(raw)
    if number == _LISTS[19]:
        return _fitting(found, np.dtype("uint16")).view(kind)
    return _fitting(found if kind.kind in "ub" else found.view(np.int64), kind)


def _aligned(raw: np.ndarray[Any, Any], kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    value = raw.view(kind)
    return value if value.flags.aligned else value.copy()


def _fitting(found: np.ndarray[Any, Any], kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    made = found.astype(kind)
    if not np.array_equal(made.astype(found.dtype), found):
        raise WrongError(f"a value is no {kind.name}")
    return made
