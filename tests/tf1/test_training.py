"""`tf1.train_step`: optimizers by TF1's formulas and names, gradients, schedules, averages; settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
import jaxscope.tf1 as tf

KEY = jax.random.key(0)
RATE = 0.1

# One step of each formula: (w, g, slots) -> (w, slots), in the order in which the slots are made.
FORMULAS = {
    "GradientDescent": (
        lambda: tf.train.GradientDescentOptimizer(RATE),
        lambda w, g, s, t: (w - RATE * g, s),
        [],
    ),
    "Momentum": (
        lambda: tf.train.MomentumOptimizer(RATE, 0.9),
        lambda w, g, s, t: (w - RATE * (0.9 * s[0] + g), [0.9 * s[0] + g]),
        [0.0],
    ),
    "Momentum nesterov": (
        lambda: tf.train.MomentumOptimizer(RATE, 0.9, use_nesterov=True),
        lambda w, g, s, t: (w - RATE * (g + 0.9 * (0.9 * s[0] + g)), [0.9 * s[0] + g]),
        [0.0],
    ),
    "Adam": (
        lambda: tf.train.AdamOptimizer(RATE, epsilon=1e-3),
        lambda w, g, s, t: _adam(w, g, s, t),
        [0.0, 0.0],
    ),
    "RMSProp": (
        lambda: tf.train.RMSPropOptimizer(RATE, 0.8, 0.5, 1e-3),
        lambda w, g, s, t: _rmsprop(w, g, s),
        [1.0, 0.0],
    ),
    "RMSProp centered": (
        lambda: tf.train.RMSPropOptimizer(RATE, 0.8, 0.5, 1e-3, centered=True),
        lambda w, g, s, t: _centered(w, g, s),
        [1.0, 0.0, 0.0],
    ),
    "Adagrad": (
        lambda: tf.train.AdagradOptimizer(RATE),
        lambda w, g, s, t: (w - RATE * g / np.sqrt(s[0] + g * g), [s[0] + g * g]),
        [0.1],
    ),
    "Adadelta": (
        lambda: tf.train.AdadeltaOptimizer(RATE, 0.9, 1e-3),
        lambda w, g, s, t: _adadelta(w, g, s),
        [0.0, 0.0],
    ),
}


def _adam(w, g, s, t):
    m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
    rate = RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - rate * m / (np.sqrt(v) + 1e-3), [m, v]


def _rmsprop(w, g, s):
    mean = 0.8 * s[0] + 0.2 * g * g
    moved = 0.5 * s[1] + RATE * g / np.sqrt(mean + 1e-3)
    return w - moved, [mean, moved]


def _centered(w, g, s):
    mean, first = 0.8 * s[0] + 0.2 * g * g, 0.8 * s[1] + 0.2 * g
    moved = 0.5 * s[2] + RATE * g / np.sqrt(mean - first**2 + 1e-3)
    return w - moved, [mean, first, moved]


def _adadelta(w, g, s):
    mean = 0.9 * s[0] + 0.1 * g * g
    by = g * np.sqrt(s[1] + 1e-3) / np.sqrt(mean + 1e-3)
    return w - RATE * by, [mean, 0.9 * s[1] + 0.1 * by * by]


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name):
    """Weights, slots and their names are TF1's, over several steps."""
    make, formula, slots = FORMULAS[name]

    @tf.train_step
    def step(x):
        with tf.variable_scope("a"):
            w = tf.get_variable("w", [3], initializer=tf.ones_initializer())
        loss = tf.reduce_sum(tf.square(w) * x)
        optimizer = make()
        optimizer.minimize(loss, global_step=tf.train.get_or_create_global_step())
        return loss

    x = jnp.array([1.0, -2.0, 0.5])
    variables = step.init(KEY, x)
    kind = name.split()[0]
    names = [f"a/w/{kind}" + (f"_{at}" if at else "") for at in range(len(slots))]
    powers = {"beta1_power", "beta2_power"} if kind == "Adam" else set()
    assert {*variables} == {"a/w", "global_step", *names, *powers}
    w, kept = np.ones(3), [np.full(3, slot) for slot in slots]
    run = jax.jit(step)
    for t in range(1, 4):
        _, variables = run(variables, x)
        w, kept = formula(w, 2 * w * np.asarray(x), kept, t)
        np.testing.assert_allclose(variables["a/w"], w, rtol=2e-5)
        for slot, value in zip(names, kept, strict=True):
            np.testing.assert_allclose(variables[slot], value, rtol=2e-5, err_msg=slot)
    assert int(variables["global_step"]) == 3
    assert [*variables.trainable] == ["a/w"]


def test_gradients_that_are_changed():
    """Clipped, scaled, or given to another optimizer; None where no loss depends on a variable."""

    @tf.train_step
    def step(x):
        w, unused = tf.get_variable("w", [2]), tf.get_variable("unused", [2])
        stopped = tf.get_variable("stopped", [2])
        loss = tf.reduce_sum(w * x) + tf.reduce_sum(tf.stop_gradient(stopped) * w)
        optimizer = tf.train.GradientDescentOptimizer(1.0)
        pairs = optimizer.compute_gradients(loss)
        assert [variable.op.name for grad, variable in pairs if grad is None] == ["unused", "stopped"]
        (grad,) = tf.gradients(loss, [w])
        doubled = [(2.0 * grad, variable) for grad, variable in pairs if grad is not None]
        optimizer.apply_gradients(doubled)
        assert tf.gradients([loss], unused)[0] is None
        return grad, w

    variables = {name: jnp.ones(2) for name in ("w", "unused", "stopped")}
    x = jnp.array([2.0, 3.0])
    (grad, w), after = step(variables, x)
    assert grad.tolist() == [3, 4]
    assert w.tolist() == after["w"].tolist() == [-5, -7]
    assert after["unused"].tolist() == [1, 1]


def test_two_losses():
    """A GAN's two optimizers on two losses, each on variables of its own, in one step."""

    @tf.train_step
    def step(z, x):
        with tf.variable_scope("g"):
            fake = tf.layers.dense(z, 2)
        with tf.variable_scope("d") as scope:
            real_score = tf.layers.dense(x, 1)
            scope.reuse_variables()
            fake_score = tf.layers.dense(fake, 1, name="dense")
        d_loss = tf.reduce_mean(fake_score) - tf.reduce_mean(real_score)
        g_loss = -tf.reduce_mean(fake_score)
        groups = {}
        for v in tf.trainable_variables():
            groups.setdefault(v.name.split("/")[0], []).append(v)
        d_op = tf.train.GradientDescentOptimizer(0.1).minimize(d_loss, var_list=groups["d"])
        g_op = tf.train.GradientDescentOptimizer(0.1).minimize(g_loss, var_list=groups["g"])
        return d_loss, g_loss, d_op, g_op

    def plainly(v, z, x):
        fake = z @ v["g/dense/kernel"] + v["g/dense/bias"]
        real_score, fake_score = (a @ v["d/dense/kernel"] + v["d/dense/bias"] for a in (x, fake))
        return fake_score.mean() - real_score.mean(), -fake_score.mean()

    z, x = jax.random.normal(KEY, [4, 3]), jnp.ones([4, 2])
    variables = step.init(KEY, z, x)
    (d_loss, g_loss, *operations), after = jax.jit(step)(variables, z, x)
    assert operations == [None, None]
    np.testing.assert_allclose((d_loss, g_loss), plainly(variables, z, x), rtol=1e-5)
    d_grad, g_grad = (jax.grad(lambda v, at=at: plainly(v, z, x)[at])(dict(variables)) for at in (0, 1))
    for name in variables:
        grad = (d_grad if name.startswith("d/") else g_grad)[name]
        np.testing.assert_allclose(after[name], variables[name] - 0.1 * grad, rtol=1e-5, atol=1e-6)


def test_state_and_dropout():
    """Moving statistics step once a step, whatever runs for gradients; masks are those of the loss."""

    @tf.train_step
    def step(x):
        w = tf.get_variable("w", [4], initializer=tf.ones_initializer())
        x = tf.layers.dropout(x * w, 0.5, training=True)
        y = tf.layers.batch_normalization(x, momentum=0.5, training=True, scale=False)
        update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        assert len(update_ops) == 2
        loss = tf.reduce_sum(x)
        tf.train.GradientDescentOptimizer(1.0).minimize(loss)
        return x, tf.reduce_sum(y)

    x = jnp.ones([8, 4])
    variables = step.init(KEY, x)
    (kept, _), after = step(variables, x, key=jax.random.key(3))
    np.testing.assert_allclose(after["batch_normalization/moving_mean"], kept.mean(0) / 2, rtol=1e-6)
    np.testing.assert_allclose(after["w"], 1 - kept.sum(0), rtol=1e-6)


def test_an_optimizer_of_ones_own():
    """BERT's way: apply_gradients that assigns to weights and to variables of its own."""

    class Decaying(tf.train.Optimizer):
        def __init__(self, rate):
            super().__init__(False, "Decaying")
            self.rate = rate

        def apply_gradients(self, grads_and_vars, global_step=None, name=None):
            assignments = []
            for grad, param in grads_and_vars:
                if grad is None:
                    continue
                m = tf.get_variable(
                    name=param.op.name + "/m",
                    shape=param.shape.as_list(),
                    dtype=tf.float32,
                    trainable=False,
                    initializer=tf.zeros_initializer(),
                )
                next_m = 0.5 * m + grad
                assignments += [param.assign(param - self.rate * (next_m + 0.1 * param)), m.assign(next_m)]
            return assignments

    @tf.train_step
    def step():
        w = tf.get_variable("w", [], initializer=tf.ones_initializer())
        grads = tf.gradients(w * w, [w])
        Decaying(0.5).apply_gradients(zip(grads, [w], strict=True))
        ema = tf.train.ExponentialMovingAverage(0.9)
        ema.apply([w])
        assert ema.average_name(w) == "w/ExponentialMovingAverage"
        return ema.average(w)

    variables = step.init(KEY)
    average, variables = step(variables)
    w = 1 - 0.5 * (2 + 0.1)
    np.testing.assert_allclose(variables["w"], w, rtol=1e-5)
    assert float(variables["w/m"]) == 2
    np.testing.assert_allclose(average, 0.9 + 0.1 * w, rtol=1e-5)


def test_in_a_pass_alone():
    """Outside of a step, gradients and optimizers are one error that says where they belong."""

    def model():
        w = tf.get_variable("w", [])
        with pytest.raises(NotImplementedError, match="gradients"):
            tf.gradients(w * w, w)
        optimizer = tf.train.AdamOptimizer()
        with pytest.raises(NotImplementedError) as error:
            optimizer.minimize(w * w)
        assert "train_step" in error.value.fix
        with pytest.raises(NotImplementedError):
            optimizer.apply_gradients([(w * 1.0, w)])
        return w

    js.transform(model).spec()

    @tf.train_step
    def step(x):
        with pytest.raises(NotImplementedError, match="is for variables"):
            tf.gradients(tf.reduce_sum(x), x)
        with pytest.raises(ValueError, match="No variables"):
            tf.train.AdamOptimizer().minimize(tf.reduce_sum(x))
        w = tf.get_variable("w", [])
        with pytest.raises(ValueError, match="No gradients"):
            tf.train.AdamOptimizer().minimize(tf.reduce_sum(x), var_list=[w])
        return x

    step({"w": jnp.float32(1)}, jnp.ones(2))


SCHEDULES = {
    "exponential_decay": (lambda s: tf.train.exponential_decay(1.0, s, 4, 0.5), lambda t: 0.5 ** (t / 4)),
    "staircase": (lambda s: tf.train.exponential_decay(1.0, s, 4, 0.5, True), lambda t: 0.5 ** (t // 4)),
    "natural_exp": (lambda s: tf.train.natural_exp_decay(1.0, s, 4, 0.5), lambda t: np.exp(-0.5 * t / 4)),
    "inverse_time": (lambda s: tf.train.inverse_time_decay(1.0, s, 4, 0.5), lambda t: 1 / (1 + 0.5 * t / 4)),
    "polynomial": (
        lambda s: tf.train.polynomial_decay(1.0, s, 8, 0.1, 2.0),
        lambda t: 0.9 * (1 - min(t, 8) / 8) ** 2 + 0.1,
    ),
    "polynomial cycle": (
        lambda s: tf.train.polynomial_decay(1.0, s, 3, 0.1, cycle=True),
        lambda t: 0.9 * (1 - t / (3 * max(1, np.ceil(t / 3)))) + 0.1,
    ),
    "piecewise": (
        lambda s: tf.train.piecewise_constant(s, [2, 5], [1.0, 0.5, 0.25]),
        lambda t: 1.0 if t <= 2 else 0.5 if t <= 5 else 0.25,
    ),
    "cosine": (
        lambda s: tf.train.cosine_decay(1.0, s, 8, 0.1),
        lambda t: 0.9 * 0.5 * (1 + np.cos(np.pi * min(t, 8) / 8)) + 0.1,
    ),
    "cosine restarts": (
        lambda s: tf.train.cosine_decay_restarts(1.0, s, 4, 1.0, 0.5),
        lambda t: 0.5 * 0.5 ** (t // 4) * (1 + np.cos(np.pi * (t % 4) / 4)),
    ),
    "linear cosine": (
        lambda s: tf.train.linear_cosine_decay(1.0, s, 8),
        lambda t: (8 - min(t, 8)) / 8 * 0.5 * (1 + np.cos(np.pi * min(t, 8) / 8)) + 0.001,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    """A rate is a function of the step."""
    here, formula = SCHEDULES[name]
    rates = jax.jit(jax.vmap(tf.function(here)))(jnp.arange(10))
    np.testing.assert_allclose(rates, [formula(t) for t in range(10)], rtol=1e-4, atol=1e-6)


def test_schedules_refuse():
    """There is no rate without a step, nor with too few values."""
    with pytest.raises(ValueError, match="global_step"):
        tf.train.exponential_decay(1.0, None, 4, 0.5)
    with pytest.raises(ValueError, match="one value more"):
        tf.train.piecewise_constant(1, [2, 5], [1.0, 0.5])


def test_global_step():
    """It is made once, found by its collection, and counts."""

    def model():
        assert tf.train.get_global_step() is None
        made = tf.train.get_or_create_global_step()
        assert tf.train.get_or_create_global_step() is made
        assert tf.contrib.framework.get_global_step() is made
        with pytest.raises(ValueError, match="already"):
            tf.train.create_global_step()
        tf.assign_add(made, 1)
        return made

    net = js.transform(model)
    n, state = net.apply_with_state(net.init(KEY))
    assert int(n) == int(state["global_step"]) == 1


def test_moving_averages():
    """Averages of variables begin with them, those of tensors with zeros; a getter finds them."""

    def model(x):
        w = tf.get_variable("w", [], initializer=tf.constant_initializer(4.0))
        n = tf.get_variable("n", [], tf.int64, trainable=False)
        ema = tf.train.ExponentialMovingAverage(0.99, num_updates=n)
        assert ema.average(w) is None
        total = tf.reduce_sum(tf.convert_to_tensor(x))
        ema.apply([w, total])
        assert {"w/ExponentialMovingAverage", "n"} < {*ema.variables_to_restore()}
        assert tf.moving_average_variables() == [w]

        def getter(getter, name, *args, **kwargs):
            variable = getter(name, *args, **kwargs)
            return ema.average(variable) or variable

        with tf.variable_scope("", custom_getter=getter, reuse=True):
            averaged = tf.get_variable("w", [])
        assert averaged is ema.average(w)
        return averaged, ema.average(total)

    net = js.transform(tf.function(model))
    x = jnp.ones(3)
    variables = dict(net.init(KEY, x))
    variables["w"] = jnp.float32(14)
    (of_w, of_total), _ = net.apply_with_state(variables, x)
    np.testing.assert_allclose((of_w, of_total), (0.1 * 4 + 0.9 * 14, 2.7), rtol=1e-5)


def test_hparams():
    """Settings keep their types; text, dictionaries and JSON change them."""
    params = tf.contrib.training.HParams(rate=0.1, units=[8, 4], name="a", bias=True, depth=2)
    params.add_hparam("nothing", None)
    assert params.parse("rate=1e-2,units=[1,2,3],bias=false").rate == 0.01
    assert params.parse("units[1]=7").units == [1, 7, 3]
    assert (params.bias, params.get("depth"), params.get("other", 5), "name" in params) == (False, 2, 5, True)
    assert params.parse_json(params.to_json()).values() == params.values()
    assert params.override_from_dict({"depth": 3}).depth == 3
    for text in ("depth=2.5", "depth=[1]", "unknown=1", "rate=1,rate=2", "bias=perhaps", "!"):
        with pytest.raises((ValueError, KeyError)):
            params.parse(text)
    with pytest.raises(ValueError, match="reserved"):
        params.add_hparam("depth", 1)
    params.del_hparam("depth")
    assert "depth" not in params.values()


def test_flags():
    """A flag has its default until it is set; a program is not run."""
    tf.flags.DEFINE_integer("tf1_test_units", 3, "How many.")
    tf.app.flags.DEFINE_boolean("tf1_test_bias", True, "Whether.")
    tf.flags.DEFINE_list("tf1_test_names", "a,b", "Which.")
    flags = tf.app.flags.FLAGS
    assert (flags.tf1_test_units, flags.tf1_test_bias, flags.tf1_test_names) == (3, True, ["a", "b"])
    flags.tf1_test_units = 4
    assert tf.flags.FLAGS.flag_values_dict()["tf1_test_units"] == 4
    with pytest.raises(AttributeError):
        flags.tf1_test_unknown  # noqa: B018
    with pytest.raises(NotImplementedError):
        tf.app.run()
    with pytest.raises(NotImplementedError, match="init_from_checkpoint"):
        tf.train.init_from_checkpoint("model.ckpt", {})


def test_a_loss_and_its_step_at_once():
    """slim's create_train_op and contrib's optimize_loss make their variables by their names."""

    @tf.train_step
    def step(x):
        w = tf.get_variable("w", [2], initializer=tf.ones_initializer())
        v = tf.get_variable("v", [2], initializer=tf.ones_initializer())
        first = tf.contrib.slim.learning.create_train_op(
            tf.reduce_sum(w * x),
            tf.train.GradientDescentOptimizer(1.0),
            variables_to_train=[w],
            clip_gradient_norm=1.0,
        )
        second = tf.contrib.layers.optimize_loss(
            tf.reduce_sum(v * x),
            None,
            0.5,
            "SGD",
            gradient_multipliers={"v:0": 2.0},
            learning_rate_decay_fn=lambda rate, step: rate * 0.5,
            variables=[v],
        )
        return first, second

    x = jnp.array([3.0, 4.0])
    variables = step.init(KEY, x)
    assert {*variables} == {"w", "v", "global_step", "OptimizeLoss/learning_rate"}
    (first, second), after = step(variables, x)
    assert (float(first), float(second), int(after["global_step"])) == (7, 7, 2)
    np.testing.assert_allclose(after["w"], 1 - x / 5, rtol=1e-6)
    np.testing.assert_allclose(after["v"], 1 - 0.25 * 2 * x, rtol=1e-6)
    with pytest.raises(ValueError, match="no optimizer"):
        tf.train_step(
            lambda x: tf.contrib.layers.optimize_loss(tf.get_variable("w", []) * x, None, 0.1, "Sgd")
        ).init(KEY, 1.0)
