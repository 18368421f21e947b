"""`python -m consumer`."""

import sys

from common.runtime.command_line import run
from consumer.command import consume

if __name__ == "__main__":
    sys.exit(run(consume, name="consumer"))
