"""`tf.contrib`: layers, slim, framework, training."""
