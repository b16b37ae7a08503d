"""A deep Q-network: dueling heads, double Q-learning, a target network that is assigned."""

import tensorflow as tf
import tensorflow.contrib.layers as layers


def hidden(x, name, units):
    with tf.variable_scope(name):
        w = tf.get_variable("w", [x.get_shape()[1].value, units], initializer=tf.orthogonal_initializer(1.0))
        b = tf.get_variable("b", [units], initializer=tf.constant_initializer(0.0))
        return tf.matmul(x, w) + b


def mlp(x, num_layers=2, num_hidden=16):
    h = tf.layers.flatten(x)
    for i in range(num_layers):
        h = tf.tanh(hidden(h, "mlp_fc{}".format(i), num_hidden))
    return h


def head(out, hiddens, outputs, layer_norm):
    for units in hiddens:
        out = layers.fully_connected(out, num_outputs=units, activation_fn=None)
        if layer_norm:
            out = layers.layer_norm(out, center=True, scale=True)
        out = tf.nn.relu(out)
    return layers.fully_connected(out, num_outputs=outputs, activation_fn=None)


def q_network(x, num_actions, scope, reuse=False, hiddens=(16,), dueling=True, layer_norm=False):
    with tf.variable_scope(scope, reuse=reuse):
        out = layers.flatten(mlp(x))
        with tf.variable_scope("action_value"):
            actions = head(out, hiddens, num_actions, layer_norm)
        if not dueling:
            return actions
        with tf.variable_scope("state_value"):
            state = head(out, hiddens, 1, layer_norm)
        return state + actions - tf.expand_dims(tf.reduce_mean(actions, 1), 1)


def absolute_scope_name(relative):
    base = tf.get_variable_scope().name
    return base + "/" + relative if base else relative


def huber(x, delta=1.0):
    return tf.where(tf.abs(x) < delta, tf.square(x) * 0.5, delta * (tf.abs(x) - 0.5 * delta))


def act(obs, num_actions, stochastic=True, update_eps=-1.0, scope="deepq", reuse=None):
    """Choose actions: the best ones, but for a share of random ones."""
    with tf.variable_scope(scope, reuse=reuse):
        eps = tf.get_variable("eps", (), initializer=tf.constant_initializer(0))
        q_values = q_network(obs, num_actions, scope="q_func")
        best = tf.argmax(q_values, axis=1)
        if not stochastic:
            return best, q_values
        batch = tf.shape(obs)[0]
        other = tf.random_uniform(tf.stack([batch]), minval=0, maxval=num_actions, dtype=tf.int64)
        chosen = tf.random_uniform(tf.stack([batch]), minval=0, maxval=1, dtype=tf.float32) < eps
        actions = tf.where(chosen, other, tf.cast(best, tf.int64))
        new_eps = tf.cond(tf.convert_to_tensor(update_eps) >= 0, lambda: update_eps, lambda: eps)
        with tf.control_dependencies([eps.assign(new_eps)]):
            return tf.identity(actions), q_values


def train(
    obs,
    action,
    reward,
    obs_tp1,
    done,
    weight,
    num_actions,
    gamma=0.99,
    grad_norm_clipping=10,
    double_q=True,
    lr=5e-4,
    scope="deepq",
    reuse=None,
):
    """One step of Q-learning on a batch of transitions; returns the temporal differences before it."""
    optimizer = tf.train.AdamOptimizer(learning_rate=lr)
    with tf.variable_scope(scope, reuse=reuse):
        q_t = q_network(obs, num_actions, scope="q_func", reuse=True)
        q_vars = tf.get_collection(
            tf.GraphKeys.GLOBAL_VARIABLES, scope=tf.get_variable_scope().name + "/q_func"
        )
        q_tp1 = q_network(obs_tp1, num_actions, scope="target_q_func")
        q_selected = tf.reduce_sum(q_t * tf.one_hot(action, num_actions), 1)
        if double_q:
            online = q_network(obs_tp1, num_actions, scope="q_func", reuse=True)
            best = tf.reduce_sum(q_tp1 * tf.one_hot(tf.argmax(online, 1), num_actions), 1)
        else:
            best = tf.reduce_max(q_tp1, 1)
        target = reward + gamma * (1.0 - done) * best
        td_error = q_selected - tf.stop_gradient(target)
        weighted = tf.reduce_mean(weight * huber(td_error))
        gradients = optimizer.compute_gradients(weighted, var_list=q_vars)
        for i, (grad, var) in enumerate(gradients):
            if grad is not None:
                gradients[i] = (tf.clip_by_norm(grad, grad_norm_clipping), var)
        optimizer.apply_gradients(gradients)
        return td_error


def update_target(scope="deepq"):
    """Copy the online network into the target network; both have been made."""
    online = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope=scope + "/q_func")
    target = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope=scope + "/target_q_func")
    updates = []
    for var, var_target in zip(sorted(online, key=lambda v: v.name), sorted(target, key=lambda v: v.name)):
        updates.append(var_target.assign(var))
    return tf.group(*updates)
