"""Model files written for TensorFlow 1, unchanged, on what TensorFlow 1 recorded of such models."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope import tf1
from tests.tf1.loading import program

REAL = Path(__file__).parent / "real"
GPT2, DQN, CIFAR, RESNET = map(program, ["gpt2", "dqn", "cifar10_towers", "resnet_v1"])
KEY = jax.random.key(0)
NARROW = {"conv1": 8, "conv2": 8, "local3": 24, "local4": 12}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def recorded(case: str) -> Any:
    return np.load(REAL / case / "io.npz")


def table(case: str) -> dict[str, Any]:
    """Return what is recorded of a model's variables, by name in order of making."""
    named: dict[str, Any] = json.loads((REAL / f"{case}.json").read_text())
    return named


def values(case: str, specs: Any) -> js.Variables:
    return js.checkpoint.load(REAL / case / "model.ckpt", specs).variables


def shapes(specs: Any) -> dict[str, list[int]]:
    return {name: list(spec.shape) for name, spec in specs.items()}


def check_norms(found: Any, names: Any, norms: Any) -> None:
    for name, norm in zip(names, norms, strict=True):
        length = jnp.linalg.norm(found[str(name).removesuffix(":0")])
        np.testing.assert_allclose(length, norm, rtol=3e-4, atol=1e-6, err_msg=str(name))


class TestGpt2:
    @pytest.fixture
    def sizes(self) -> Any:
        return GPT2.HParams(n_vocab=97, n_ctx=16, n_embd=32, n_head=2, n_layer=2)

    @pytest.fixture
    def net(self, sizes: Any) -> Any:
        return js.transform(tf1.function(lambda X, past=None: GPT2.model(sizes, X, past=past)))

    def test_the_published_names(self):
        sizes = GPT2.default_hparams()
        sizes.override_from_dict({"n_vocab": 50257})
        net = js.transform(tf1.function(lambda X: GPT2.model(sizes, X)))
        specs = net.spec(jnp.zeros([1, 3], jnp.int32))
        assert shapes(specs) == table("gpt2_117m")
        assert list(specs) == list(table("gpt2_117m"))

    @pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
    def test_logits_and_a_cached_step(self, net: Any, wrap: Any):
        io = recorded("gpt2_tiny")
        variables = values("gpt2_tiny", net.spec(io["tokens"]))
        apply = wrap(net.apply)
        out = apply(variables, io["tokens"])
        np.testing.assert_allclose(out["logits"], io["logits"], **CLOSE)
        np.testing.assert_allclose(out["present"], io["present"], **CLOSE)
        step = apply(variables, io["step_tokens"], past=io["present"])
        np.testing.assert_allclose(step["logits"], io["step_logits"], **CLOSE)
        np.testing.assert_allclose(step["present"], io["step_present"], **CLOSE)

    def test_gradients_and_vmap(self, sizes: Any):
        io = recorded("gpt2_tiny")
        net = js.transform(tf1.function(lambda X: GPT2.loss(sizes, X)))
        variables = values("gpt2_tiny", net.spec(io["tokens"]))
        loss, gradients = jax.jit(jax.value_and_grad(net.apply))(variables, io["tokens"])
        np.testing.assert_allclose(loss, io["loss"], rtol=1e-5)
        check_norms(gradients, io["grad_names"], io["grad_norms"])
        rows = jnp.asarray(io["tokens"])[:, None]
        each = jax.jit(jax.vmap(net.apply, (None, 0)))(variables, rows)
        np.testing.assert_allclose(each.mean(), io["loss"], rtol=1e-5)

    def test_samples(self, sizes: Any):
        """The sampler's loop, whose cache grows; of one choice it takes the likeliest."""
        io = recorded("gpt2_tiny")

        @js.transform
        @tf1.function
        def net(context, key):
            with js.random_keys(key):
                return GPT2.sample(sizes, 6, context, top_k=1)

        context = jnp.asarray(io["gen_context"])
        variables = values("gpt2_tiny", net.spec(context, KEY))
        tokens = jax.jit(net.apply)(variables, context, KEY)
        np.testing.assert_array_equal(tokens, io["gen_tokens"])


class TestDqn:
    def arguments(self, io: Any) -> Any:
        return [io[f"in_{name}"] for name in ("obs", "action", "reward", "obs_tp1", "done", "weight")]

    def build(self, *args: Any) -> Any:
        _, q_values = DQN.act(args[0], 3, stochastic=False)
        return q_values, DQN.train(*args, 3)

    def test_names(self):
        step = tf1.train_step(self.build)
        specs = step.spec(*self.arguments(recorded("dqn_mlp_tiny")))
        named = table("dqn_mlp_tiny/variables")
        assert shapes(specs) == {name: shape for name, (shape, *_) in named.items()}
        trainable = [name for name, (*_, where) in named.items() if "trainable_variables" in where]
        assert [name for name, spec in specs.items() if spec.trainable] == trainable

    def test_a_step(self):
        io = recorded("dqn_mlp_tiny")
        args = self.arguments(io)
        step = tf1.train_step(self.build)
        variables = values("dqn_mlp_tiny", step.spec(*args))
        (q_values, td_error), after = jax.jit(step)(variables, *args)
        np.testing.assert_allclose(q_values, io["out_q_values"], **CLOSE)
        np.testing.assert_allclose(td_error, io["out_td_error"], **CLOSE)
        expected = js.checkpoint.load_checkpoint(REAL / "dqn_mlp_tiny" / "after_one_step.ckpt")
        for name in after:
            np.testing.assert_allclose(after[name], expected.get_tensor(name), **CLOSE, err_msg=name)

    def test_the_target_is_assigned(self):
        """`update_target` copies by assign, in a step that trains nothing."""
        io = recorded("dqn_mlp_tiny")

        def copy(*args):
            result = self.build(*args)
            DQN.update_target()
            return result

        step = tf1.train_step(copy)
        args = self.arguments(io)
        variables = values("dqn_mlp_tiny", step.spec(*args))
        _, after = jax.jit(step)(variables, *args)
        for at, name in enumerate(io["target_names"]):
            np.testing.assert_allclose(after[str(name)], io[f"target_after_update_{at:02}"], **CLOSE)

    def test_actions(self):
        """A share of them is random, by the key that is given; all of them at the exploration that is set."""
        obs = recorded("dqn_mlp_tiny")["in_obs"]
        step = tf1.train_step(lambda obs, eps: DQN.act(obs, 3, update_eps=eps)[0])
        variables = step.init(KEY, obs, 1.0)
        assert variables["deepq/eps"] == 0
        _, variables = step(variables, obs, 1.0, key=KEY)
        assert variables["deepq/eps"] == 1
        act = jax.jit(jax.vmap(lambda key: step(variables, obs, -1.0, key=key)[0]))
        drawn = np.asarray(act(jax.random.split(KEY, 200)))
        assert abs(np.mean(drawn == 0) - 1 / 3) < 0.06
        assert {*drawn.flat} == {0, 1, 2}

    def test_other_networks(self):
        obs = jnp.ones([2, 4])
        net = js.transform(
            tf1.function(lambda x: DQN.q_network(x, 3, "q", hiddens=[8, 8], dueling=False, layer_norm=True))
        )
        layers = [
            f"{layer}{at}/{name}"
            for at in ("", "_1")
            for layer, names in {
                "fully_connected": ("weights", "biases"),
                "LayerNorm": ("beta", "gamma"),
            }.items()
            for name in names
        ]
        layers += ["fully_connected_2/weights", "fully_connected_2/biases"]
        assert [*net.spec(obs)][4:] == [f"q/action_value/{name}" for name in layers]


def average(was: Any, value: Any, updates: int) -> Any:
    return value + min(0.9999, (1 + updates) / (10 + updates)) * (was - value)


@pytest.mark.filterwarnings("ignore:tf.(device|summary) does nothing")
class TestCifar10Towers:
    def step(self, widths: Any = None) -> Any:
        given = CIFAR.WIDTHS if widths is None else widths
        return tf1.train_step(lambda images, labels: self.arrays(CIFAR.train(images, labels, given)))

    def arrays(self, out: dict[str, Any]) -> dict[str, Any]:
        self.names = {name: out.pop(name) for name in ("losses_names", "restore")}
        return out

    def test_the_names_of_the_full_model(self):
        specs = self.step().spec(jnp.zeros([2, 1, 24, 24, 3]), jnp.zeros([2, 1], jnp.int32))
        named = {name: shape for name, shape in shapes(specs).items() if "Average" not in name}
        expected = table("cifar10_towers_full")
        assert named == {"global_step": [], **expected}

    def test_a_step(self):
        io = recorded("cifar10_towers_tiny")
        images, labels = io["in_images"], io["in_labels"]
        step = self.step(NARROW)
        specs = step.spec(images, labels)
        named = table("cifar10_towers_tiny/variables")
        assert shapes(specs) == {name: shape for name, (shape, *_) in named.items()}
        variables = values("cifar10_towers_tiny", specs)
        out, after = jax.jit(step)(variables, images, labels)
        for tower in range(2):
            np.testing.assert_allclose(out["logits"][tower], io[f"out_logits_tower{tower}"], **CLOSE)
            check_norms(out["tower_gradients"][tower], io["grad_names"], io[f"tower{tower}_grad_norms"])
        check_norms(out["gradients"], io["grad_names"], io["avg_grad_norms"])
        np.testing.assert_allclose(out["losses"], io["losses"], **CLOSE)
        np.testing.assert_allclose(out["total"], io["out_total_loss_last_tower"], **CLOSE)
        np.testing.assert_allclose(out["lr"], io["lr"])
        # A tensor's name here is without its scopes.
        assert self.names["losses_names"] == [str(name).rpartition("/")[2] for name in io["losses_names"]]
        trainable = [name for name, spec in specs.items() if spec.trainable]
        restore = {f"{name}/ExponentialMovingAverage": name for name in trainable}
        assert self.names["restore"] == restore | {"global_step": "global_step"}
        expected = js.checkpoint.load_checkpoint(REAL / "cifar10_towers_tiny" / "after_one_step.ckpt")
        for name in after:
            value = expected.get_tensor(name)
            if not name.endswith("Average"):
                np.testing.assert_allclose(after[name], value, **CLOSE, err_msg=name)
                continue
            # TensorFlow's average raced with the update: it is of the old value or of the new one. Ours
            # follows the program, so it sees what is new, the step too.
            plain, was = name.removesuffix("/ExponentialMovingAverage"), variables[name]
            outcomes = [average(was, given[plain], 5) for given in (variables, after)]
            assert any(np.allclose(value, one, **CLOSE) for one in outcomes)
            np.testing.assert_allclose(after[name], average(was, after[plain], 6), **CLOSE, err_msg=name)


class TestResnetV1:
    def test_the_names_of_the_full_model(self):

        def model(x):
            with tf1.contrib.slim.arg_scope(RESNET.resnet_arg_scope()):
                return RESNET.resnet_v1_50(x, is_training=False)[0]

        specs = js.transform(tf1.function(model)).spec(jnp.zeros([1, 32, 32, 3]))
        expected = table("slim_resnet_v1_50")
        assert shapes(specs) == expected
        assert list(specs) == list(expected)

    def test_what_each_variable_is(self):
        """Names, shapes, and the collections that each is in, in the order of making."""
        io, seen = recorded("slim_resnet_v1_tiny"), {}
        named = table("slim_resnet_v1_tiny/variables")

        def build(images, labels):
            out = RESNET.train(images, labels)
            for kind in ("model_variables", "trainable_variables", "moving_average_variables"):
                seen[kind] = [v.op.name for v in tf1.get_collection(kind)]
            seen["losses"] = [x.op.name for x in tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES)]
            return out["total"]

        specs = tf1.train_step(build).spec(io["in_images"], io["in_labels"])
        assert shapes(specs) == {name: shape for name, (shape, *_) in named.items()}
        for kind in ("model_variables", "trainable_variables"):
            assert seen[kind] == [name for name, (*_, where) in named.items() if kind in where]
        averaged = [name for name, (*_, where) in named.items() if "moving_average_variables" in where]
        assert sorted(seen["moving_average_variables"]) == sorted(averaged)
        assert len(seen["losses"]) == len(io["reg_names"])

    def test_a_step(self):
        io = recorded("slim_resnet_v1_tiny")
        images, labels = io["in_images"], io["in_labels"]
        step = tf1.train_step(RESNET.train)
        variables = values("slim_resnet_v1_tiny", step.spec(images, labels))
        out, after = jax.jit(step)(variables, images, labels)
        np.testing.assert_allclose(out["logits"], io["out_train_logits"], **CLOSE)
        np.testing.assert_allclose(out["total"], io["out_total_loss"], **CLOSE)
        np.testing.assert_allclose(out["regularization"], io["reg_losses"], **CLOSE)
        check_norms(out["gradients"], io["grad_names"], io["grad_norms"])
        expected = np.load(REAL / "slim_resnet_v1_tiny" / "after_one_step.npz")
        for name in expected:
            np.testing.assert_allclose(after[name], expected[name], rtol=3e-4, atol=1e-5, err_msg=name)

    def test_end_points(self):
        """Without training, each by its name."""
        io = recorded("slim_resnet_v1_tiny")
        net = js.transform(tf1.function(lambda x: dict(RESNET.resnet_tiny(x, is_training=False)[1])))
        variables = values("slim_resnet_v1_tiny", net.spec(io["in_images"]))
        out = jax.jit(net.apply)(variables, io["in_images"])
        expected = {name[5:].replace("__", "/"): io[name] for name in io if name.startswith("eval_")}
        assert {*out} == {*expected}
        for name, value in expected.items():
            np.testing.assert_allclose(out[name], value, rtol=2e-4, atol=1e-5, err_msg=name)
