"""Initial values that are made of another variable's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxscope as js
from jaxscope.errors import InitializerError

INIT = js.initializers
KEY = jax.random.key(3)


def largest(of, shape, initializer=INIT.glorot_uniform):
    return INIT.derived(lambda w: jnp.abs(w).max(0), of, initializer, shape, "float32")


def net_of(*, ask):
    """Return a net with layers of a weight, if it is asked for, and what is made of it."""

    def layer(x):
        name = js.get_variable_scope().name
        if ask:
            js.get_variable("w", [4, 3], initializer=INIT.glorot_uniform)
        top = js.get_variable("top", [3], initializer=largest(f"{name}/w", [4, 3]))
        return (
            x
            + js.get_variable(
                "twice",
                [3],
                initializer=INIT.derived(
                    lambda t: 2 * t, f"{name}/top", largest(f"{name}/w", [4, 3]), [3], "float32"
                ),
            )
            - top
        )

    @js.transform
    def net(x):
        for at in range(2):
            with js.variable_scope(f"l_{at}"):
                x = layer(x)
        return x

    return net


def test_it_fits_the_other():
    """Whether the other is asked for or not, alone or among others, eager or jitted, alone or in a stack."""
    specs = net_of(ask=True).spec(0.0)
    v = specs.init(KEY)
    for at in range(2):
        np.testing.assert_array_equal(v[f"l_{at}/top"], np.abs(v[f"l_{at}/w"]).max(0))
        np.testing.assert_array_equal(v[f"l_{at}/twice"], 2 * v[f"l_{at}/top"])
    assert np.any(v["l_0/top"] != v["l_1/top"])
    others = (
        net_of(ask=False).init(KEY, 0.0),
        jax.jit(specs.init)(KEY),
        specs.select("l_1/top").init(KEY),
        specs.stack("l_{}").init(KEY).unstack(),
        net_of(ask=True).init(KEY, 0.0),
    )
    for other in others:
        for name, value in other.items():
            np.testing.assert_array_equal(value, v[name])


def test_of_constants_and_classes():
    """The other may begin as anything that a variable may begin as."""
    ones = np.ones((4, 3), np.float32)
    for start, wanted in (
        (ones, 1),
        (INIT.constant(2.0), 2),
        (INIT.ones, 1),
        (lambda k, s, d: 3 * jnp.ones(s, d), 3),
    ):
        specs = js.transform(
            lambda: js.get_variable("t", [3], initializer=largest("w", [4, 3], start))
        ).spec()
        np.testing.assert_array_equal(specs.init(KEY)["t"], wanted * np.ones(3))


@pytest.mark.parametrize(
    ("shape", "dtype", "code"), [([2], "float32", "init_wrong_shape"), ([3], "float16", "init_wrong_dtype")]
)
def test_what_it_gives(shape, dtype, code):
    """Shape and dtype of what the function returns are checked where the variable is asked for."""
    net = js.transform(lambda: js.get_variable("t", shape, dtype, initializer=largest("w", [4, 3])))
    with pytest.raises(InitializerError) as caught:
        net.spec()
    assert caught.value.code == code


def test_called_by_hand():
    """With the key of the other, it gives the value; `of` gives that of any value of the other."""
    w = INIT.glorot_uniform()(KEY, [4, 3])
    np.testing.assert_array_equal(largest("w", [4, 3])(KEY, [3]), np.abs(w).max(0))
    np.testing.assert_array_equal(largest("w", [4, 3]).of(-jnp.ones([4, 3])), np.ones(3))
