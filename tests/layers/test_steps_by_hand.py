"""Recurrent layers are what their formulas say, step by step, for options drawn at random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import layers
from tests.layers import by_hand
from tests.layers.at_once import at_once

ACTIVATIONS = {None: np.tanh, jax.nn.relu: lambda x: np.maximum(x, 0), jnp.sin: np.sin}


class Drawn:
    """One recurrent layer over time, with options drawn at random."""

    def __init__(self, kind, seed):
        rng = np.random.default_rng([seed, *kind.encode()])
        units, size = map(int, rng.integers(1, 4, 2))
        times = int(rng.integers(0, 6))
        self.batch = int(rng.integers(0, 4))
        activation, function = list(ACTIVATIONS.items())[int(rng.integers(3))]
        given = {"activation": activation}
        formula = {"activation": function}
        output = units
        if "lstm" in kind:
            given["forget_bias"] = formula["forget_bias"] = float(rng.uniform(-1, 2))
        if kind == "lstm":
            given |= {"use_peepholes": bool(rng.integers(2))}
            given["cell_clip"] = formula["cell_clip"] = 0.5 if rng.integers(2) else None
            if rng.integers(2):
                given["num_proj"] = output = int(rng.integers(1, 4))
                given["proj_clip"] = formula["proj_clip"] = 0.25 if rng.integers(2) else None
        self.flat = "lstm" in kind and bool(rng.integers(2))
        if "lstm" in kind:
            given["state_is_tuple"] = not self.flat
        self.cell = {
            "basic_rnn": layers.BasicRNNCell,
            "basic_lstm": layers.BasicLSTMCell,
            "lstm": layers.LSTMCell,
            "gru": layers.GRUCell,
        }[kind]
        self.make = lambda: self.cell(units, **given)
        step = getattr(by_hand, kind.removeprefix("basic_") if "lstm" in kind else kind)
        self.step = lambda v, x, state: step(v, x, state, **formula)
        self.sizes = (units, output) if "lstm" in kind else (units,)
        self.begin = [rng.uniform(-1, 1, (1, n)).astype("float32") for n in self.sizes]
        self.major, self.reverse = bool(rng.integers(2)), bool(rng.integers(2))
        self.x = rng.uniform(-1, 1, (self.batch, times, size)).astype("float32")
        # Lengths may be 0 or below, and beyond the end.
        self.lengths = rng.integers(-1, times + 3, self.batch) if rng.integers(2) else None
        self.mask = rng.integers(0, 2, (self.batch, times)).astype(bool) if rng.integers(2) else None
        self.net = js.transform(self.run)
        self.variables = {
            name: rng.uniform(-1, 1, spec.shape).astype("float32")
            for name, spec in self.net.spec(*self.given).items()
        }

    @property
    def given(self):
        x, mask = (None if a is None else a.swapaxes(0, 1) if self.major else a for a in (self.x, self.mask))
        return x, self.lengths, mask

    def run(self, x, lengths, mask):
        state = [jnp.tile(part, (self.batch, 1)) for part in self.begin]
        if self.flat:
            state = jnp.concatenate(state, -1)
        elif len(state) > 1:
            state = layers.LSTMStateTuple(*state)
        else:
            (state,) = state
        options = {"mask": mask, "time_major": self.major, "reverse": self.reverse}
        y, last = layers.rnn(self.make(), x, lengths, state, **options)
        return y.swapaxes(0, 1) if self.major else y, last

    def expected(self):
        v = {name.split("/", 2)[2]: value.astype(float) for name, value in self.variables.items()}
        times = self.x.shape[1]
        counts = np.ones((self.batch, times), bool) if self.mask is None else self.mask
        if self.lengths is not None:
            counts = counts & (np.arange(times) < self.lengths[:, None])
        state = [part.astype(float) for part in self.begin]
        state = tuple(state) if len(state) > 1 else state[0]

        def step(x, state):
            return self.step(v, x, state)

        y, lasts = by_hand.over_time(
            step, self.x.astype(float), state, counts, self.sizes[-1], backward=self.reverse
        )
        join = (lambda last: np.concatenate(last, -1)) if self.flat else (lambda last: last)
        return y, [jax.tree.leaves(join(last)) for last in lasts]


@pytest.mark.parametrize("kind", ["basic_rnn", "basic_lstm", "lstm", "gru"])
def test_over_time(kind):
    """Options, lengths, masks and directions give what each sequence gives alone, step by step."""
    drawn = {str(seed): Drawn(kind, seed) for seed in range(8)}
    found = at_once({seed: (one.net.apply, (one.variables, *one.given)) for seed, one in drawn.items()})
    for seed, one in drawn.items():
        if isinstance(found[seed], Exception):
            raise found[seed]
        y, lasts = one.expected()
        what = f"{one.make()} of {one.x.shape}, lengths {one.lengths}, mask {one.mask}, {one.reverse=}"
        np.testing.assert_allclose(found[seed][0], y, rtol=1e-4, atol=1e-5, err_msg=what)
        for row, last in enumerate(lasts):
            for part, value in zip(jax.tree.leaves(found[seed][1]), last, strict=True):
                np.testing.assert_allclose(part[row : row + 1], value, rtol=1e-4, atol=1e-5, err_msg=what)
