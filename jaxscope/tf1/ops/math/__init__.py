"""Arithmetic, comparisons, reductions, products, clipping: `tf.math` and its names at the top."""
