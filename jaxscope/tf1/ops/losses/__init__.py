"""`tf.losses`: means of losses, by weights, which are collected."""
