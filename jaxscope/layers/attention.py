"""Attention of many heads, through `jax.nn.dot_product_attention`."""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

import jaxscope as js
from jaxscope.layers.arrays import promote
from jaxscope.layers.cache import Cache
from jaxscope.layers.call import Constraint, LayerCall, Regularizer
from jaxscope.layers.dense_layer import dense
from jaxscope.layers.gathering import bias_of, booleans, gather, mask_of
from jaxscope.layers.rotary import rotate


def multi_head_attention(
    inputs: ArrayLike,
    num_heads: int,
    head_size: int | None = None,
    *,
    memory: ArrayLike | None = None,
    kv_heads: int | None = None,
    output_size: int | None = None,
    causal: bool = False,
    mask: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    rotary: float | None = None,
    positions: ArrayLike | None = None,
    cache_size: int | None = None,
    scale: float | None = None,
    implementation: Literal["xla", "cudnn"] | None = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = js.initializers.zeros,
    kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None,
    kernel_constraint: Constraint = None,
    bias_constraint: Constraint = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    dtype: Any = None,
) -> jax.Array:
    """Return what each position gathers from all others, or from a memory, by several heads.

    The variables are `query`, `key`, `value` and `output`, each with `kernel` `[in, heads * size]` and
    `bias`, as of `js.layers.dense`. With `cache_size` the keys and values of earlier calls are kept as state,
    so that a text can be fed piece by piece: the results are those of the whole text at once. That state is
    `cached_key` and `cached_value` `[batch, cache_size, kv_heads, size]`, `cached_mask` `[batch, cache_size]`
    and `cache_index`, and `net.apply_with_state` returns it.

    Args:
        inputs: `[batch, time, features]`, of a floating dtype.
        num_heads: The number of heads.
        head_size: The size of a head; None for `features / num_heads`.
        memory: `[batch, length, features]`: where keys and values come from; None for the inputs.
        kv_heads: The number of heads of keys and values, each of which serves a group of the query's; None
            for as many.
        output_size: The size of the result's last axis; None for that of the inputs.
        causal: Whether a position sees none that are later. With a cache it never does.
        mask: Booleans, where there is something to see: `[batch, length]`, `[batch, time, length]` or
            `[batch, heads, time, length]`. With a cache, `[batch, time]` for the new positions. A position
            that sees nothing gathers zeros.
        bias: Numbers added to the logits, of a shape that is broadcast to `[batch, heads, time, length]`;
            with a cache, length is its size.
        rotary: The base of rotary positions, such as 10000.0; None for no rotary positions.
        positions: `[time]` or `[batch, time]`: whole numbers for these; None to count, on from the cache. A
            memory counts by itself.
        cache_size: How many positions the cache has; None for no cache. Past its end results are NaN.
        scale: The factor of the logits; None for `1 / sqrt(head_size)`.
        implementation: As of `jax.nn.dot_product_attention`: "cudnn" for the fused one of Nvidia's GPUs.
        use_bias: Whether the four products have a bias.
        kernel_initializer: How the kernels begin; None for the scope's initializer, or Glorot uniform.
        bias_initializer: How the biases begin.
        kernel_regularizer: A loss on the kernels, beside that of the scope.
        bias_regularizer: A loss on the biases, beside that of the scope.
        kernel_constraint: What an optimizer is to apply to the kernels after each step.
        bias_constraint: Likewise, to the biases.
        trainable: Whether the variables are trainable.
        name: The scope's name, used as it is; None for `multi_head_attention`, `multi_head_attention_1`, ...
        reuse: Whether the scope shares variables: True, `js.AUTO_REUSE`, or None for what surrounds it.
        dtype: The dtype of the variables; None for the input's.

    Returns:
        `[batch, time, output_size]`.

    Raises:
        InvalidShapeError: An input has another rank, or sizes do not divide.
        ValueError: A cache is asked for together with a memory, or positions without rotary ones; or the mask
            has fractions, the bias booleans.
        StateError: There is a cache, and `apply` was called instead of `apply_with_state`.

    Source:
        Vaswani et al., "Attention Is All You Need", 2017; Ainslie et al., "GQA", 2023. TF1 has none.

    Example:
        >>> @js.transform
        ... def net(x, decode):
        ...     cache = 8 if decode else None
        ...     return js.layers.multi_head_attention(x, 2, causal=True, rotary=1e4, cache_size=cache)
        >>> x = jax.random.normal(jax.random.key(1), [1, 5, 4])
        >>> variables = net.init(jax.random.key(0), x, True)
        >>> first, state = net.apply_with_state(variables, x[:, :3], True)
        >>> later, state = net.apply_with_state(variables | state, x[:, 3:], True)
        >>> whole = net.apply(variables, x, False)
        >>> bool(jnp.allclose(jnp.concatenate([first, later], 1), whole, atol=1e-6))
        True
    """
    if memory is not None and cache_size is not None:
        raise ValueError("a cache is for the inputs' own keys and values; pass memory or cache_size")
    if positions is not None and rotary is None:
        raise ValueError("positions are for rotary positions alone; pass rotary=10000.0 with them")
    if rotary is not None and (isinstance(rotary, bool) or not rotary > 0):
        raise ValueError(f"rotary is the base of rotary positions, such as 10000.0, not {rotary!r}")
    kv_heads = num_heads if kv_heads is None else kv_heads
    with LayerCall("multi_head_attention", inputs, name, reuse, trainable=trainable, dtype=dtype) as call:
        x = call.inputs
        y = x if memory is None else jnp.asarray(memory)
        size = _head_size(call, y, num_heads, kv_heads, head_size, rotary)
        product = functools.partial(
            dense,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            trainable=trainable,
            dtype=dtype,
        )
        q, k, v = promote(
            product(x, num_heads * size, name="query").reshape(*x.shape[:2], num_heads, size),
            product(y, kv_heads * size, name="key").reshape(*y.shape[:2], kv_heads, size),
            product(y, kv_heads * size, name="value").reshape(*y.shape[:2], kv_heads, size),
        )
        cache = None if cache_size is None else Cache(call, cache_size)
        if rotary is not None:
            begin = 0 if cache is None else cache.begin
            counted = begin + jnp.arange(x.shape[1], dtype=jnp.int32)
            at = counted if positions is None else _positions(call, positions)
            q = rotate(q, at, rotary)
            k = rotate(k, at if memory is None else jnp.arange(y.shape[1]), rotary)
        seen = None if mask is None else booleans(mask)
        if cache is not None:
            k, v, seen = cache.append(k, v, seen)
        pairs = (x.shape[0], num_heads, x.shape[1], k.shape[1])
        seen = None if seen is None else mask_of(call, seen, pairs)
        added = None if bias is None else bias_of(call, bias, pairs)
        z = gather(q, k, v, added, seen, scale, causal and cache is None, implementation)
        z = z if cache is None else cache.or_nan(z)
        return product(
            z.reshape(*x.shape[:2], num_heads * size),
            x.shape[-1] if output_size is None else output_size,
            name="output",
        )


def _head_size(
    call: LayerCall, memory: jax.Array, heads: int, kv_heads: int, size: int | None, rotary: float | None
) -> int:
    """Return the size of a head.

    Raises:
        InvalidShapeError: An input has another rank, or sizes do not divide.
    """
    call.expect_rank(3, "[batch, time, features]")
    features = call.inputs.shape[-1]
    if memory.ndim != 3 or memory.shape[0] != call.inputs.shape[0]:
        raise call.wrong_shape(
            f"has a memory of shape {list(memory.shape)}", "pass one of [batch, length, features]"
        )
    if heads < 1 or kv_heads < 1 or heads % kv_heads:
        raise call.wrong_shape(
            f"has {heads} heads of queries and {kv_heads} of keys",
            "let kv_heads divide num_heads, so that each serves a group",
        )
    if size is not None and size < 1:
        raise call.wrong_shape(f"has heads of size {size}", "pass a head_size above 0")
    if size is None:
        if features % heads or not features:
            raise call.wrong_shape(f"has {heads} heads, which do not divide the features", "pass head_size=")
        size = features // heads
    if rotary is not None and size % 2:
        raise call.wrong_shape(f"turns pairs of features, and its heads are of size {size}", "use even heads")
    return size


def _positions(call: LayerCall, positions: ArrayLike) -> jax.Array:
    """Return positions as an array; raise `InvalidShapeError` unless there is one for each time."""
    given = jnp.asarray(positions)
    batch, time = call.inputs.shape[:2]
    if given.shape not in {(time,), (batch, time), (1, time)}:
        raise call.wrong_shape(
            f"has positions of shape {list(given.shape)}", f"pass {[time]} or {[batch, time]} of them"
        )
    return given
