"""The schema: the declaration of a valid row, read from TOML."""

import hashlib
import json
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    model_validator,
)

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.pydantic_errors import describe_validation_error
from sensorwatch.common.rows.csv_format import CsvFormat
from sensorwatch.common.rows.field_declarations import (
    ColumnDefaults,
    ColumnKind,
    GroupRule,
    KeyField,
    NumericColumn,
    TimeField,
)
from sensorwatch.common.rows.paths import column_name, parent_names
from sensorwatch.common.rows.record_declarations import (
    IgnoreRules,
    LongForm,
    PayloadFormat,
    RowOrder,
    TombstonePolicy,
    UnknownFields,
)
from sensorwatch.common.rows.row_arrays import (
    ARRAY_MARK,
    MAX_ROWS_PER_RECORD,
    check_array_path,
    outer_array_name,
)
from sensorwatch.common.rows.schema_model import (
    SchemaModel,
    list_as_tuple,
)
from sensorwatch.common.rows.sources import TIMESTAMP, check_sources

MAX_SIGNALS = 1024


class Schema(SchemaModel):
    """The declaration of a valid row: time, key, signals and context columns, in order."""

    name: Annotated[str, Field(min_length=1)] = "default"
    unknown_fields: Annotated[UnknownFields, Field(strict=False)] = UnknownFields.IGNORE
    ignore: IgnoreRules = ()
    """A record is ignored if one of these fields has one of the values declared for it."""
    tombstones: Annotated[TombstonePolicy, Field(strict=False)] = TombstonePolicy.REJECT
    payload: Annotated[PayloadFormat, Field(strict=False)] = PayloadFormat.JSON
    rows: Annotated[str, AfterValidator(check_array_path)] = ""
    """The path of the array that contains the rows of a record. Empty: a record is one row."""
    max_rows_per_record: Annotated[int, Field(ge=1, le=MAX_ROWS_PER_RECORD)] = MAX_ROWS_PER_RECORD
    long_form: LongForm | None = None
    """If set, a record, or an element of its array, has the value of one quantity."""
    time: TimeField = TimeField()
    key: KeyField | None = None
    defaults: Annotated[ColumnDefaults, Field(exclude=True)] = ColumnDefaults()
    """The rules of all signals and context columns that do not declare their own."""
    signals: Annotated[
        tuple[NumericColumn, ...], list_as_tuple(), Field(min_length=1, max_length=MAX_SIGNALS)
    ]
    context: Annotated[
        tuple[NumericColumn, ...], list_as_tuple(), Field(max_length=MAX_SIGNALS)
    ] = ()
    """Context columns, such as commands, set-points and loads; they never raise an alarm."""
    order: RowOrder = RowOrder()
    csv: CsvFormat = CsvFormat()

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, plain: object) -> object:
        """Copy the defaults into each column that does not declare the same key."""
        if not isinstance(plain, dict) or not isinstance(plain.get("defaults"), dict):
            return plain
        return plain | {
            part: [
                plain["defaults"] | column if isinstance(column, dict) else column
                for column in plain[part]
            ]
            for part in ("signals", "context")
            if isinstance(plain.get(part), list)
        }

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        _refuse_repeated(
            [name for column in self.columns for name in column.model_names],
            "names of signals and context must be distinct",
        )
        _refuse_repeated(self.paths, "a field can be read only once")
        check_sources(self.known_paths)
        if self.payload is PayloadFormat.SENML and self.rows != ARRAY_MARK:
            raise ValueError(f'payload = "senml" needs rows = "{ARRAY_MARK}"')
        if TIMESTAMP in self.time.fields and self.time.formats != ("epoch_ms",):
            raise ValueError(f'the time field "{TIMESTAMP}" needs format = "epoch_ms"')
        names = set(self.read_names)
        for path in self.read_paths:
            outer_names = names.intersection(parent_names(path))
            if outer_names:
                name = column_name(path)
                raise ValueError(
                    f'field "{min(outer_names)}" cannot contain both a value and "{name}"; if the '
                    'dot belongs to the name, write it as "\\\\."'
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
    def counters(self) -> tuple[int, ...]:
        """The positions of the counters in `columns`."""
        return tuple(
            position
            for position, column in enumerate(self.columns)
            if column.kind is ColumnKind.COUNTER
        )

    @property
    def context_names(self) -> tuple[str, ...]:
        """The context columns' names in order."""
        return tuple(column.name for column in self.context)

    @property
    def paths(self) -> list[str]:
        """The paths of all fields of a row: time, key, signals, context."""
        key_fields = self.key.fields if self.key else ()
        return [*self.time.fields, *key_fields, *(column.path for column in self.columns)]

    @property
    def quality_paths(self) -> tuple[str, ...]:
        """The distinct paths of the fields with quality flags, in the order of the columns."""
        return tuple(dict.fromkeys(column.quality for column in self.columns if column.quality))

    @property
    def read_paths(self) -> list[str]:
        """The distinct paths of all fields that are read: `paths`, then `quality_paths`."""
        return list(dict.fromkeys([*self.paths, *self.quality_paths]))

    @property
    def column_names(self) -> list[str]:
        """The names of the columns of a table, in the order of `paths`."""
        return [column_name(path) for path in self.paths]

    @property
    def read_names(self) -> list[str]:
        """The names of the columns of a table, in the order of `read_paths`."""
        return [column_name(path) for path in self.read_paths]

    @property
    def table_names(self) -> set[str]:
        """The names of the columns that a table may contain: fields, and objects around fields."""
        names = (
            name for path in self.known_paths for name in (column_name(path), *parent_names(path))
        )
        return set(names)

    @property
    def known_paths(self) -> list[str]:
        """The paths of a row's fields, of the fields of `ignore`, and of the array of rows."""
        array_names = [name] if (name := outer_array_name(self.rows)) else []
        long_form = self.long_form
        long_form_paths = [long_form.name, *long_form.values] if long_form else []
        return [
            *self.read_paths,
            *(path for path, _ in self.ignore),
            *array_names,
            *long_form_paths,
        ]

    @property
    def table_form(self) -> "Schema":
        """The schema of the columns of a table; in long form, the names are part of the key."""
        if self.long_form is None:
            return self
        key_fields = self.key.fields if self.key else ()
        quality = next(iter(self.quality_paths), "")
        return Schema(
            name=self.name,
            ignore=self.ignore,
            time=self.time,
            key=KeyField.model_validate({"field": (*key_fields, self.long_form.name)}),
            signals=tuple(
                NumericColumn(name=path, field=path, quality=quality)
                for path in self.long_form.values
            ),
            csv=self.csv,
        )

    @property
    def bucket_us(self) -> int:
        """The length of the buckets of long form in microseconds; 0 without buckets."""
        return self.long_form.bucket_us if self.long_form else 0

    @property
    def grace_us(self) -> int:
        """The time that a row in long form waits after the end of its bucket, in microseconds."""
        return self.long_form.grace_us if self.long_form else 0

    @property
    def ignores_tombstones(self) -> bool:
        """Whether a record without a value is absorbed."""
        return self.tombstones is TombstonePolicy.IGNORE

    @cached_property
    def source_names(self) -> tuple[str, ...]:
        """The names of the fields that are not in the payload of a record; see `sources.py`."""
        return tuple(path for path in self.known_paths if path.startswith("@"))

    @cached_property
    def missing_numbers(self) -> tuple[tuple[int, tuple[float, ...]], ...]:
        """For each column that has any: its position, and the numbers that mean a missing value."""
        numbers_of_columns = (
            (position, tuple(value for value in column.missing_values if isinstance(value, float)))
            for position, column in enumerate(self.columns)
        )
        return tuple((position, numbers) for position, numbers in numbers_of_columns if numbers)

    @property
    def fingerprint(self) -> str:
        """Hash (16 hex digits) of all parts of the schema that determine the meaning of a row.

        The schema's name, its units, its CSV form and its groups are left out. A key with its
        default value is left out too, so that a key of a later version does not change the
        fingerprint.
        """
        hashed_parts = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"name": True, "csv": True, "key": {"group", "groups"}},
        )
        columns = [*hashed_parts["signals"], *hashed_parts.get("context", [])]
        for column, declared_column in zip(columns, self.columns, strict=True):
            column["field"] = declared_column.path
            column.pop("unit", None)
        text = json.dumps(hashed_parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_changes(self, **changes: object) -> "Schema":
        """Return a schema with other values of some fields; properties are computed again."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Schema.model_validate(fields | changes)

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


def _refuse_repeated(texts: list[str], rule: str) -> None:
    if len(set(texts)) < len(texts):
        repeated_texts = sorted({text for text in texts if texts.count(text) > 1})
        raise ValueError(f"{rule}, repeated: {', '.join(repeated_texts)}")


_KNOWN_KEYS = [
    *Schema.toml_keys(),
    *(f"time.{name}" for name in TimeField.toml_keys()),
    *(f"key.{name}" for name in KeyField.toml_keys()),
    *(f"key.group.{name}" for name in GroupRule.toml_keys()),
    *(f"long_form.{name}" for name in LongForm.toml_keys()),
    *(f"defaults.{name}" for name in ColumnDefaults.toml_keys()),
    *(f"signals.0.{name}" for name in NumericColumn.toml_keys()),
    *(f"context.0.{name}" for name in NumericColumn.toml_keys()),
    *(f"order.{name}" for name in RowOrder.toml_keys()),
    *(f"csv.{name}" for name in CsvFormat.toml_keys()),
]
