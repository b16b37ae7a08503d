"""`tf.nn`: activations, convolutions, pooling, normalization, losses by element, embeddings, dropout."""
