"""The operations: every module below is found and loaded by itself, and says by `@export` what it brings."""
