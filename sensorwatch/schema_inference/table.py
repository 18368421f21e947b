"""A sample of rows as a table of texts; files of all forms become such a table."""

from dataclasses import dataclass, field

from sensorwatch.common.rows.csv_format import CsvFormat


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a file. Every cell is a text; the text of a missing cell is empty."""

    names: tuple[str, ...]
    """The names of the columns, as a person reads them."""
    paths: tuple[str, ...]
    """The path of each column's field in a schema, see `common/rows/paths.py`."""
    rows: tuple[tuple[str, ...], ...]
    form: str
    """What the file is, for a person."""
    csv: CsvFormat = field(default_factory=CsvFormat)
    text_columns: frozenset[str] = frozenset()
    """The names of the columns with texts in JSON, in which a number is a text."""
    notes: tuple[str, ...] = ()
    """What a person should know about the form of the file."""

    def cells(self, name: str) -> list[str]:
        """Return the cells of a column, without spaces around them."""
        column = self.names.index(name)
        return [row[column].strip() for row in self.rows]
