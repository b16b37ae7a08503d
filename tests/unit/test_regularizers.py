"""Regularizers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import regularizers
from jaxscope.regularizers import l1, l1_l2, l2, no_regularizer, sum_of

V = np.array([[1.0, -3.0], [0.5, 2.0]], np.float32)


def test_formulas_are_tf1s():
    """The half of L2 is TF's `l2_loss`."""
    assert float(l1(0.1)(V)) == pytest.approx(0.1 * np.abs(V).sum())
    assert float(l2(0.1)(V)) == pytest.approx(0.1 * (V**2).sum() / 2)
    assert float(l1_l2(0.1, 0.3)(V)) == pytest.approx(0.1 * np.abs(V).sum() + 0.3 * (V**2).sum() / 2)
    assert float(l1_l2()(V)) == pytest.approx(np.abs(V).sum() + (V**2).sum() / 2)
    both = sum_of([l1(0.1), None, no_regularizer, l2(0.3)])
    assert float(both(V)) == pytest.approx(float(l1_l2(0.1, 0.3)(V)))


def test_gradients():
    """L2 gives weight decay, `scale * v`."""
    np.testing.assert_allclose(jax.grad(l2(0.1))(V), 0.1 * V, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(l1(0.1))(V), 0.1 * np.sign(V), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_loss_keeps_the_dtype(dtype: str):
    """Nothing is promoted, and the loss is a scalar."""
    for loss in (l1(0.1), l2(0.1), l1_l2(0.1, 0.2), sum_of([l1(0.1), l2(0.1)])):
        result = loss(jnp.asarray(V, dtype))
        assert (result.shape, result.dtype) == ((), dtype)


def test_no_loss():
    """A scale of 0 is no loss, as in TF1, and so is `no_regularizer`."""
    for none in (no_regularizer, l1(0.0), l2(0), l1_l2(0.0, 0.0), sum_of([]), sum_of([None, l1(0.0)])):
        assert none(V) is None
    assert float(l1_l2(0.0, 1.0)(V)) == pytest.approx(float(l2(1.0)(V)))


def test_values():
    """Equal arguments make equal regularizers, which can be keys."""
    assert l2(0.1) == l2(0.1)
    assert len({l2(0.1), l2(0.1), l1(0.1), sum_of([l1(0.1)]), sum_of([l1(0.1)])}) == 3
    assert repr(l1_l2(0.1, 0.2)) == "l1_l2(scale_l1=0.1, scale_l2=0.2)"
    assert regularizers.l2_regularizer is l2


def test_apart():
    """Losses that are kept apart are a collection's members one by one, and one sum elsewhere."""
    both = sum_of([l1(0.5), None, l2(0.0), l2(2.0)], apart=True)
    net = js.transform(
        lambda: (js.get_variable("w", [2, 2], regularizer=both), js.get_collection("regularization_losses"))[
            1
        ]
    )
    assert [float(loss) for loss in net.apply({"w": V})] == [float(l1(0.5)(V)), float(l2(2.0)(V))]
    assert float(both(V)) == float(l1(0.5)(V) + l2(2.0)(V))


@pytest.mark.parametrize("make", [l1, l2, l1_l2, lambda scale: l1_l2(1.0, scale)])
@pytest.mark.parametrize("scale", [-0.1, float("inf"), float("nan")])
def test_bad_scales(make, scale: float):
    """A scale is finite and not negative."""
    with pytest.raises(ValueError, match="must be finite and 0 or more, not"):
        make(scale)
