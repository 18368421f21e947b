"""The entry point of `sensorwatch` and `python -m sensorwatch`."""

import sys

from sensorwatch.cli import build_app
from sensorwatch.common.runtime.command_line import run


def main() -> int:
    """Run the command line and return its exit code."""
    return run(build_app(), name="sensorwatch")


if __name__ == "__main__":
    sys.exit(main())
