"""Enums for the settings that have a few choices. The import of this module is fast."""

from enum import StrEnum


class Delivery(StrEnum):
    """How results and offsets are committed."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class Emit(StrEnum):
    """Which rows of an episode get an event. The end of an episode always gets one.

    Metrics and ledger count all anomalous rows in both cases.
    """

    ROWS = "rows"
    """One event for each anomalous row."""
    EPISODES = "episodes"
    """One event for the first row of an episode. A late or duplicate row is an episode of its
    own."""


class StartPosition(StrEnum):
    """The start offset of a partition without a committed offset."""

    EARLIEST = "earliest"
    LATEST = "latest"
    ERROR = "error"


class FeatureKind(StrEnum):
    """The kind of features that a model uses."""

    FORECAST = "forecast"
    """Each row is compared with a forecast from its sensor's previous rows."""
    PLAIN = "plain"
    """The raw signals, the hour and the day of the week, without a memory."""


class LogFormat(StrEnum):
    """The format of the log: for people or for machines."""

    HUMAN = "human"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level of events that are written to the log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
