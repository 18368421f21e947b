"""The declaration of a CSV file's form; it does not change the meaning of a row."""

import codecs
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from sensorwatch.common.rows.schema_model import SchemaModel, list_as_tuple

SPACES = "spaces"
"""The delimiter of a file whose cells are separated by any run of spaces and tabs."""
_NUMBER_CHARACTERS = frozenset("0123456789+-eE")


class CsvFormat(SchemaModel):
    """Delimiter, number form, header and encoding of a CSV file."""

    delimiter: Annotated[str, Field(min_length=1)] = ","
    """One character, or "spaces" for any run of spaces and tabs."""
    encoding: str = "utf-8"
    """Encoding of the text, by Python's name. A byte order mark takes precedence."""
    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    """The decimal separator, "." or ","."""
    thousands: Annotated[str, Field(max_length=1)] = ""
    """The separator between groups of three digits, such as ","; empty if there is none."""
    comment: str = ""
    """Lines that begin with this text are skipped; empty if there are no comments."""
    skip_lines: Annotated[int, Field(ge=0)] = 0
    """Number of lines before the header, blank lines and comments included."""
    names: Annotated[tuple[str, ...], list_as_tuple()] = ()
    """Names of the columns of a file without a header; empty if the file has a header."""
    unit_rows: Annotated[int, Field(ge=0, le=10)] = 0
    """Number of lines between the header and the first row, such as a line of units."""

    @field_validator("delimiter")
    @classmethod
    def _check_delimiter(cls, delimiter: str) -> str:
        if delimiter != SPACES and len(delimiter) > 1:
            raise ValueError('not one character or "spaces": at most 1 character')
        if delimiter in '"\r\n\0':
            raise ValueError("not a character that can separate cells")
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)
        except (LookupError, ValueError) as error:
            raise ValueError('not an encoding such as "utf-8" or "windows-1252"') from error
        return encoding

    @model_validator(mode="after")
    def _check_separators(self) -> Self:
        if self.decimal not in ".,":
            raise ValueError(f'decimal {self.decimal!r} is not "." or ","')
        if self.thousands == self.decimal or self.thousands in _NUMBER_CHARACTERS:
            raise ValueError(f"thousands {self.thousands!r} would be part of the number")
        if len(set(self.names)) < len(self.names):
            raise ValueError("names must be distinct")
        return self
