"""Benchmarks: the same models through several libraries, next to hand-written JAX over a nested dict."""
