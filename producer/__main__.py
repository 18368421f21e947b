"""The command line `python -m producer`, the same as `sensorwatch produce`."""

import sys

from sensorwatch.common.runtime.command_line import run
from sensorwatch.producer.produce_command import produce

if __name__ == "__main__":
    sys.exit(run(produce, name="producer"))
