"""A logger that discards librdkafka's log; callers report errors by exceptions instead."""

import logging


def quiet_logger() -> logging.Logger:
    """Return a logger that writes nothing; clients take it as `logger=`."""
    quiet = logging.getLogger("sensorwatch.quiet")
    if not quiet.handlers:
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
    return quiet
