"""What is drawn: `tf.random_uniform` and its like, by keys of the open stream."""
