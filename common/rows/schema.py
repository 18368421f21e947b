"""The schema: the declaration of a valid row, read from TOML."""

import hashlib
import json
import math
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.pydantic_errors import describe_validation_error

MAX_SIGNALS = 1024


class _SchemaModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class UnknownFields(StrEnum):
    """The policy for fields that the schema does not name."""

    IGNORE = "ignore"
    REJECT = "reject"


class MissingPolicy(StrEnum):
    """The policy for a row in which a column is missing."""

    REJECT = "reject"
    HOLD_LAST = "hold_last"
    """The sensor's previous value is carried forward and marked as a held value."""


class OutOfOrderPolicy(StrEnum):
    """The policy for a late row or a duplicate; see `RowOrder`."""

    SCORE = "score"
    """The row is scored without memory and is not stored in the memory."""
    REJECT = "reject"


class TimeField(_SchemaModel):
    """The field and format of the event time."""

    field: Annotated[str, Field(min_length=1)] = "timestamp"
    format: Annotated[str, Field(min_length=1)] = "rfc3339"
    """`rfc3339`, `epoch_ms`, `epoch_s`, or a strptime pattern."""
    naive_zone: str | None = None
    """IANA zone of times that contain no zone; None: rows with such times are rejected."""
    max_future_seconds: Annotated[float, Field(ge=0)] | None = None
    """Limit for how many seconds the event time may be after the receive time; None: no limit."""

    @field_validator("naive_zone")
    @classmethod
    def _check_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (KeyError, OSError, ValueError) as error:
                raise ValueError('not an IANA time zone such as "UTC" or "Europe/Oslo"') from error
        return zone

    @field_validator("format")
    @classmethod
    def _check_format(cls, pattern: str) -> str:
        if pattern not in ("rfc3339", "epoch_ms", "epoch_s") and "%" not in pattern:
            raise ValueError('not "rfc3339", "epoch_ms", "epoch_s" or a strptime pattern')
        return pattern


class KeyField(_SchemaModel):
    """The field that names the sensor."""

    field: Annotated[str, Field(min_length=1)] = "sensor_id"
    optional: bool = False
    """If true, a row without the field belongs to the sensor "default"."""


class NumericColumn(_SchemaModel):
    """A column of numbers: a signal or a context column."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    field: str = ""
    """The field in the record; a dotted path addresses nested JSON. Default: `name`."""
    min: float | None = None
    """Smallest physically possible value; a row with a smaller value is rejected."""
    max: float | None = None
    unit: str = ""
    missing: Annotated[MissingPolicy, Field(strict=False)] = MissingPolicy.REJECT

    @model_validator(mode="after")
    def _check_min_max(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    @property
    def path(self) -> str:
        """The path of the field that contains the value."""
        return self.field or self.name

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest valid value; infinite if the schema sets no limit."""
        low = -math.inf if self.min is None else self.min
        return low, math.inf if self.max is None else self.max


class RowOrder(_SchemaModel):
    """The rules for late rows, duplicates and gaps."""

    late: Annotated[OutOfOrderPolicy, Field(strict=False)] = OutOfOrderPolicy.SCORE
    """The policy for a row that is older than the newest row of its sensor."""
    duplicate: Annotated[OutOfOrderPolicy, Field(strict=False)] = OutOfOrderPolicy.SCORE
    """The policy for a row with the same time as the newest row of its sensor."""
    max_gap_seconds: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """A longer time between two rows of a sensor is a gap. In seconds.

    None: the limit is learned in training. After a gap, the sensor's lagged rows are not used.
    """


class CsvFormat(_SchemaModel):
    """The CSV dialect; it does not change the meaning of a row."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","


class Schema(_SchemaModel):
    """The declaration of a valid row: time, key, signals and context columns, in order."""

    name: Annotated[str, Field(min_length=1)] = "default"
    unknown_fields: Annotated[UnknownFields, Field(strict=False)] = UnknownFields.IGNORE
    time: TimeField = TimeField()
    key: KeyField | None = None
    signals: Annotated[tuple[NumericColumn, ...], Field(min_length=1, max_length=MAX_SIGNALS)]
    context: Annotated[tuple[NumericColumn, ...], Field(max_length=MAX_SIGNALS)] = ()
    """Context columns, such as commands, set-points and loads; they never raise an alarm."""
    order: RowOrder = RowOrder()
    csv: CsvFormat = CsvFormat()

    @field_validator("signals", "context", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            repeated_names = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(
                "names of signals and context must be distinct, repeated: "
                + ", ".join(repeated_names)
            )
        paths = self.paths
        if len(set(paths)) < len(paths):
            repeated_paths = sorted({path for path in paths if paths.count(path) > 1})
            raise ValueError(
                f"a field can be read only once, repeated: {', '.join(repeated_paths)}"
            )
        for path in paths:
            nested_paths = [other_path for other_path in paths if other_path.startswith(path + ".")]
            if nested_paths:
                raise ValueError(
                    f'field "{path}" cannot contain both a value and "{nested_paths[0]}"'
                )
        return self

    @property
    def signal_names(self) -> tuple[str, ...]:
        """The signals' names in order."""
        return tuple(signal.name for signal in self.signals)

    @property
    def columns(self) -> tuple[NumericColumn, ...]:
        """All number columns in order: signals, then context."""
        return self.signals + self.context

    @property
    def context_names(self) -> tuple[str, ...]:
        """The context columns' names in order."""
        return tuple(column.name for column in self.context)

    @property
    def paths(self) -> list[str]:
        """The paths of all fields of a row: time, key, signals, context."""
        key_field = [self.key.field] if self.key else []
        return [self.time.field, *key_field, *(column.path for column in self.columns)]

    @property
    def fingerprint(self) -> str:
        """Hash (16 hex digits) of all parts of the schema that determine the meaning of a row.

        The schema's name, its units and its CSV format are left out. Context and order are
        included only if they are declared.
        """
        hashed_parts = self.to_plain()
        del hashed_parts["name"], hashed_parts["csv"]
        hashed_parts |= {"order": self.order.model_dump(mode="json", exclude_defaults=True)}
        for column in [*hashed_parts["signals"], *hashed_parts["context"]]:
            del column["unit"]
        for optional_part in ("context", "order"):
            if not hashed_parts[optional_part]:
                del hashed_parts[optional_part]
        text = json.dumps(hashed_parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_plain(self) -> dict[str, Any]:
        """Return the schema as plain JSON values, including defaults."""
        plain = self.model_dump(mode="json")
        columns = [*plain["signals"], *plain["context"]]
        for column, declared_column in zip(columns, self.columns, strict=True):
            column["field"] = declared_column.path
        return plain


def schema_from_plain(plain: dict[str, Any]) -> Schema:
    """Return a schema from nested dicts and lists, such as the content of a TOML file.

    Raises SchemaError with a message that lists every problem.
    """
    try:
        return Schema.model_validate(plain)
    except ValidationError as error:
        raise SchemaError(describe_validation_error(error, known=_KNOWN_KEYS)) from error


def load_schema(path: Path) -> Schema:
    """Load the schema from a TOML file.

    Raises SchemaError if the file is missing, not TOML, or not a schema.
    """
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SchemaError(
            f"no schema file {path}: give one with [schema] path in sensorwatch.toml, or write one "
            "with `sensorwatch schema infer FILE`"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SchemaError(f"{path} cannot be read as a schema: {error}") from error
    try:
        return schema_from_plain(plain)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error


_KNOWN_KEYS = [
    *Schema.model_fields,
    *(f"time.{name}" for name in TimeField.model_fields),
    *(f"key.{name}" for name in KeyField.model_fields),
    *(f"signals.0.{name}" for name in NumericColumn.model_fields),
    *(f"context.0.{name}" for name in NumericColumn.model_fields),
    *(f"order.{name}" for name in RowOrder.model_fields),
    *(f"csv.{name}" for name in CsvFormat.model_fields),
]
