"""Provides a logger that discards librdkafka's log; callers report errors by exceptions."""

import logging


def silent_logger() -> logging.Logger:
    """Return a logger that writes nothing; clients take it as `logger=`."""
    logger = logging.getLogger("sensorwatch.quiet")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger
