"""Select the files of a data set, and read their rows as records."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.quality.backtest_runs import Record
from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.schema import Schema, schema_from_plain

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class FileSelection:
    """Folder of the data sets, and patterns of the selected files."""

    data: Path
    patterns: tuple[str, ...] = ()
    """Patterns of file names, such as `valve1/*`; an empty tuple selects all files."""

    def matches(self, name: str) -> bool:
        """Return whether a file of this name is selected."""
        return not self.patterns or any(fnmatchcase(name, pattern) for pattern in self.patterns)


def select_files(
    folder: Path, names: Sequence[str], selection: FileSelection
) -> list[tuple[str, Path]]:
    """Return the names and paths of the selected files, in order of name.

    Raises DataError if no file is selected.
    """
    selected_files = [(name, folder / name) for name in sorted(names) if selection.matches(name)]
    if not selected_files:
        condition = f" that fits {', '.join(selection.patterns)}" if names else ""
        raise DataError(
            f"{folder} has no file{condition}: give the folder with skab/, nab/ and streams/ "
            "with --data"
        )
    return selected_files


def a_schema(name: str, *, time: str, signals: Sequence[str], delimiter: str) -> Schema:
    """Return the schema of a file whose times are in UTC and whose rows have no sensor id."""
    return schema_from_plain(
        {
            "name": name,
            "time": {"field": time, "format": TIME_FORMAT, "naive_zone": "UTC"},
            "signals": [{"name": signal} for signal in signals],
            "csv": {"delimiter": delimiter},
        }
    )


def records_of(path: Path, schema: Schema) -> list[Record]:
    """Read all rows of a file."""
    return list(read_rows(path, schema))
