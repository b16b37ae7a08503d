"""`tf.distributions`: what policies and latent variables are drawn from."""
