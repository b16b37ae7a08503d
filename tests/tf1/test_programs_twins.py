"""Model files written for TensorFlow 1, unchanged, beside the same models in plain `jax.numpy`."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import tf1
from tests.tf1 import twins
from tests.tf1.loading import program

BERT, DCGAN, PTB, WAVENET = map(program, ["bert", "dcgan", "ptb_lstm", "wavenet"])
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)

pytestmark = pytest.mark.filterwarnings("ignore:tf.(device|summary) does nothing")


def round_trip(path: Path, net: Any, *args: Any) -> js.Variables:
    """Return initial values after they were written as TensorFlow 1 does, and read."""
    specs = net.spec(*args)
    js.checkpoint.save(path / "model.ckpt", specs.init(KEY))
    return js.checkpoint.load(path / "model.ckpt", specs).variables


class TestBert:
    CONFIG = BERT.BertConfig(
        vocab_size=23, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=7, type_vocab_size=2,
    )  # fmt: skip

    @pytest.fixture
    def features(self) -> dict[str, jax.Array]:
        def ints(high: int, *shape: int) -> Any:
            return RNG.integers(0, high, shape).astype(np.int32)

        return {
            "input_ids": ints(23, 2, 5),
            "input_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32),
            "segment_ids": ints(2, 2, 5),
            "masked_lm_positions": np.array([[1, 3], [0, 2]], np.int32),
            "masked_lm_ids": ints(23, 2, 2),
            "masked_lm_weights": np.array([[1, 1], [1, 0]], np.float32),
        }

    def net(self, training: bool = False) -> Any:
        config = self.CONFIG
        return js.transform(tf1.function(lambda features: BERT.pretraining_loss(config, training, features)))

    def test_the_same(self, features: Any):
        config = self.CONFIG
        twin = js.transform(lambda features: twins.bert(config, features))
        found = js.testing.same(self.net(), twin, features)
        assert len(found.variables) == 5 + 2 * 16 + 2 + 5
        assert "bert/encoder/layer_1/attention/output/LayerNorm/gamma" in found.variables

    def test_initial_values(self, features: Any, tmp_path: Path):
        variables = round_trip(tmp_path, self.net(), features)
        kernel = variables["bert/encoder/layer_0/intermediate/dense/kernel"]
        assert 0 < np.abs(kernel).max() <= 2 * 0.02
        loss = jax.jit(self.net().apply)(variables, features)["loss"]
        assert abs(loss - np.log(23)) < 0.2

    def test_dropout(self, features: Any):
        """Another key gives another loss; vmap over keys is a loop over them."""
        config = self.CONFIG

        @js.transform
        @tf1.function
        def net(features, key):
            with js.random_keys(key):
                return BERT.pretraining_loss(config, True, features)["loss"]

        variables = net.init(KEY, features, KEY)
        loss = jax.jit(net.apply)
        keys = jax.random.split(KEY, 3)
        losses = jax.jit(jax.vmap(net.apply, (None, None, 0)))(variables, features, keys)
        np.testing.assert_allclose(losses, [loss(variables, features, key) for key in keys], rtol=1e-5)
        assert len({*losses.tolist()}) == 3


class TestDcgan:
    images = RNG.normal(size=(4, 16, 16, 3)).astype(np.float32)
    z = RNG.uniform(-1, 1, size=(4, 8)).astype(np.float32)

    def test_the_same(self):
        """Losses, images, what batch normalization writes, gradients of all weights."""

        def build(images, z):
            with tf1.placeholders():
                gan = DCGAN.DCGAN()
                gan.build_model(images, z)
            return {"d_loss": gan.d_loss, "g_loss": gan.g_loss, "made": gan.G, "sampled": gan.sampler_}

        net = js.transform(tf1.function(build))
        found = js.testing.same(net, js.transform(twins.dcgan), self.images, self.z)
        assert {"generator/g_bn1/moving_mean", "discriminator/d_h3_lin/Matrix"} < {*found.variables}

    def test_training(self):
        """Each optimizer changes the variables that `d_vars` and `g_vars` name, and no others."""
        step = tf1.train_step(DCGAN.train)
        variables = step.init(KEY, self.images, self.z)
        slots = {name.removesuffix("/Adam") for name in variables if name.endswith("/Adam")}
        assert slots == {*variables.trainable}
        assert {"beta1_power", "beta1_power_1"} < {*variables}
        _, after = jax.jit(step)(variables, self.images, self.z)
        moved = {name for name in variables.trainable if np.any(variables[name] != after[name])}
        # What is in front of a batch normalization does not feel a shift that is the same for all.
        assert moved > {name for name in slots if not name.endswith(("biases", "bias"))}


class TestPtb:
    inputs = RNG.integers(0, 11, (3, 5)).astype(np.int32)
    targets = RNG.integers(0, 11, (3, 5)).astype(np.int32)

    @pytest.mark.parametrize("unrolled", [False, True])
    def test_the_same(self, unrolled: bool):
        config = PTB.SmallConfig()

        def build(inputs, targets):
            m = PTB.build(config, True, inputs, targets, unrolled)
            return m.cost, m.logits, tuple(map(tuple, m.final_state))

        twin = js.transform(lambda x, y: twins.ptb(config, x, y))
        found = js.testing.same(js.transform(tf1.function(build)), twin, self.inputs, self.targets)
        assert "Model/RNN/multi_rnn_cell/cell_1/basic_lstm_cell/kernel" in found.variables
        assert len(found.variables) == 7

    def test_training(self, tmp_path: Path):
        """Gradients are clipped together; the loss falls; its variables are those of the checkpoint."""
        config = PTB.SmallConfig()
        step = tf1.train_step(lambda x, y, lr: PTB.train(config, x, y, lr))
        specs = step.spec(self.inputs, self.targets, 0.1)
        js.checkpoint.save(tmp_path / "model.ckpt-0", specs.init(KEY))
        variables = js.checkpoint.load(tmp_path / "model.ckpt-0", specs).variables
        run = jax.jit(step)
        (cost, norm), after = run(variables, self.inputs, self.targets, 100.0)
        moved = np.sqrt(sum(np.sum((after[name] - variables[name]) ** 2) for name in variables.trainable))
        np.testing.assert_allclose(moved, 100 * min(float(norm), config.max_grad_norm), rtol=1e-4)
        costs = []
        for _ in range(5):
            (cost, _), variables = run(variables, self.inputs, self.targets, 0.5)
            costs.append(float(cost))
        assert costs[-1] < costs[0]
        assert int(variables["global_step"]) == 5

    def test_dropout_and_evaluation(self):
        """A model for training and one that reuses its variables, in one pass."""
        config = PTB.SmallConfig()
        config.keep_prob = 0.5

        @js.transform
        @tf1.function
        def both(x, y, key):
            with js.random_keys(key):
                trained = PTB.build(config, True, x, y)
            with tf1.variable_scope("Model", reuse=True):
                tested = PTB.PTBModel(False, config, x, y)
            return trained.cost, tested.cost

        variables = both.init(KEY, self.inputs, self.targets, KEY)
        assert len(variables) == 7
        run = jax.jit(jax.vmap(both.apply, (None, None, None, 0)))
        noisy, sure = run(variables, self.inputs, self.targets, jax.random.split(KEY, 3))
        assert len({*noisy.tolist()}) == 3
        assert len({*sure.tolist()}) == 1
        plain = js.transform(lambda x, y: twins.ptb(config, x, y)[0])
        np.testing.assert_allclose(sure[0], plain.apply(variables, self.inputs, self.targets), rtol=1e-5)


class TestWaveNet:
    audio = RNG.uniform(-1.1, 1.1, (2, 24)).astype(np.float32)

    def test_the_same(self, tmp_path: Path):
        def build(audio):
            return WAVENET.WaveNetModel().loss(audio, l2_regularization_strength=0.01)

        net = js.transform(tf1.function(build))
        found = js.testing.same(net, js.transform(lambda x: twins.wavenet(x, 0.01)), self.audio)
        assert len(found.variables) == 1 + 3 * 8 + 4
        variables = round_trip(tmp_path, net, self.audio)
        assert float(np.std(variables["wavenet/dilated_stack/layer0/gate"])) > 0
        losses = jax.jit(jax.vmap(net.apply, (None, 0)))(variables, np.stack([self.audio, self.audio]))
        assert losses[0] == losses[1]

    def test_the_law(self):
        """Decoding what was encoded gives the sound, to half a level."""
        sound = np.linspace(-1, 1, 101, dtype=np.float32)
        code = tf1.function(lambda x: WAVENET.mu_law_encode(x, 256))(sound)
        assert (int(code.min()), int(code.max())) == (0, 255)
        back = tf1.function(lambda x: WAVENET.mu_law_decode(x, 256))(code)
        np.testing.assert_allclose(back, sound, atol=0.025)
        assert jnp.all(jnp.diff(back) >= 0)
