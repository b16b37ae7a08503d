"""`tf.layers`, over `js.layers`."""
