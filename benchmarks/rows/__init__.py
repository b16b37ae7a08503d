"""The rows of the benchmark, one module each: `run(setup)` yields tables as they are filled."""
