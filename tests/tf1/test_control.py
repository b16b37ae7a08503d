"""Branches, loops, maps, TensorArray: their programs, gradients, state and keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
import jaxscope.tf1 as tf


def program(function, *args):
    """Return the text of the program that a model of TF1's traces to."""
    return str(jax.make_jaxpr(tf.function(function))(*args))


def primitives(function, *args):
    """Return the names of the operations of a model of TF1's."""
    return [eqn.primitive.name for eqn in jax.make_jaxpr(tf.function(function))(*args).eqns]


def test_known_number_of_steps():
    """A loop whose steps can be counted is JAX's `fori_loop`, and has a derivative under jit."""

    def ours(x):
        return tf.while_loop(lambda i, x: i < 5, lambda i, x: (i + 1, tf.sin(x) * 1.5), [0, x])[1]

    def by_hand(x):
        def body(_, state):
            i, x = state
            return i + 1, jnp.sin(x) * 1.5

        return jax.lax.fori_loop(0, 5, body, (np.int32(0), x))[1]

    x = jnp.asarray([0.3, 0.7])
    assert program(ours, x) == str(jax.make_jaxpr(by_hand)(x))
    grad = jax.jit(jax.grad(lambda x: tf.function(ours)(x).sum()))(x)
    np.testing.assert_allclose(grad, jax.grad(lambda x: by_hand(x).sum())(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("condition", "step", "start"),
    [
        (lambda i: i < 10, lambda i: i + 3, 0),
        (lambda i: i > -7, lambda i: i - 2, 4),
        (lambda i: tf.not_equal(i, 12), lambda i: i * 2, 3),
        (lambda i: tf.logical_and(i < 50, i < 20), lambda i: i + i, 1),
        (lambda i: tf.reduce_sum(tf.stack([i, i])) < 9, lambda i: i + 1, 0),
        (lambda i: i < 0, lambda i: i + 1, 0),
    ],
)
def test_steps_are_counted(condition, step, start):
    """Steps are counted for whatever the condition depends on, as Python counts them."""

    def run(x):
        return tf.while_loop(lambda i, x: condition(i), lambda i, x: (step(i), x * 2.0), [start, x])

    last, doubled = jax.jit(tf.function(run))(1.0)
    count, number = 0, start
    while bool(condition(tf.constant(number))._held):
        number, count = int(step(tf.constant(number))._held), count + 1
    assert (int(last), float(doubled)) == (number, 2.0**count)
    assert "while" not in primitives(run, 1.0)


def test_unknown_number_of_steps():
    """A loop that depends on values is JAX's `while_loop`."""

    def run(x, n):
        return tf.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 2.0), [0, x])[1]

    assert jax.jit(tf.function(run))(1.0, 3) == 8
    assert primitives(run, 1.0, 3).count("while") == 1
    most = tf.function(
        lambda x, n: tf.while_loop(lambda x: x < n, lambda x: x + 1.0, [x], maximum_iterations=4)
    )
    assert [float(jax.jit(most)(0.0, n)) for n in (2.0, 9.0)] == [2, 4]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_condition_that_never_changes(compiled):
    """A condition on numbers that are known alone is known, under jit too."""
    numbers = tf.constant([1.5, 2.5])

    def run(x, least):
        return tf.while_loop(
            lambda x: tf.reduce_sum(numbers) > least, lambda x: x + 1.0, [x], maximum_iterations=3
        )

    for least, wanted in ((5.0, 0), (3.0, 3)):
        function = tf.function(lambda x, least=least: run(x, least))
        assert (jax.jit(function) if compiled else function)(0.0) == wanted


def test_shapes_that_grow():
    """Where shapes grow, steps are written out; a loop that always goes on is ended by its number."""

    def run(x):
        return tf.while_loop(
            cond=lambda *_: True,
            body=lambda x, n: [tf.concat([x, x[:1] * 2], 0), n + tf.shape(x)[0]],
            loop_vars=[x, tf.constant(0)],
            shape_invariants=[tf.TensorShape([None]), tf.TensorShape([])],
            maximum_iterations=3,
        )

    x, n = jax.jit(tf.function(run))(jnp.ones(2))
    assert x.tolist() == [1, 1, 2, 2, 2]
    assert n == 2 + 3 + 4
    with pytest.raises(TypeError, match="how often it runs is not known"):
        jax.jit(
            tf.function(
                lambda x: tf.while_loop(
                    lambda x: tf.reduce_sum(x) < 9.0,
                    lambda x: tf.concat([x, x], 0),
                    [x],
                    [tf.TensorShape([None])],
                )
            )
        )(jnp.ones(2))


def looped(kind):
    """Return a model that makes a variable and counts in state inside of a loop."""

    def body(x):
        count = js.get_variable("count", [], initializer=js.initializers.zeros, trainable=False)
        js.set_variable("count", count + 1)
        return tf.convert_to_tensor(js.get_variable("w", [2], initializer=js.initializers.ones)) * x

    def model(x):
        if kind == "while":
            return tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, body(x) * 2.0), [0, x])[1]
        if kind == "map":
            return tf.map_fn(body, tf.stack([x, x, x]))
        return tf.scan(lambda state, row: body(state) + row, tf.stack([x, x, x]), initializer=x)

    return js.transform(tf.function(model))


@pytest.mark.parametrize("kind", ["while", "map", "scan"])
def test_variables_in_loops(kind):
    """A body makes its variables once, trains them, and writes state in each step."""
    net, x = looped(kind), jnp.ones(2)
    variables = net.init(jax.random.key(0), x)
    assert list(variables) == ["count", "w"]
    loss = jax.jit(lambda params, rest: net.apply_with_state(params | rest, x)[0].sum())
    _, state = jax.jit(net.apply_with_state)(variables, x)
    assert state["count"] == 3
    value = float(loss(variables.trainable, variables.non_trainable))
    grads = jax.jit(jax.grad(loss))(variables.trainable, variables.non_trainable)
    slope = {"while": 3 * value / 2, "map": 3, "scan": (1 + 2 + 3) + (1 + 2) + 1}[kind]
    np.testing.assert_allclose(grads["w"], [slope, slope], rtol=1e-5)


def drawn(kind, key, seed=None):
    """Return what a loop of three steps draws."""

    def model():
        if kind == "while":
            start = [tf.constant(0), tf.zeros([0, 2])]
            return tf.while_loop(
                lambda i, x: i < 3,
                lambda i, x: (i + 1, tf.concat([x, tf.random_normal([1, 2], seed=seed)], 0)),
                start,
                [tf.TensorShape([]), tf.TensorShape([None, 2])],
            )[1]
        if kind == "array":
            array = tf.TensorArray(tf.float32, 3)
            body = lambda i, a: (i + 1, a.write(i, tf.random_normal([2], seed=seed)))
            return tf.while_loop(lambda i, a: i < 3, body, [tf.constant(0), array])[1].stack()
        if kind == "map":
            return tf.map_fn(lambda x: tf.random_normal([2], seed=seed), tf.zeros([3]))
        return tf.scan(
            lambda s, x: tf.random_normal([2], seed=seed), tf.zeros([3]), initializer=tf.zeros([2])
        )

    def net(key):
        with js.random_keys(key):
            return tf.function(model)()

    return np.asarray(jax.jit(js.transform(net).apply)({}, key))


@pytest.mark.parametrize("kind", ["while", "array", "map", "scan"])
def test_keys_in_loops(kind):
    """Each step of a loop draws other numbers; the key and the seed decide them."""
    rows = drawn(kind, jax.random.key(0))
    assert rows.shape == (3, 2)
    assert len(np.unique(rows)) == 6
    np.testing.assert_array_equal(rows, drawn(kind, jax.random.key(0)))
    for other in (drawn(kind, jax.random.key(1)), drawn(kind, jax.random.key(0), seed=1)):
        assert not np.isin(rows, other).any()


def test_map_is_lax_map():
    """Without what is drawn, a map is `jax.lax.map`, operation for operation, also where a stream is open."""
    x = jnp.ones((3, 2))
    ours = program(lambda x: tf.map_fn(lambda row: tf.tanh(row) * 2.0, x), x)
    assert ours == str(jax.make_jaxpr(lambda x: jax.lax.map(lambda row: jnp.tanh(row) * 2.0, x))(x))


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_and_folds(reverse):
    """A scan without a first state begins with an element; folds keep the last state."""
    x = np.asarray([1.0, 2.0, 4.0, 8.0], np.float32)
    step = lambda state, one: state * 0.5 + one
    order = x[::-1] if reverse else x
    states = [order[0]]
    for one in order[1:]:
        states.append(states[-1] * 0.5 + one)
    found = tf.function(lambda x: tf.scan(step, x, reverse=reverse))(x)
    np.testing.assert_allclose(found, states[::-1] if reverse else states)
    fold = tf.foldr if reverse else tf.foldl
    np.testing.assert_allclose(tf.function(lambda x: fold(step, x))(x), states[-1])


def test_cond_is_lax_cond():
    """A condition is `jax.lax.cond`; one on shapes is known, and so is what it chooses of shapes."""

    def ours(x):
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.sin(x), lambda: -x)

    def by_hand(x):
        return jax.lax.cond(jnp.sum(x) > np.float32(0), lambda: jnp.sin(x), lambda: -x)

    x = jnp.ones(3)
    assert program(ours, x) == str(jax.make_jaxpr(by_hand)(x))

    def sized(x):
        size = tf.cond(tf.shape(x)[0] > 2, lambda: tf.shape(x)[0], lambda: tf.constant(1))
        return tf.reshape(x, [size, 1]), tf.cond(tf.shape(x)[0] > 2, lambda: x[:1], lambda: x)

    assert [one.shape for one in jax.jit(tf.function(sized))(x)] == [(3, 1), (1,)]
    with pytest.raises(ValueError, match="different shapes"):
        jax.jit(tf.function(lambda x: tf.cond(x[0] > 0.0, lambda: x, lambda: x[:1])))(x)


def test_switch_case():
    """A number chooses a function; others the default."""
    run = jax.jit(
        tf.function(lambda i: tf.switch_case(i, {0: lambda: 10, 2: lambda: 20}, default=lambda: -1))
    )
    assert [int(run(i)) for i in range(-1, 4)] == [-1, 10, -1, 20, -1]


def test_tensor_array_in_a_loop():
    """A TensorArray gets its shape by the first write, is read, and has a gradient."""

    def run(x):
        array = tf.TensorArray(tf.float32, size=4, clear_after_read=False).write(0, x)
        body = lambda i, a: (i + 1, a.write(i, a.read(i - 1) * 2.0))
        return tf.while_loop(lambda i, a: i < 4, body, [tf.constant(1), array])[1].stack()

    x = jnp.asarray([1.0, -1.0])
    np.testing.assert_array_equal(jax.jit(tf.function(run))(x), np.outer([1, 2, 4, 8], x))
    grad = jax.jit(jax.grad(lambda x: tf.function(run)(x).sum()))(x)
    np.testing.assert_array_equal(grad, [15, 15])


def test_tensor_array_grows():
    """One of dynamic size grows in a loop whose steps are known."""

    def run(x):
        array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        body = lambda i, a: (i + 1, a.write(i, x * tf.cast(i, tf.float32)))
        return tf.while_loop(lambda i, a: i < 3, body, [0, array])[1]

    stacked, size = jax.jit(tf.function(lambda x: (run(x).stack(), run(x).size())))(2.0)
    assert stacked.tolist() == [0, 2, 4]
    assert size == 3


def test_tensor_array_methods():
    """What is written in any way is read in any way."""
    x = tf.constant([[1.0], [2.0], [3.0]])
    array = tf.TensorArray(tf.float32, 3).unstack(x)
    for one in (
        array,
        tf.TensorArray(tf.float32, 3).scatter([2, 0, 1], tf.constant([[3.0], [1.0], [2.0]])),
        tf.TensorArray(tf.float32, 3).write(2, [3.0]).write(0, [1.0]).write(1, [2.0]),
    ):
        assert np.asarray(jnp.asarray(one.stack())).tolist() == [[1], [2], [3]]
        assert np.asarray(jnp.asarray(one.gather([2, 0]))).tolist() == [[3], [1]]
        assert np.asarray(jnp.asarray(one.concat())).tolist() == [1, 2, 3]
        assert np.asarray(jnp.asarray(one.read(1))).tolist() == [2]
    pieces = tf.TensorArray(tf.float32, 2, infer_shape=False).split(x, [1, 2])
    assert pieces.read(1).shape == [2, 1]
    with pytest.raises(ValueError, match="float32"):
        array.write(0, tf.constant([1]))
    with pytest.raises(IndexError):
        array.read(3)


def test_loops_refuse():
    """What changes from step to step and may not is an error with a name."""
    wrong = {
        "structure": lambda: tf.while_loop(lambda i: i < 3, lambda i: (i, i), [0]),
        "different|shape": lambda: tf.while_loop(
            lambda i, x: i < 3, lambda i, x: (i + 1, tf.concat([x, x], 0)), [0, [1.0]]
        ),
        "does not allow": lambda: tf.while_loop(
            lambda x: True, lambda x: x, [[1.0]], [tf.TensorShape([2])], maximum_iterations=1
        ),
        "truth value": lambda: tf.while_loop(lambda i: i, lambda i: i, [0]),
        "float32": lambda: tf.scan(lambda a, x: a + x, tf.zeros([2]), initializer=0),
        "different first sizes": lambda: tf.map_fn(lambda x: x[0], (tf.zeros([2]), tf.zeros([3]))),
    }
    for message, call in wrong.items():
        with pytest.raises((ValueError, TypeError), match=message):
            call()


def test_nest():
    """Trees of TensorFlow's: None is a leaf, dicts are in the order of their keys."""
    tree = {"b": [1, None], "a": (2,)}
    assert tf.nest.flatten(tree) == [2, 1, None]
    assert tf.nest.pack_sequence_as(tree, "xyz") == {"b": ["y", "z"], "a": ("x",)}
    assert tf.nest.map_structure(lambda x, y: (x, y), [1, (2,)], [3, (4,)]) == [(1, 3), ((2, 4),)]
    with pytest.raises(ValueError, match="structure"):
        tf.nest.assert_same_structure([1], [1, 2])
    with pytest.raises(TypeError, match="structure"):
        tf.nest.assert_same_structure([1], (1,))


def test_own_gradient():
    """`tf.custom_gradient` takes the gradient that comes with the result, under jit too."""

    @tf.custom_gradient
    def clipped(x, y):
        return x * y, lambda dy: (dy * 100.0, None)

    grads = jax.jit(jax.grad(tf.function(lambda x, y: clipped(x, y)), argnums=(0, 1)))(2.0, 3.0)
    assert [float(one) for one in grads] == [100, 0]


def test_python_on_the_host():
    """`tf.py_func` runs NumPy in the program, and lets no gradient through."""

    def run(x):
        y, n = tf.py_func(lambda a: (np.sort(a), np.int32(a.size)), [x], [tf.float32, tf.int32])
        return tf.reduce_sum(y * x), n

    x = jnp.asarray([3.0, 1.0])
    (value, n), grad = jax.jit(jax.value_and_grad(tf.function(run), has_aux=True))(x)
    assert (float(value), int(n), grad.tolist()) == (6, 2, [1, 3])


def test_asserts_know_what_they_can():
    """What is known while tracing raises; traced values are not looked at."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="sizes: x < y"):
        jax.jit(tf.function(lambda x: tf.assert_less(tf.shape(x)[0], 2, message="sizes")))(jnp.ones(3))
    jax.jit(tf.function(lambda x: tf.assert_less(x, 0.0)))(jnp.ones(3))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.Assert(tf.equal(tf.rank(tf.zeros([1])), 2), ["no matrix"])
