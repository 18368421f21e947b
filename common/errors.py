"""Exception classes, each with its exit code and the reaction that the caller should have.

SensorwatchError                 code  reaction
├── UsageError                    2    stop; a person must change something
│   ├── SettingsError             2    a key or value of the configuration is wrong
│   ├── SchemaError               2    the schema file is wrong
│   └── DataError                 2    an input file or topic cannot be read as requested
├── CheckFailed                   1    a check ran and failed (gate, ledger, accounting)
├── BrokerUnavailable             3    broker or topic cannot be reached; a supervisor may retry
├── Fenced                        4    another process has our transactional id: exit
├── BreakerOpen                   5    too many rejections; a supervisor must not restart
├── ModelRefused                  6    keep the last good model and warn; exit if there is none
│   └── ModelOutdated             6    an older sensorwatch trained it: train again
├── OffsetsLost                   7    committed offsets are missing or out of range: ask a person
├── StateRefused                  8    a snapshot is lost, damaged or of another topic: ask a person
│   └── MemoryRefused             8    the stored memory is damaged, newer or of another model
├── MicroBatchAborted             -    abort, rewind to the committed offsets, continue
├── SnapshotNotWritten        -    stop anyway; the next start replays more records
├── OutcomeUnknown                -    new producer, rewind to the committed offsets, continue
└── Unrecoverable                70    crash: exit non-zero and let the supervisor restart

Exit code 0 means success, 130 an interrupt, 141 a closed output pipe (as in `| head`).
A bad row never raises an exception; it becomes a rejection (common/rows/rejection.py).
"""

from typing import ClassVar


class SensorwatchError(Exception):
    """Base class of our errors; the text says what was found, what was wanted, what to do."""

    exit_code: ClassVar[int] = 70


class UsageError(SensorwatchError):
    """The request cannot be carried out; a person has to change something."""

    exit_code: ClassVar[int] = 2


class SettingsError(UsageError):
    """A key or value of the configuration is wrong."""


class SchemaError(UsageError):
    """A schema file is wrong."""


class DataError(UsageError):
    """An input file or topic cannot be read as requested."""


class CheckFailed(SensorwatchError):
    """A check has failed, for example the quality gate of a model."""

    exit_code: ClassVar[int] = 1


class BrokerUnavailable(SensorwatchError):
    """The broker or a topic cannot be reached."""

    exit_code: ClassVar[int] = 3


class Fenced(SensorwatchError):
    """Another process took over our transactional id."""

    exit_code: ClassVar[int] = 4


class BreakerOpen(SensorwatchError):
    """Too large a share of the records was rejected, for longer than the grace time."""

    exit_code: ClassVar[int] = 5


class ModelRefused(SensorwatchError):
    """A model version is corrupt, was edited, or has another schema or a newer format."""

    exit_code: ClassVar[int] = 6


class ModelOutdated(ModelRefused):
    """A model version has an older format, which this program does not read."""


class OffsetsLost(SensorwatchError):
    """A consumer group that has run before has no usable committed offset."""

    exit_code: ClassVar[int] = 7


class StateRefused(SensorwatchError):
    """The stored state cannot be used: it is lost, damaged or of another topic."""

    exit_code: ClassVar[int] = 8


class MemoryRefused(StateRefused):
    """The stored memory of the sensors is damaged, has a newer format or is of another model."""


class MicroBatchAborted(SensorwatchError):
    """The micro-batch was aborted; its records will be read again from the committed offsets."""


class SnapshotNotWritten(SensorwatchError):
    """The last snapshot before the exit was not committed, or its outcome is unknown."""


class OutcomeUnknown(SensorwatchError):
    """A commit has an unknown outcome; the committed offsets show whether the commit happened."""


class Unrecoverable(SensorwatchError):
    """The process cannot continue correctly and has to be restarted."""
