"""A table with a row for each id."""

import operator
from collections.abc import Iterable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.call import Constraint, LayerCall, Regularizer
from jaxscope.sites import users_line


def embedding(
    ids: ArrayLike,
    vocab_size: int,
    embed_dim: int | Iterable[int],
    initializer: Any = None,
    regularizer: Regularizer = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    *,
    constraint: Constraint = None,
    dtype: Any = None,
    attend: bool = False,
) -> jax.Array:
    """Return the rows of a table that ids stand for; or, with `attend`, how features agree with each row.

    Args:
        ids: Any shape, whole numbers. With `attend`, features: `[..., embed_dim]`, of a floating dtype.
        vocab_size: The number of rows.
        embed_dim: The size of a row, or its sizes.
        initializer: How the table `embeddings` begins; None for the scope's initializer, or Glorot uniform.
        regularizer: A loss on the table, beside that of the scope.
        trainable: Whether the table is trainable.
        name: The scope's name, used as it is; None for `embedding`, `embedding_1`, ...
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        constraint: What an optimizer is to apply to the table after each step.
        dtype: The dtype of the table; None for the scope's.
        attend: Whether the table is used the other way round: features times each row, for the logits of a
            model whose output is tied to its input. Share the table by name and `reuse=True`.

    Returns:
        `[*ids.shape, *embed_dim]`: NaN where an id is not in the table. With `attend`, `[..., vocab_size]`.

    Raises:
        InvalidDtypeError: Ids are no whole numbers.
        InvalidShapeError: Features are not of the size of a row, or rows have other than one axis.

    Source:
        `tf.contrib.layers.embed_sequence`, with the scope's name of `tf.keras.layers.Embedding`.

    Example:
        >>> @js.transform
        ... def net(ids):
        ...     x = js.layers.embedding(ids, 10, 4, name="words")
        ...     return js.layers.embedding(x, 10, 4, name="words", reuse=True, attend=True)
        >>> variables = net.init(jax.random.key(0), jnp.array([1, 2, 3]))
        >>> {name: v.shape for name, v in variables.items()}
        {'words/embeddings': (10, 4)}
        >>> net.apply(variables, jnp.array([1, 2, 3])).shape
        (3, 10)
    """
    with LayerCall("embedding", ids, name, reuse, trainable=trainable) as call:
        # The ids have no dtype to give: the table has that of the scope, as one that is asked for by hand.
        call.dtype = dtype
        x = call.inputs
        row = [*embed_dim] if isinstance(embed_dim, Iterable) else [operator.index(embed_dim)]
        if attend and (len(row) != 1 or x.shape[-1:] != tuple(row)):
            raise call.wrong_shape(f"has rows of {row}, and features of another size", "project the features")
        if isinstance(cast(object, vocab_size), int) and vocab_size < 1:
            raise call.wrong_shape(f"has a table of {vocab_size} rows", "pass a vocab_size above 0")
        if not attend and not jnp.issubdtype(x.dtype, jnp.integer):
            raise js.errors.InvalidDtypeError(
                f"embedding takes ids, which are whole numbers, not {x.dtype}",
                code="layer_dtype",
                at=users_line(),
                scope=str(call.scope),
                fix='convert them: ids.astype("int32"), or pass attend=True for features',
            )
        table = call.variable("embeddings", [vocab_size, *row], initializer, regularizer, constraint)
        if attend:
            x, table = promote(x, table)
            return cast(jax.Array, x @ table.T)
        return table.at[x].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
