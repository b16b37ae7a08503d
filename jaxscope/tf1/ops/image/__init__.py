"""`tf.image`: resizing, cropping, turning, colors, differences of images."""
