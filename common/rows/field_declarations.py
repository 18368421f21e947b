"""The declarations of the fields of a row: time, key, signals and context columns."""

import math
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, PlainSerializer, field_validator, model_validator

from sensorwatch.common.rows.limits import MAX_SENSOR_ID_CHARACTERS
from sensorwatch.common.rows.schema_model import (
    SchemaModel,
    list_as_tuple,
    one_as_tuple,
    table_as_pairs,
)
from sensorwatch.common.rows.zones import load_zone

EPOCH_UNITS_NS = {
    "epoch_s": 1_000_000_000,
    "epoch_ms": 1_000_000,
    "epoch_us": 1_000,
    "epoch_ns": 1,
}
"""Nanoseconds of one unit of each epoch format."""
NAMED_TIME_FORMATS = ("rfc3339", *EPOCH_UNITS_NS, "excel_days")
"""The time formats with a name; every other format is a strptime pattern."""
MAX_FUTURE_SECONDS = 300.0
GOOD_QUALITY = ("good", "ok", "valid", "true", 192)
"""The quality flags that mean a good value if the schema does not declare its own.

192 is the flag of a good value in OPC DA. 0 is not in the list, because it means good in OPC UA,
but bad in OPC DA."""


def _one_or_list(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


OneOrMore = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    one_as_tuple(str),
    list_as_tuple(),
    PlainSerializer(_one_or_list),
    Field(min_length=1),
]
"""One text, or several; in TOML a text or a list of texts."""


Words = Annotated[
    tuple[tuple[str, float], ...],
    table_as_pairs(),
    PlainSerializer(dict[str, Any]),
]
"""Pairs of a word and its number; in TOML a table such as `{ON = 1, OFF = 0}`."""


class MissingPolicy(StrEnum):
    """The policy for a row in which a column is missing."""

    REJECT = "reject"
    HOLD_LAST = "hold_last"
    """The sensor's previous value is carried forward and marked as a held value."""


class OutOfRangePolicy(StrEnum):
    """The policy for a value below `min` or above `max`."""

    REJECT = "reject"
    """The row is rejected."""
    MISSING = "missing"
    """The value counts as missing."""


class ColumnKind(StrEnum):
    """What the values of a column are."""

    MEASUREMENT = "measurement"
    COUNTER = "counter"
    """A total that only rises, except for resets. The detector uses its rate per second."""


class NumberForm(StrEnum):
    """The form of a column's numbers."""

    NUMBER = "number"
    """A JSON number, or the text of a number in a CSV cell."""
    TEXT = "text"
    """A number as in `number`, or the text of a number in JSON."""
    UNIT = "unit"
    """A number as in `text`, or a number with the column's unit after it, such as `20.4 °C`."""


class RepeatedHour(StrEnum):
    """The reading of a local time that occurs twice because summer time ends."""

    FIRST = "first"
    SECOND = "second"
    INFER = "infer"
    """In a file: the first occurrence, until the times go back. On a topic and in a request: the
    occurrence that is closest to the time of receipt."""
    REJECT = "reject"


class TimeField(SchemaModel):
    """The fields and formats of the event time."""

    fields: OneOrMore = Field(default=("timestamp",), alias="field")
    """The field, or several fields, such as a date and a time; a space joins their texts."""
    formats: OneOrMore = Field(default=("rfc3339",), alias="format")
    """A name of `NAMED_TIME_FORMATS` or a strptime pattern; or several, tried in order."""
    naive_zone: str | None = None
    """IANA zone of times that contain no zone; None: rows with such times are rejected."""
    fold: Annotated[RepeatedHour, Field(strict=False)] = RepeatedHour.INFER
    max_future_seconds: Annotated[float, Field(ge=0)] = MAX_FUTURE_SECONDS
    """Limit for how many seconds the event time may be after the receive time."""

    @field_validator("naive_zone")
    @classmethod
    def _check_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            load_zone(zone)
        return zone

    @field_validator("formats")
    @classmethod
    def _check_format(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for time_format in formats:
            if time_format not in NAMED_TIME_FORMATS and "%" not in time_format:
                names = ", ".join(f'"{name}"' for name in NAMED_TIME_FORMATS)
                raise ValueError(f"not {names} or a strptime pattern")
        return formats


class GroupRule(SchemaModel):
    """How the id of a sensor gives its group: by a separator, or by fields of the key."""

    before: Annotated[str, Field(min_length=1)] | None = None
    """The separator: the group is the text of the id before it. None: `fields` give the group."""
    parts: Annotated[int, Field(ge=1, le=MAX_SENSOR_ID_CHARACTERS)] = 1
    """How many parts of the id, split at `before`, are the group."""
    fields: OneOrMore | None = Field(default=None, alias="field")
    """The first field or fields of the key: their texts are the group. None: see `before`."""

    @model_validator(mode="after")
    def _check_one_form(self) -> Self:
        if (self.before is None) == (self.fields is None):
            raise ValueError("a group needs either `before` or `field`")
        return self


GroupName = Annotated[str, Field(min_length=1, max_length=MAX_SENSOR_ID_CHARACTERS)]
NamedGroups = Annotated[
    tuple[tuple[Annotated[str, Field(min_length=1)], GroupName], ...],
    table_as_pairs(),
    PlainSerializer(dict[str, Any]),
]
"""Pairs of a shell pattern of sensor ids and the name of a group; in TOML a table."""


class KeyField(SchemaModel):
    """The fields that name the sensor, and the rules that give its group."""

    fields: OneOrMore = Field(default=("sensor_id",), alias="field")
    """The field, or several fields; a "/" joins their texts."""
    optional: bool = False
    """If true, a row without the field belongs to the sensor "default"."""
    group: GroupRule | None = None
    """The group of a sensor that no pattern in `groups` matches; None: it has no group."""
    groups: NamedGroups = ()
    """The first pattern that matches the id of a sensor gives its group."""

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        group_fields = self.group.fields if self.group else None
        if group_fields is not None and group_fields not in _leading_parts(self.fields):
            raise ValueError(
                f"the fields of `group` are {_listed(group_fields)}, but must be the first of "
                f"several fields of the key ({_listed(self.fields)}): add them to `field` of the "
                "key, before the other fields"
            )
        if any(not name.isprintable() for _, name in self.groups):
            raise ValueError("the name of a group must consist of printable characters")
        return self


def _leading_parts(fields: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [fields[:count] for count in range(1, len(fields))]


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


class ColumnDefaults(SchemaModel):
    """The rules of all columns that do not declare their own."""

    missing: Annotated[MissingPolicy, Field(strict=False)] = MissingPolicy.REJECT
    missing_values: Annotated[tuple[float | str, ...], list_as_tuple()] = ()
    """Numbers and words that mean a missing value. The case of a word does not matter.

    `nan` is a word here too; without it, a NaN is rejected."""
    out_of_range: Annotated[OutOfRangePolicy, Field(strict=False)] = OutOfRangePolicy.REJECT
    numbers: Annotated[NumberForm, Field(strict=False)] = NumberForm.NUMBER
    words: Words = ()
    """The numbers of words such as ON and OFF, and of `true` and `false`."""
    quality: str = ""
    """The path of the field that has the quality of the value; empty: there is no such field."""
    good_quality: Annotated[
        tuple[str | int | float | bool, ...], list_as_tuple(), Field(min_length=1)
    ] = GOOD_QUALITY
    """The flags in the field `quality` that mean a good value, see `quality.py`.

    With any other flag, the value counts as missing."""

    @field_validator("words")
    @classmethod
    def _fold_case(cls, words: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
        folded_words = {word.casefold(): number for word, number in words}
        if len(folded_words) < len(words):
            raise ValueError("two words differ only in upper and lower case")
        return tuple(folded_words.items())


class NumericColumn(ColumnDefaults):
    """A column of numbers: a signal or a context column."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    field: str = ""
    """The path of the field in the record, see `paths.py`. Default: `name`."""
    min: float | None = None
    """Smallest physically possible value."""
    max: float | None = None
    unit: str = ""
    kind: Annotated[ColumnKind, Field(strict=False)] = ColumnKind.MEASUREMENT
    wrap: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """The length of the circle of an angle, in the column's unit; None: not an angle."""

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.wrap is not None and self.kind is ColumnKind.COUNTER:
            raise ValueError("a counter cannot have wrap, which declares an angle")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.numbers is NumberForm.UNIT and not self.unit:
            raise ValueError('numbers = "unit" needs the unit that follows the number')
        return self

    @property
    def path(self) -> str:
        """The path of the field that contains the value."""
        return self.field or self.name

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names of the columns that the model has instead of this column."""
        if self.wrap is None:
            return (self.name,)
        return (f"{self.name} (sin)", f"{self.name} (cos)")

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest valid value; infinite if the schema sets no limit."""
        low = -math.inf if self.min is None else self.min
        return low, math.inf if self.max is None else self.max
