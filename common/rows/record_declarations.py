"""The declarations of a schema about whole records: policies, payloads, long form and order."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer

from sensorwatch.common.rows.field_declarations import OneOrMore
from sensorwatch.common.rows.schema_model import (
    SchemaModel,
    list_as_tuple,
    one_as_tuple,
    table_as_pairs,
)


class UnknownFields(StrEnum):
    """The policy for fields that the schema does not name."""

    IGNORE = "ignore"
    REJECT = "reject"


class TombstonePolicy(StrEnum):
    """The policy for a record without a value."""

    REJECT = "reject"
    IGNORE = "ignore"


class PayloadFormat(StrEnum):
    """The format of the payloads of records."""

    JSON = "json"
    SENML = "senml"
    """JSON arrays whose elements refer to base values, see `senml.py`."""


IgnoredValues = Annotated[
    tuple[str | int | bool, ...],
    one_as_tuple((str, int)),
    list_as_tuple(),
    Field(min_length=1),
]
IgnoreRules = Annotated[
    tuple[tuple[str, IgnoredValues], ...],
    table_as_pairs(),
    PlainSerializer(lambda rules: {path: list(values) for path, values in rules}),
]
"""Paths of fields, and the values for which a record is ignored."""


class OutOfOrderPolicy(StrEnum):
    """The policy for a late row or a duplicate; see `RowOrder`."""

    SCORE = "score"
    """The row is scored without memory and is not stored in the memory."""
    REJECT = "reject"


class RowOrder(SchemaModel):
    """The rules for late rows, duplicates and gaps."""

    late: Annotated[OutOfOrderPolicy, Field(strict=False)] = OutOfOrderPolicy.SCORE
    """The policy for a row that is older than the newest row of its sensor."""
    duplicate: Annotated[OutOfOrderPolicy, Field(strict=False)] = OutOfOrderPolicy.SCORE
    """The policy for a row with the same time as the newest row of its sensor."""
    max_gap_seconds: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """A longer time between two rows of a sensor is a gap. In seconds.

    None: each sensor's own interval between rows decides. After a gap, the sensor's lagged rows are
    not used.
    """


class LongForm(SchemaModel):
    """The fields that contain the name and the value of a quantity in long form."""

    name: str
    """The field that names the quantity: the `field` of a signal or a context column."""
    values: OneOrMore = Field(alias="value")
    """The field with the value of the quantity, or several fields. The first of several fields that
    a record has is read."""
    bucket_seconds: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """The values of a sensor whose times are in the same bucket form one row.

    None: the values of a sensor with the same time in one record form a row.
    """
    grace_seconds: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """How long after the end of its bucket a row waits for more values, in event time."""

    @property
    def bucket_us(self) -> int:
        """The length of a bucket in microseconds; 0 without buckets."""
        return round((self.bucket_seconds or 0) * 1_000_000)

    @property
    def grace_us(self) -> int:
        """The time that a row waits after the end of its bucket, in microseconds."""
        return round(self.grace_seconds * 1_000_000)
