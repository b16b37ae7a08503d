"""`tf.nn.embedding_lookup`: rows of a table, or of one in several parts."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxscope.tf1.base.converting import convert_many, convert_to_tensor
from jaxscope.tf1.base.errors import InvalidArgumentError, TensorTypeError, TensorValueError
from jaxscope.tf1.base.exporting import export
from jaxscope.tf1.base.operation import compute
from jaxscope.tf1.base.tensor import Tensor, known_value
from jaxscope.tf1.ops.math.clipping import clipped

__all__ = ["embedding_lookup"]


@export("nn.embedding_lookup")
def embedding_lookup(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:
    """Return the rows of a table that ids name.

    Args:
        params: The table, `[rows, ...]`, or a list of its parts.
        ids: Whole numbers.
        partition_strategy: How rows are dealt out to parts: "mod" in turns, "div" in runs.
        name: A name for the result.
        validate_indices: Without meaning, as in TensorFlow.
        max_norm: The greatest length of a row that is returned; longer ones are made shorter.

    Raises:
        TensorValueError: If there are no parts, or no such strategy (`tensor_value`).
        TensorTypeError: If ids are not whole numbers, or parts differ in dtype (`tensor_type`, ...).
        InvalidArgumentError: If ids known while tracing are out of range (`invalid_argument`).
    """
    parts = list(params) if isinstance(params, list | tuple) else [params]
    if not parts:
        raise TensorValueError("embedding_lookup needs a table")
    if len(parts) > 1 and partition_strategy not in {"mod", "div"}:
        raise TensorValueError(f'partition_strategy must be "mod" or "div", not {partition_strategy!r}')
    tables, places = convert_many(parts), convert_to_tensor(ids)
    if not places.dtype.is_integer:
        raise TensorTypeError(f"ids must be whole numbers, not {places.dtype.name}")
    if any(not table._held.shape for table in tables):
        raise TensorValueError("a table has rows, and a scalar has none", code="rank")
    rows = [int(table._held.shape[0]) for table in tables]
    known = known_value(places)
    if known is not None and known.size and (known.min() < 0 or known.max() >= sum(rows)):
        raise InvalidArgumentError(f"ids from {known.min()} to {known.max()} are not all in [0, {sum(rows)})")
    depth = len(places._held.shape)

    def run(places: Any, *tables: Any) -> Any:
        table = jnp.asarray(tables[0]) if len(tables) == 1 else jnp.concatenate(tables)
        found = table[places if len(tables) == 1 else _row(jnp.asarray(places), rows, partition_strategy)]
        if max_norm is None:
            return found
        return clipped(found, jnp.asarray(max_norm, found.dtype), tuple(range(depth, found.ndim)))

    return compute("EmbeddingLookup", run, places, *tables, name=name)


def _row(places: Any, rows: Sequence[int], strategy: str) -> Any:
    """Return where the rows are in the parts joined."""
    number = len(rows)
    starts = np.cumsum([0, *rows[:-1]]).astype(places.dtype)
    if strategy == "mod":
        return jnp.asarray(starts)[places % number] + places // number
    many, longer = divmod(sum(rows), number)  # the first parts have one row more
    runs = [many + 1] * longer + [many] * (number - longer)
    if runs == list(rows):
        return places
    part = jnp.maximum(places // (many + 1), (places - longer) // max(many, 1))
    begin = np.cumsum([0, *runs[:-1]]).astype(places.dtype)
    return jnp.asarray(starts - begin)[part] + places
