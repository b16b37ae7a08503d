"""TF1's checkpoints, read and written without TensorFlow: bundles (V2), and the older single files (V1)."""
