"""`python -m jaxscope`: the command line."""

import sys

from jaxscope.command.main import main

if __name__ == "__main__":
    sys.exit(main())
