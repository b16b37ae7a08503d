"""What every operation stands on: dtypes, shapes, tensors, conversions, names."""
