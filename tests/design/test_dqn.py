"""Deep Q-learning: a target network in a scope of its own, copied from the other one by full names."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxscope as js

STATES, ACTIONS = 4, 2


def q_values(s, name, trainable=True):
    def frozen(next_creator, **kwargs):
        return next_creator(**{**kwargs, "trainable": trainable})

    with js.variable_scope(name), js.variable_creator_scope(frozen):
        h = jnp.tanh(s @ js.get_variable("hidden", [STATES, 16]))
        return h @ js.get_variable("out", [16, ACTIONS])


@js.transform
def loss(s, a, reward, following, done):
    q = q_values(s, "main")[jnp.arange(len(a)), a]
    target = reward + jnp.where(done, 0, 0.9 * q_values(following, "target", trainable=False).max(-1))
    return jnp.mean((q - target) ** 2)


@js.transform
def act(s):
    return q_values(s, "main").argmax(-1)


@js.transform
def synchronize():
    """Copy each variable of main to the one of the same name in target, inside a pass."""
    s = jnp.zeros([1, STATES])
    q_values(s, "main"), q_values(s, "target", trainable=False)
    for name, value in js.trainable_variables("main/").items():
        js.set_variable(full_name=name.replace("main/", "target/"), value=value)


def copied(variables):
    """Do the same outside: full names are keys."""
    main = variables.select("main/")
    return variables | {name.replace("main/", "target/"): value for name, value in main.items()}


def transitions():
    """Return all steps in a corridor of four rooms: to the left or right; the last one has the reward."""
    room, a = jnp.divmod(jnp.arange((STATES - 1) * ACTIONS), ACTIONS)
    following = jnp.clip(room + 2 * a - 1, 0, STATES - 1)
    done = following == STATES - 1
    return jnp.eye(STATES)[room], a, done.astype(jnp.float32), jnp.eye(STATES)[following], done


def test_copies_are_the_same():
    """In a pass or outside, target gets main's values, stays untrainable, and main stays as it is."""
    variables = loss.init(jax.random.key(0), *transitions())
    assert list(variables.non_trainable) == ["target/hidden", "target/out"]
    assert not np.array_equal(variables["main/out"], variables["target/out"])
    outside = copied(variables)
    _, state = synchronize.apply_with_state(variables)
    inside = variables | state
    assert jax.tree.structure(inside) == jax.tree.structure(outside) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, inside, outside)
    np.testing.assert_array_equal(inside["target/out"], variables["main/out"])
    assert float(loss.apply(inside, *transitions())) == float(loss.apply(outside, *transitions()))


def test_finds_the_way():
    """Trained with a target that is copied now and then, it goes right in each room."""
    data = transitions()
    variables = copied(loss.init(jax.random.key(0), *data))
    optimizer = optax.adam(2e-2)
    memory = optimizer.init(variables.trainable)

    @jax.jit
    def step(variables, memory):
        params, target = variables.trainable, variables.non_trainable
        gradients = jax.grad(lambda params: loss.apply(params | target, *data))(params)
        updates, memory = optimizer.update(gradients, memory)
        return optax.apply_updates(params, updates) | target, memory

    first = loss.apply(variables, *data)
    for round_ in range(100):
        if round_ % 10 == 0:
            variables = copied(variables)
        variables, memory = step(variables, memory)
    assert loss.apply(variables, *data) < first / 20
    assert act.apply(variables, jnp.eye(STATES)[:-1]).tolist() == [1, 1, 1]
    assert list(act.spec(jnp.eye(STATES))) == ["main/hidden", "main/out"]
