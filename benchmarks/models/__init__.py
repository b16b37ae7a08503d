"""What is benchmarked: each model's sizes, its inputs, and its maths as plain functions of arrays."""
