"""Runs the consumer: `python -m sensorwatch.consumer`."""

import sys

from sensorwatch.consumer.stopping import StopRequest


def main() -> int:
    """Run the command and return its exit code."""
    StopRequest()  # handles signals during the slow imports below
    from sensorwatch.common.runtime.command_line import run
    from sensorwatch.consumer.command import consume

    return run(consume, name="consumer")


if __name__ == "__main__":
    sys.exit(main())
