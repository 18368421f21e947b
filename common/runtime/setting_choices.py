"""The configuration values that are one of a few choices; imports in no time."""

from enum import StrEnum


class Delivery(StrEnum):
    """How results and offsets are committed."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class Emit(StrEnum):
    """Which events of an episode are published, besides its end; the counts do not change."""

    ROWS = "rows"
    """One event for each anomalous row."""
    EPISODES = "episodes"
    """One event for the first row; a late or duplicate row is an episode of its own."""


class StartPosition(StrEnum):
    """The start offset of a partition without a committed offset."""

    EARLIEST = "earliest"
    LATEST = "latest"
    ERROR = "error"


class FeatureKind(StrEnum):
    """The features of a model."""

    FORECAST = "forecast"
    """Each row compared with a forecast from its sensor's previous rows."""
    PLAIN = "plain"
    """The raw signals, hour and day of week; no memory."""


class LogFormat(StrEnum):
    """The format of the log: for people or for machines."""

    HUMAN = "human"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
