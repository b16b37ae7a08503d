"""`tf.distributions`: formulas are those of scipy, shapes TensorFlow's, draws by keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxscope as js

tf = js.tf1
d = tf.distributions


def row(*numbers):
    return np.array(numbers, "float32")


A, B = row(1.5, 3.0), row(2.0, 0.5)
REAL = {
    "Normal": (lambda: d.Normal(A, B), stats.norm(A, B)),
    "Laplace": (lambda: d.Laplace(A, B), stats.laplace(A, B)),
    "StudentT": (lambda: d.StudentT(A + 2, A, B), stats.t(*np.float64([A + 2, A, B]))),
    "Uniform": (lambda: d.Uniform(A - 2, A), stats.uniform(A - 2, [2, 2])),
    "Gamma": (lambda: d.Gamma(A, B), stats.gamma(A, scale=1 / B)),
    "Exponential": (lambda: d.Exponential(B), stats.expon(scale=1 / B)),
    "Beta": (lambda: d.Beta(A, B), stats.beta(A, B)),
}


@pytest.mark.parametrize("name", REAL)
def test_formulas_of_real_numbers(name):
    """Densities, entropies and moments are those of scipy; a thousand draws are of its distribution."""
    make, law = REAL[name]
    one, x = make(), law.ppf([0.3, 0.8]).astype("float32")
    wanted = {
        one.log_prob(x): law.logpdf(x),
        one.prob(x): law.pdf(x),
        one.cdf(x): [0.3, 0.8],
        one.log_cdf(x): np.log([0.3, 0.8]),
        one.survival_function(x): [0.7, 0.2],
        one.entropy(): law.entropy(),
        one.mean(): law.mean(),
        one.stddev(): law.std(),
        one.variance(): law.var(),
    }
    if name in {"Normal", "Gamma", "Exponential", "Beta"}:
        wanted[one.cross_entropy(make())] = law.entropy()
    for found, number in wanted.items():
        np.testing.assert_allclose(jnp.asarray(found), number, rtol=2e-4, atol=1e-5)

    def draws(key):
        with js.random_keys(key):
            return make().sample(1000), make().sample(), make().sample([2, 3])

    many, single, block = js.transform(tf.function(draws)).apply({}, jax.random.key(2))
    assert (single.shape, block.shape) == ((2,), (2, 3, 2))
    for at in range(2):
        spread = law.cdf(np.asarray(many))[:, at]
        assert stats.kstest(spread, "uniform").pvalue > 1e-3


def test_whole_numbers():
    """Bernoulli's and classes: probabilities, entropies, and draws in int32 as often as they are likely."""
    x = row([0.5, -1, 2], [0, 1, 1])
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    for one in (d.Categorical(x), d.Categorical(probs=p)):
        np.testing.assert_allclose(jnp.asarray(one.prob([2, 1])), p[[0, 1], [2, 1]], rtol=1e-5)
        np.testing.assert_allclose(jnp.asarray(one.log_prob(1)), np.log(p[:, 1]), rtol=1e-5)
        assert one.log_prob([[0, 1], [1, 1], [2, 0]]).shape.as_list() == [3, 2]
        np.testing.assert_allclose(jnp.asarray(one.entropy()), stats.entropy(p.T), rtol=1e-5)
        assert jnp.asarray(one.mode()).tolist() == [2, 1]
        assert one.batch_shape.as_list() == [2]
        assert (one.event_shape.as_list(), one.event_size.dtype) == ([], tf.int32)
    q = row(0.2, 0.7)
    for one in (d.Bernoulli(probs=q), d.Bernoulli(logits=np.log(q / (1 - q)))):
        np.testing.assert_allclose(jnp.asarray(one.log_prob([1, 0])), np.log([0.2, 0.3]), rtol=1e-5)
        np.testing.assert_allclose(jnp.asarray(one.entropy()), stats.bernoulli(q).entropy(), rtol=1e-5)
        np.testing.assert_allclose(jnp.asarray(one.variance()), q * (1 - q), rtol=1e-5)
        assert jnp.asarray(one.mode()).tolist() == [0, 1]

    def draws(key):
        with js.random_keys(key):
            return d.Categorical(x).sample(4000), d.Bernoulli(probs=q, dtype=tf.float32).sample(4000)

    classes, ones = js.transform(tf.function(draws)).apply({}, jax.random.key(0))
    assert (classes.dtype, ones.dtype) == ("int32", "float32")
    for at in range(2):
        np.testing.assert_allclose(np.bincount(classes[:, at]) / 4000, p[at], atol=0.03)
    np.testing.assert_allclose(ones.mean(0), q, atol=0.03)


def test_vectors():
    """What is drawn at once has an axis of its own, over which densities are summed."""
    c = row([2, 3, 4], [1.5, 2, 6])
    one, x = d.Dirichlet(c), row(0.2, 0.3, 0.5)
    np.testing.assert_allclose(
        jnp.asarray(one.log_prob(x)), [stats.dirichlet(r).logpdf(x) for r in c], rtol=1e-4
    )
    np.testing.assert_allclose(
        jnp.asarray(one.entropy()), [stats.dirichlet(r).entropy() for r in c], rtol=1e-3
    )
    np.testing.assert_allclose(jnp.asarray(one.variance()), [stats.dirichlet(r).var() for r in c], rtol=1e-4)
    assert (one.batch_shape.as_list(), one.event_shape.as_list()) == ([2], [3])
    diagonal = tf.contrib.distributions.MultivariateNormalDiag(row(0, 1, 2), row(1, 2, 3), 0.5)
    law = stats.multivariate_normal([0, 1, 2], np.diag([0.25, 1, 2.25]))
    np.testing.assert_allclose(jnp.asarray(diagonal.log_prob(c)), law.logpdf(c), rtol=1e-5)
    np.testing.assert_allclose(float(jnp.asarray(diagonal.entropy())), law.entropy(), rtol=1e-5)
    with pytest.raises(ValueError, match="loc or scale_diag"):
        tf.contrib.distributions.MultivariateNormalDiag()


PAIRS = {
    "Normal": (lambda: d.Normal(A, B), lambda: d.Normal(B, A)),
    "Gamma": (lambda: d.Gamma(A, B), lambda: d.Gamma(B, A)),
    "Beta": (lambda: d.Beta(A, B + 1), lambda: d.Beta(B + 1, A)),
    "Bernoulli": (lambda: d.Bernoulli(A), lambda: d.Bernoulli(-B)),
    "Categorical": (lambda: d.Categorical([A, B]), lambda: d.Categorical([B, A])),
    "Dirichlet": (lambda: d.Dirichlet(np.stack([A, B])), lambda: d.Dirichlet(np.stack([B, A]))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_divergence_is_what_draws_say(name):
    """A divergence is the mean, over draws of the first, of the difference of both logarithms."""
    make, other = PAIRS[name]

    def estimate(key):
        with js.random_keys(key):
            x = make().sample(20000)
        apart = make().log_prob(x) - other().log_prob(x)
        return tf.reduce_mean(apart, 0), d.kl_divergence(make(), other())

    rough, exact = jax.jit(js.transform(tf.function(estimate)).apply)({}, jax.random.key(1))
    np.testing.assert_allclose(exact, rough, rtol=0.15, atol=0.02)
    np.testing.assert_allclose(jnp.asarray(make().kl_divergence(make())), 0, atol=1e-5)


def test_gradients_go_through_draws():
    """Gradients go through the draw of a normal, and through the logarithm of a probability."""

    def net(key, x):
        with js.random_keys(key):
            mean = tf.layers.dense(x, 2, name="mean")
            noise = d.Normal(mean, 0.1).sample(seed=3)
            return tf.reduce_sum(noise), tf.reduce_sum(d.Categorical(logits=mean).log_prob([0, 1]))

    made, x = js.transform(tf.function(net)), row([1, 2], [3, 4])
    v = made.init(jax.random.key(0), jax.random.key(1), x)
    for part in range(2):
        slopes = jax.grad(lambda v, part=part: made.apply(v, jax.random.key(1), x)[part])(v)
        assert jnp.any(slopes["mean/kernel"] != 0)


def test_distributions_of_the_programs_own():
    """A class that tells its density and its draws has all the rest, and divergences that it registers."""

    class Half(d.Distribution):
        def __init__(self, scale):
            super().__init__(tf.float32, parameters={"scale": scale})
            self._given = [tf.constant(scale)]

        def _log_prob(self, x):
            return tf.log(2.0) + d.Normal(0.0, self._given[0]).log_prob(x)

        def _sample_n(self, n, seed=None):
            return tf.abs(d.Normal(0.0, self._given[0]).sample(n, seed))

    @d.RegisterKL(Half, Half)
    def divergence(a, b, name=None):
        return d.kl_divergence(d.Normal(0.0, a.parameters["scale"]), d.Normal(0.0, b.parameters["scale"]))

    one = Half(2.0)
    np.testing.assert_allclose(jnp.asarray(one.prob(0.5)), stats.halfnorm(scale=2).pdf(0.5), rtol=1e-5)
    assert float(jnp.asarray(one.kl_divergence(one.copy(scale=1.0)))) > 0
    with pytest.raises(NotImplementedError, match="no formula"):
        d.kl_divergence(one, d.Normal(0.0, 1.0))
    with pytest.raises(NotImplementedError, match="entropy"):
        one.entropy()


def test_what_parameters_must_be():
    """Real numbers of one dtype; either logits or probabilities."""
    with pytest.raises(ValueError, match="real numbers"):
        d.Normal(0, 1)
    with pytest.raises(ValueError, match="but not both"):
        d.Bernoulli(logits=0.0, probs=0.5)
    with pytest.raises(ValueError, match="Must pass"):
        d.Categorical()
    with pytest.raises(TypeError):
        d.Categorical(logits=[0.0, 1.0]).prob(True)
    assert d.Normal(0.0, 1.0).reparameterization_type is d.FULLY_REPARAMETERIZED
    assert d.Bernoulli(0.0).reparameterization_type is d.NOT_REPARAMETERIZED
    assert "batch_shape=(3,)" in repr(d.Normal(np.zeros(3, "float32"), 1.0))


@pytest.mark.parametrize("name", [*REAL, "Dirichlet", "Bernoulli", "Categorical"])
def test_what_was_told(name):
    """Each remembers what it was made of, and a copy is made of the same but for what is told."""
    count = {"StudentT": 3, "Exponential": 1, "Dirichlet": 1, "Bernoulli": 1, "Categorical": 1}.get(name, 2)
    one = getattr(d, name)(*[row(1.0, 2.0)] * count, validate_args=True, allow_nan_stats=False)
    assert (one.validate_args, one.allow_nan_stats, one.name) == (True, False, name)
    assert one.copy(name="b").name == "b"
    assert one.copy().parameters.keys() == one.parameters.keys()
