"""Branches, loops, maps, order and checks: `tf.cond`, `tf.while_loop`, `tf.group`, `tf.assert_equal`."""
