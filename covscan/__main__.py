"""``python -m covscan`` and the ``covscan`` command."""

import sys

from covscan.cli.entry import run


def main() -> int:
    """Run the command line of this process and return its exit code."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
