"""Enums for the settings that have a few choices, in a module that imports fast."""

from enum import StrEnum


class Delivery(StrEnum):
    """How results and offsets are committed."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class EmittedEvents(StrEnum):
    """The rows of an episode for which events are sent; the end of an episode always has an event.

    Metrics and ledger count all anomalous rows, no matter which rows have events.
    """

    ROWS = "rows"
    """One event for each anomalous row."""
    EPISODES = "episodes"
    """One event for the first row of each episode. An anomalous row that is late or a duplicate is
    a separate episode."""


class AlarmSeverity(StrEnum):
    """The severities that an event can have."""

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


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
    """The features are the raw signals, the hour and the day of the week; no memory is used."""


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


class SeverityChoice(StrEnum):
    """The severities of alarms, lowest first.

    `Severity` has the same values, but its module needs numpy, which `--help` must not import.
    """

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"
