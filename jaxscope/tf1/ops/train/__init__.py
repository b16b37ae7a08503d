"""`tf.train`: optimizers, schedules, moving averages, the global step."""
