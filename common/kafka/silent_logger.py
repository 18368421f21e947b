"""A logger for clients whose troubles are told by exceptions and not by librdkafka's log."""

import logging


def quiet_logger() -> logging.Logger:
    """Return a logger that writes nothing; clients take it as `logger=`."""
    quiet = logging.getLogger("sensorwatch.quiet")
    if not quiet.handlers:
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
    return quiet
