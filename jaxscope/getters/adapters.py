"""Adapters: a weight that stays as it is, and a product of two small ones beside it, which is trained."""

# ruff: noqa: N801 - getters are called as functions are
import dataclasses

import jax
import jax.numpy as jnp

import jaxscope as js
from jaxscope.getters.arguments import check_name, check_number, check_whole
from jaxscope.getters.asking import Asked
from jaxscope.getters.getter import Getter, Loss
from jaxscope.getters.requests import Request
from jaxscope.getters.weights import no_constraint, wide_dtype
from jaxscope.getters.where import Where


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class lora(Getter):
    """Return a getter that freezes weights and adds a trained product of low rank.

    The model gets `w + alpha / rank * a @ b`. For a weight `w` of shape `[..., in, out]` there are, below
    its name, `lora_a` `[..., in, rank]`, which begins as uniform numbers, and `lora_b` `[rank, out]`, which
    begins as zeros, so that the model begins as without. It is for trainable variables of a floating dtype
    with two axes or more. A loss on a weight is on what the model gets.

    Args:
        rank: The inner size of the product.
        alpha: The product is multiplied by `alpha / rank`; None for rank, so by 1.
        where: A regular expression that full names match at their start, a predicate of a
            `js.getters.Request`, or None for all weights.
        name: What the two begin with: another name for a second adapter of the same weights.

    Raises:
        GetterError: An argument is none (code `getter_argument`); or, when it is used, the weight has a
            constraint, which it cannot keep (code `getter_constraint`).
        VariableNotFoundError: At the end of a call, in which the pattern matched nothing.

    Source:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021; `lora_a` begins as in its code.

    Example:
        >>> @js.transform
        ... def net(x):
        ...     with js.variable_scope("", custom_getter=js.getters.lora(1, where=r".*/kernel")):
        ...         return js.layers.dense(x, 2)
        >>> variables = net.init(jax.random.key(0), jnp.ones([1, 3]))
        >>> {name: v.shape for name, v in variables.trainable.items()}
        {'dense/bias': (2,), 'dense/kernel/lora_a': (3, 1), 'dense/kernel/lora_b': (1, 2)}
    """

    rank: int
    alpha: float | None = None
    where: Where = None
    name: str = "lora"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "rank", least=1)
        check_name(self, "name")
        if self.alpha is not None:
            check_number(self, "alpha", "a number", "16")

    def unfit(self, request: Request) -> str:
        return request.unfit_as_weight()

    def get(self, asked: Asked) -> jax.Array:
        request = asked.request
        no_constraint(self, request)
        base = asked.frozen(regularizer=None)
        last = base.ndim - 1
        uniform = js.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        a = asked.below(
            f"{self.name}_a",
            (*base.shape[:-1], self.rank),
            request.dtype,
            uniform,
            axes=(*range(last), None),
        )
        b = asked.below(
            f"{self.name}_b",
            (self.rank, base.shape[-1]),
            request.dtype,
            js.initializers.zeros,
            axes=(None, last),
            regularizer=Loss.of(asked, self, f"{self.name}_b"),
        )
        return self.combine(request, base, a, b)

    def combine(self, request: Request, *values: jax.Array) -> jax.Array:
        base, a, b = values
        factor = 1.0 if self.alpha is None else self.alpha / self.rank
        wide = wide_dtype(base.dtype)
        product = jnp.tensordot(a, b.astype(a.dtype), 1).astype(wide) * factor
        return (jax.lax.stop_gradient(base).astype(wide) + product).astype(base.dtype)
