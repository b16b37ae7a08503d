"""TF1's initializers: values that say how a variable begins, called `(key, shape, dtype)`.

Each is an immutable value with a lower-case name: `js.initializers.zeros` and `js.initializers.zeros()`
both serve as an initializer, two with equal arguments are equal, and their long names in TF1
(`zeros_initializer`, ...) are here too. Formulas and defaults are those of TF 1.15's
`tensorflow/python/ops/init_ops.py`. There is no argument `seed`, since the key and the variable's name
decide the bits, and no argument `dtype`, since the variable has one; who passes them is told so. What is
passed keeps all its digits until the dtype is known: `constant(0.1)` of a float64 variable is 0.1.

Any other callable `(key, shape, dtype) -> array`, such as those of `jax.nn.initializers`, does as well.
"""

from jaxscope._core.base.public import publish
from jaxscope._core.initializers.base import Initializer
from jaxscope._core.initializers.elementary import (
    constant,
    identity,
    ones,
    orthogonal,
    random_normal,
    random_uniform,
    truncated_normal,
    zeros,
)
from jaxscope._core.initializers.from_variable import derived
from jaxscope._core.initializers.scaling import (
    fans,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    uniform_unit_scaling,
    variance_scaling,
)

__all__ = [
    "Initializer",
    "constant",
    "constant_initializer",
    "derived",
    "fans",
    "glorot_normal",
    "glorot_normal_initializer",
    "glorot_uniform",
    "glorot_uniform_initializer",
    "he_normal",
    "he_uniform",
    "identity",
    "identity_initializer",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "ones_initializer",
    "orthogonal",
    "orthogonal_initializer",
    "random_normal",
    "random_normal_initializer",
    "random_uniform",
    "random_uniform_initializer",
    "truncated_normal",
    "truncated_normal_initializer",
    "uniform_unit_scaling",
    "uniform_unit_scaling_initializer",
    "variance_scaling",
    "variance_scaling_initializer",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
    "zeros_initializer",
]

zeros_initializer = zeros
ones_initializer = ones
constant_initializer = constant
random_uniform_initializer = random_uniform
random_normal_initializer = random_normal
truncated_normal_initializer = truncated_normal
variance_scaling_initializer = variance_scaling
glorot_uniform_initializer = xavier_uniform = glorot_uniform
glorot_normal_initializer = xavier_normal = glorot_normal
uniform_unit_scaling_initializer = uniform_unit_scaling
orthogonal_initializer = orthogonal
identity_initializer = identity

publish(__name__, __all__, globals())
