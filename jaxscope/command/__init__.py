"""The command line: `jaxscope`, or `python -m jaxscope`."""
