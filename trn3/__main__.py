"""`python -m trn3`: the same as the `trn3` command."""

import sys

if __name__ == "__main__":
    try:
        from trn3.reporting.cli import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
