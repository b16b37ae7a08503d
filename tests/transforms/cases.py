"""Small programs around one wrapped function: what a user may do with variables in and around a transform.

Each takes `run`, which puts the wrapper around a function, and `x`, float32[3].
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxscope as js

Body = Callable[[jax.Array], jax.Array]
Run = Callable[[Body], Body]


def layer(x: jax.Array) -> jax.Array:
    """Ask for two variables; a function of the module, as most layers are."""
    w = js.get_variable("w", [3])
    b = js.get_variable("b", [3], initializer=js.initializers.ones)
    return jnp.tanh(x * w + b)


def numbered(x: jax.Array) -> jax.Array:
    """Ask for them in a scope of its own, with a number where that is needed."""
    with js.variable_scope(None, "dense"):
        return layer(x)


def own(x: jax.Array) -> jax.Array:
    """Make a variable that is never shared, and another."""
    return x * js.Variable(np.float32(2.0), name="u") + js.Variable(lambda: np.float32(1.0), name="u")


def losing(x: jax.Array) -> jax.Array:
    """Ask for a variable with a loss, and add what was lost so far."""
    w = js.get_variable("w", [3], regularizer=js.regularizers.l2(0.5))
    return x * w + sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))


def doubled(getter: Any, name: str, **kwargs: Any) -> jax.Array:
    """Get twice the variable; a custom getter."""
    return 2 * getter(name, **kwargs)


def made(run: Run, x: jax.Array) -> jax.Array:
    return run(layer)(x)


def read(run: Run, x: jax.Array) -> jax.Array:
    y = layer(x)
    with js.variable_scope("", reuse=True):
        return run(layer)(y)


def made_then_read(run: Run, x: jax.Array) -> jax.Array:
    y = run(layer)(x)
    with js.variable_scope("", reuse=True):
        return layer(y)


def reused(run: Run, x: jax.Array) -> jax.Array:
    with js.variable_scope("a"):
        x = run(layer)(x)
    with js.variable_scope("a", reuse=True):
        return run(layer)(x)


def shared(run: Run, x: jax.Array) -> jax.Array:
    with js.variable_scope("a", reuse=js.AUTO_REUSE):
        return run(layer)(run(layer)(x))


def two_scopes(run: Run, x: jax.Array) -> jax.Array:
    f = run(layer)
    with js.variable_scope("a"):
        x = f(x)
    with js.variable_scope("b"):
        return f(x)


def default_names(run: Run, x: jax.Array) -> jax.Array:
    f = run(numbered)
    with js.variable_scope("a"):
        x = f(f(x))
    return f(numbered(x))


def twice(run: Run, x: jax.Array) -> jax.Array:
    f = run(layer)
    return f(f(x))


def absent(run: Run, x: jax.Array) -> jax.Array:
    with js.variable_scope("a", reuse=True):
        return run(layer)(x)


def other_shape(run: Run, x: jax.Array) -> jax.Array:
    js.get_variable("w", [4])
    with js.variable_scope("", reuse=True):
        return run(layer)(x)


def getters(run: Run, x: jax.Array) -> jax.Array:
    f = run(layer)
    with js.variable_scope("a", custom_getter=doubled, reuse=js.AUTO_REUSE):
        x = f(x)
    with js.variable_scope("a", reuse=True):
        return f(x)


def own_variables(run: Run, x: jax.Array) -> jax.Array:
    f = run(own)
    with js.variable_scope("a"):
        x = f(x)
    with js.name_scope("a"):
        x = f(x)
    return f(f(x))


def losses(run: Run, x: jax.Array) -> jax.Array:
    f = run(losing)
    with js.variable_scope("a"):
        x = f(x)
    with js.variable_scope("b"):
        x = f(x)
    return x + sum(js.get_collection(js.GraphKeys.REGULARIZATION_LOSSES))


def template(run: Run, x: jax.Array) -> jax.Array:
    t = js.make_template("t", run(layer))
    s = run(js.make_template("t", layer))
    return s(t(s(t(x))))


def jump(run: Run, x: jax.Array) -> jax.Array:
    with js.variable_scope("a") as a:
        x = run(layer)(x)

    def again(x: jax.Array) -> jax.Array:
        with js.variable_scope(a, reuse=True):
            return layer(x)

    with js.variable_scope("b"):
        x = run(layer)(x)
        return run(again)(x)


def closure(run: Run, x: jax.Array) -> jax.Array:
    w = js.get_variable("w", [3])
    return run(lambda x: jnp.tanh(w * x) + js.get_variable("b", [3]))(x)


def options(run: Run, x: jax.Array) -> jax.Array:
    f = run(lambda x: x * js.get_variable("w", [3]))
    with js.variable_scope("a", initializer=js.initializers.ones) as a:
        x = f(x)
        a.reuse_variables()
        return f(x)


def counting(x: jax.Array) -> jax.Array:
    """Count the calls, in a variable, and use the count."""
    n = js.get_variable("n", [], initializer=js.initializers.zeros, trainable=False)
    js.set_variable("n", n + 1)
    with js.variable_scope("", reuse=True):
        return x * js.get_variable("n")


def written(run: Run, x: jax.Array) -> jax.Array:
    f = run(counting)
    with js.variable_scope("a"):
        x = f(x)
    with js.variable_scope("a", reuse=True):
        x = f(x) * js.get_variable("n", trainable=False)
    with js.variable_scope("b"):
        return f(x)


#: All of them but `written`, by name.
CASES: dict[str, Callable[[Run, jax.Array], jax.Array]] = {
    case.__name__: case
    for case in (
        made,
        read,
        made_then_read,
        reused,
        shared,
        two_scopes,
        default_names,
        twice,
        absent,
        other_shape,
        getters,
        own_variables,
        losses,
        template,
        jump,
        closure,
        options,
    )
}

#: Those that end in an error, with what `apply` is given, since `init` has nothing to give.
FAILING = {
    "twice": {"w": np.ones(3, np.float32), "b": np.zeros(3, np.float32)},
    "absent": {"a/w": np.ones(3, np.float32), "a/b": np.zeros(3, np.float32)},
    "other_shape": {"w": np.ones(4, np.float32), "b": np.zeros(3, np.float32)},
}

#: Those in which a function may be called once more without a new name or an error.
SHARING = ("read", "shared", "absent", "other_shape")
