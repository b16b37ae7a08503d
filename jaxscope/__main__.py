"""`jaxscope`, or `python -m jaxscope`: the command line, as a process of its own."""

import gc
import sys


def run() -> int:
    """Do what the process's arguments ask for; return its exit status."""
    # What has been imported is no garbage, and JAX is large: looking through it again and again would take
    # longer than importing the rest.
    gc.freeze()
    from jaxscope.command.main import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
