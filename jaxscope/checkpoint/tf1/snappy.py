"""Snappy, by the package cramjam, of which no more comes out than can be in what is compressed."""

import numpy as np

from jaxscope.checkpoint.tf1.wire import Bytes, WrongError, varint
from jaxscope.extras import library

# The best that the format can do is a copy of 64 bytes in 3; in front is the length.
_MOST_TIMES = 22


def decompressed(data: Bytes) -> memoryview:
    """Return what is compressed, which says its length at the beginning.

    Raises:
        WrongError: It is not of the format, or says that it is longer than it can be.
        ImportError: cramjam is not installed.
    """
    cramjam = library("cramjam", "a compressed checkpoint of TF1's")
    length, _ = varint(data, 0)
    if length > _MOST_TIMES * len(data):
        raise WrongError(f"{len(data):,} bytes of Snappy would be {length:,}")
    made = np.empty(length, np.uint8)
    try:
        count = cramjam.snappy.decompress_raw_into(np.frombuffer(data, np.uint8), made)
    except cramjam.DecompressionError as problem:
        raise WrongError(f"what is compressed cannot be read: {str(problem)[:100]}") from None
    if count != length:
        raise WrongError(f"{count:,} bytes were compressed, not {length:,}")
    return made.data
