"""A sample of rows as a table of texts; files of all forms become such a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sensorwatch.common.rows.csv_format import CsvFormat
from sensorwatch.common.rows.record_declarations import LongForm
from sensorwatch.schema_inference.array_rows import NO_ARRAY, RowArray

MAX_CELLS = 4_000_000
"""Maximum number of cells of a table of JSON rows."""

WORKSHEET_FORM = "an Excel worksheet"
"""The form of a table from an Excel workbook, whose rows are read as lines of CSV."""


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a file. Every cell is a text; the text of a missing cell is empty."""

    names: tuple[str, ...]
    """The names of the columns, as a person reads them."""
    paths: tuple[str, ...]
    """The path of each column's field in a schema, see `common/rows/paths.py`."""
    rows: tuple[tuple[str, ...], ...]
    form: str
    """A description of the file for people."""
    csv: CsvFormat = field(default_factory=CsvFormat)
    text_columns: frozenset[str] = frozenset()
    """The names of the columns with texts in JSON, in which a number is a text."""
    notes: tuple[str, ...] = ()
    """Remarks about the form of the file, for people."""
    questions: tuple[str, ...] = ()
    """Doubtful choices about the form, each with the option that decides it."""
    array: RowArray = NO_ARRAY
    """The array that contains the rows of a record of JSON."""
    quality_path: str = ""
    """The path of the field with the quality of the values, if there is one."""
    long_form: LongForm | None = None
    """The fields of the file's long form; the table has one column per quantity."""
    columns: tuple[Sequence[str], ...] = field(init=False, repr=False, compare=False)
    """The cells of each column, without spaces around them."""
    _position_of_name: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = tuple(
            [cell.strip() for cell in column] for column in zip(*self.rows, strict=True)
        )
        positions = {name: position for position, name in reversed([*enumerate(self.names)])}
        object.__setattr__(self, "columns", columns or tuple([] for _ in self.names))
        object.__setattr__(self, "_position_of_name", positions)

    @property
    def is_json(self) -> bool:
        """Whether the rows are JSON objects or rows of a Parquet or Arrow file."""
        return not self.form.startswith(("CSV", WORKSHEET_FORM))

    def cells(self, name: str) -> Sequence[str]:
        """Return the cells of a column. If several columns have the name, the first is returned."""
        return self.columns[self._position_of_name[name]]

    def path_of(self, name: str) -> str:
        """Return the path of a column's field."""
        return self.paths[self._position_of_name[name]]
