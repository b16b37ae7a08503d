"""The initial values that every library but jaxscope (which has its own) uses for these models."""

import jax

glorot = jax.nn.initializers.glorot_uniform()
he = jax.nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
normal = jax.nn.initializers.normal(0.02)
ones = jax.nn.initializers.ones
zeros = jax.nn.initializers.zeros
