"""`python -m trn3`: the same as the `trn3` command."""

import sys

from trn3.reporting.cli import main

if __name__ == "__main__":
    sys.exit(main())
