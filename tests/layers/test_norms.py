"""Normalizations are what their formulas say, for options drawn at random, and accurate far from 0."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from tests.layers import by_hand
from tests.layers.at_once import at_once
from tests.layers.configurations import KEY, example


def drawn(specs, rng):
    """Return numbers that serve as variances, too."""
    names = [name for name, spec in specs.items() if not spec.trainable]
    values = {name: rng.uniform(0.1, 2, spec.shape).astype("float32") for name, spec in specs.items()}
    return js.Variables(values, non_trainable=names)


def own(variables):
    return {name.rpartition("/")[2]: np.asarray(value, float) for name, value in variables.items()}


def affine(v, y, axes=None):
    """Return `y * gamma + beta` along some axes; None for the last ones."""
    for name, operation in (("gamma", np.multiply), ("beta", np.add)):
        if name in v:
            shape = (
                v[name].shape if axes is None else [n if at in axes else 1 for at, n in enumerate(y.shape)]
            )
            y = operation(y, v[name].reshape(shape))
    return y


def draw_layer_norm(rng):
    rank = int(rng.integers(2, 5))
    shape = tuple(map(int, rng.integers(1, 5, rank)))
    norm, params = int(rng.integers(-rank + 1, rank)) or 1, int(rng.integers(-rank, rank))
    options = {"begin_norm_axis": norm, "begin_params_axis": params, "epsilon": 1e-3}
    axes = tuple(range(norm % rank, rank))
    return layers.layer_norm, shape, options, lambda x, v: affine(v, by_hand.standardized(x, axes, 1e-3))


def draw_rms_norm(rng):
    rank = int(rng.integers(1, 4))
    axis = int(rng.integers(-rank, rank))

    def formula(x, v):
        y = x / np.sqrt(np.mean(x**2, axis, keepdims=True) + 1e-2)
        return affine({"gamma": v["scale"]}, y, [axis % rank])

    return (
        layers.rms_norm,
        tuple(map(int, rng.integers(1, 5, rank))),
        {"axis": axis, "epsilon": 1e-2},
        formula,
    )


def draw_instance_norm(rng):
    rank = int(rng.integers(3, 6))
    first = bool(rng.integers(2))
    channels = 1 if first else rank - 1
    axes = tuple(at for at in range(1, rank) if at != channels)
    options = {"data_format": "channels_first" if first else "channels_last", "epsilon": 1e-2}
    shape = tuple(map(int, rng.integers(1, 5, rank)))
    return (
        layers.instance_norm,
        shape,
        options,
        lambda x, v: affine(v, by_hand.standardized(x, axes, 1e-2), [channels]),
    )


def draw_group_norm(rng):
    rank = int(rng.integers(2, 6))
    axis = int(rng.integers(1, rank))
    groups = int(rng.integers(1, 4))
    shape = list(map(int, rng.integers(1, 4, rank)))
    shape[axis] = groups * int(rng.integers(1, 4))
    reduced = None
    if rng.integers(2):
        reduced = [
            at - rank * int(rng.integers(2)) for at in range(1, rank) if at != axis and rng.integers(2)
        ]

    def formula(x, v):
        axes = (
            [at for at in range(1, rank) if at != axis] if reduced is None else [at % rank for at in reduced]
        )
        parts = np.split(x, groups, axis)
        y = np.concatenate([by_hand.standardized(part, (*axes, axis), 1e-2) for part in parts], axis)
        return affine(v, y, [axis])

    options = {
        "groups": groups,
        "channels_axis": axis - rank * int(rng.integers(2)),
        "reduction_axes": reduced,
    }
    return layers.group_norm, tuple(shape), {**options, "epsilon": 1e-2}, formula


NORMS = {
    "layer_norm": draw_layer_norm,
    "rms_norm": draw_rms_norm,
    "instance_norm": draw_instance_norm,
    "group_norm": draw_group_norm,
}


@pytest.mark.parametrize("name", NORMS)
def test_formula(name):
    """Whatever the axes, the result is that of the formula, with `gamma` and `beta` or without."""
    works, expected = {}, {}
    for seed in range(12):
        rng = np.random.default_rng([seed, *name.encode()])
        layer, shape, options, formula = NORMS[name](rng)
        if name != "rms_norm":
            options |= {"center": bool(rng.integers(2)), "scale": bool(rng.integers(2))}
        net = js.transform(functools.partial(layer, **options))
        x = rng.normal(size=shape).astype("float32")
        variables = drawn(net.spec(x), rng)
        works[f"{shape} {options}"] = net.apply, (variables, x)
        expected[f"{shape} {options}"] = formula(x.astype(float), own(variables))
    check(at_once(works), expected)


def check(found, expected):
    for what, value in expected.items():
        if isinstance(found[what], Exception):
            found[what].add_note(what)
            raise found[what]
        for one, other in zip(jax.tree.leaves(found[what]), jax.tree.leaves(value), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=what)


class Batch:
    """Batch normalization with options drawn at random, and what TF1 says that it computes."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        rank = int(rng.integers(2, 5))
        shape = list(map(int, rng.integers(1, 5, rank)))
        self.virtual = int(rng.integers(1, 4)) if rng.integers(3) == 0 else None
        begin = 0 if self.virtual is None else 1
        self.axes = sorted(
            map(int, rng.choice(range(begin, rank), int(rng.integers(1, 3)) if rank > 2 else 1, False))
        )
        if self.virtual is not None:
            shape[0] = self.virtual * int(rng.integers(1, 4))
        self.fused = [None, True, False][int(rng.integers(3))]
        self.renorm = rng.integers(3) == 0
        self.momentum = float(rng.uniform(0, 1))
        self.options = {
            "axis": self.axes
            if len(self.axes) > 1 or rng.integers(2)
            else self.axes[0] - rank * int(rng.integers(2)),
            "momentum": self.momentum,
            "epsilon": 1e-2,
            "center": bool(rng.integers(2)),
            "scale": bool(rng.integers(2)),
            "fused": self.fused,
            "virtual_batch_size": self.virtual,
        }
        if self.renorm:
            self.options |= {
                "renorm": True,
                "renorm_momentum": 0.75,
                "renorm_clipping": {"rmax": 1.5, "rmin": 0.5, "dmax": 0.3},
            }
        self.adjusts = self.virtual is None and rng.integers(4) == 0
        if self.adjusts:
            self.options["adjustment"] = lambda shape: (jnp.full((1,) * len(shape), 1.5), jnp.float32(0.25))
        self.x = rng.normal(1, 2, shape).astype("float32")
        self.net = js.transform(
            lambda x, training: layers.batch_normalization(x, training=training, **self.options)
        )
        self.variables = drawn(self.net.spec(self.x, False), rng)

    def inference(self):
        v, x = own(self.variables), self.x.astype(float)
        whole = [n if at in self.axes else 1 for at, n in enumerate(x.shape)]
        y = (x - v["moving_mean"].reshape(whole)) / np.sqrt(v["moving_variance"].reshape(whole) + 1e-2)
        return affine(v, y, self.axes)

    def training(self):
        """Return the result and the variables after a step."""
        v, x = own(self.variables), self.x.astype(float)
        over = tuple(at for at in range(x.ndim) if at not in self.axes)
        parts = 1 if self.virtual is None else len(x) // self.virtual
        rows = [x] if self.virtual is None else [x[part::parts] for part in range(parts)]
        n = rows[0].size // np.prod([x.shape[at] for at in self.axes])
        plain = not (self.renorm or self.adjusts or self.virtual is not None)
        fused = plain and x.ndim == 4 and self.axes in ([1], [3]) and self.fused is not False
        mean = np.mean([row.mean(over, keepdims=True) for row in rows], 0)
        variance = np.mean([row.var(over, keepdims=True) for row in rows], 0)
        y = np.zeros_like(x)
        for part, row in enumerate(rows):
            y[part::parts] = by_hand.standardized(row, over, 1e-2)
        new, deviation = dict(v), np.sqrt(variance + 1e-2)

        def step(name, target, momentum=self.momentum):
            new[name] = momentum * v[name] + (1 - momentum) * target.reshape(v[name].shape)

        step("moving_mean", mean)
        if self.renorm:
            slow = np.maximum(v["renorm_stddev"].reshape(deviation.shape), 0.1)
            r = np.clip(deviation / slow, 0.5, 1.5)
            y = y * r + np.clip((mean - v["renorm_mean"].reshape(mean.shape)) / slow, -0.3, 0.3)
            step("renorm_mean", mean, 0.75)
            step("renorm_stddev", deviation, 0.75)
            step("moving_stddev", deviation)
            new["moving_variance"] = np.maximum(new["moving_stddev"] ** 2 - 1e-2, 0)
        else:
            step("moving_variance", variance * n / (n - 1) if fused and n > 1 else variance)
        if self.adjusts:
            y = y * 1.5 + 0.25
        kept = {name: new[name] for name in new if name not in {"gamma", "beta"}}
        return affine(v, y, self.axes), kept


def test_batch_normalization():
    """Axes, fused or not, virtual batches, renorm, adjustment: values and steps are those of TF1's source."""
    some = {str(seed): Batch(seed) for seed in range(24)}

    def run(one):
        def both(variables, x):
            y, state = one.net.apply_with_state(variables, x, True)
            return one.net.apply(variables, x, False), y, {n.split("/")[1]: s for n, s in state.items()}

        return both

    found = at_once({seed: (run(one), (one.variables, one.x)) for seed, one in some.items()})
    for seed, one in some.items():
        check({seed: found[seed]}, {seed: (one.inference(), *one.training())})


def test_far_from_zero():
    """A mean of 1e4 takes no digits of a variance of 1, in values and in gradients."""
    x = (example((4, 256)).astype(np.float64) + 1e4).astype("float32")
    for norm in (
        functools.partial(layers.layer_norm, center=False, scale=False),
        lambda x: layers.group_norm(x, 2, center=False, scale=False),
    ):
        net = js.transform(norm)

        def of(x, net=net):
            y = net.apply({}, x)
            return jnp.sum(jnp.sin(y)), y

        (_, y), slope = jax.jit(jax.value_and_grad(of, has_aux=True))(x)
        with jax.enable_x64(True):
            (_, exact), exact_slope = jax.jit(jax.value_and_grad(of, has_aux=True))(x.astype(np.float64))
        np.testing.assert_allclose(y, exact, atol=2e-3)
        np.testing.assert_allclose(slope, exact_slope, atol=2e-3)
    net = js.transform(functools.partial(layers.batch_normalization, training=True))
    y, _ = net.apply_with_state(net.init(KEY, x.T), x.T)
    np.testing.assert_allclose(y.T, by_hand.standardized(x.astype(float), 1, 1e-3), atol=2e-3)


def test_a_batch_without_examples():
    """There is nothing to step towards: moving averages stay as they are, instead of becoming NaN."""
    for options in ({}, {"renorm": True}, {"virtual_batch_size": 2}):
        net = js.transform(functools.partial(layers.batch_normalization, training=True, **options))
        x = np.zeros((0, 3), "float32")
        variables = net.init(KEY, x)
        y, state = net.apply_with_state(variables, x)
        assert y.shape == (0, 3)
        assert all(np.array_equal(state[name], variables[name]) for name in state)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"virtual_batch_size": 0}, "above 0"),
        ({"virtual_batch_size": 2.0}, "whole number"),
        ({"virtual_batch_size": 2, "axis_name": "data"}, "named axis"),
        ({"virtual_batch_size": 2, "adjustment": lambda shape: (1, 0)}, "no adjustment"),
        ({"virtual_batch_size": 3}, "size of the parts divide"),
        ({"virtual_batch_size": 2, "axis": 0}, "axis 0 without channels"),
        ({"renorm": True, "renorm_clipping": {"max": 1}}, "'rmin', 'rmax' and 'dmax'"),
    ],
)
def test_options_without_meaning(options, says):
    """What has no meaning, or not together, is an error that says so."""
    net = js.transform(functools.partial(layers.batch_normalization, training=True, **options))
    with pytest.raises(ValueError, match=says):
        net.spec(example((4, 3)))


@pytest.mark.parametrize(
    "norm",
    [
        layers.layer_norm,
        layers.rms_norm,
        layers.batch_normalization,
        lambda x, **o: layers.group_norm(x, 1, **o),
    ],
)
def test_whole_numbers(norm):
    """Whole numbers are not normalized to whole numbers: in the dtype that is asked for, or not at all."""
    x = np.array([[1, 2, 3, 6]], "int32")
    net = js.transform(functools.partial(norm, dtype="float32"))
    y = net.apply(net.init(KEY, x), x)
    np.testing.assert_array_equal(y, net.apply(net.init(KEY, x), x.astype("float32")))
    assert y.dtype == "float32"
    options = {} if norm is layers.rms_norm else {"center": False, "scale": False}
    for given in (x, x.astype("complex64")):
        with pytest.raises(js.errors.InvalidDtypeError, match="convert the input"):
            js.transform(functools.partial(norm, **options)).spec(given)
