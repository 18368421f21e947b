"""The option `--severity`."""

from enum import StrEnum


class SeverityChoice(StrEnum):
    """The values of the option, lowest first.

    `Severity` has the same values, but its module needs numpy, which `--help` must not import.
    """

    INFO = "info"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"
