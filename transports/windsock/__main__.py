"""`python -m windsock` is the `windsock` command."""

import sys

from windsock.cli import main

if __name__ == "__main__":
    sys.exit(main())
