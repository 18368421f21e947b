"""Files of a benchmark: which ones are there, and their rows as records."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.quality.backtest_runs import Record
from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.tables import read_rows

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class FileSelection:
    """Where the data is, and which of its files are wanted."""

    data: Path
    patterns: tuple[str, ...] = ()
    """Of their names such as `valve1/0.csv`; none: all of them."""

    def matches(self, name: str) -> bool:
        """Say whether a file of this name is wanted."""
        return not self.patterns or any(fnmatchcase(name, pattern) for pattern in self.patterns)


def select_files(
    folder: Path, names: Sequence[str], selection: FileSelection
) -> list[tuple[str, Path]]:
    """Return the chosen files with their paths, in order of name.

    Raises DataError where none is left.
    """
    selected = [(name, folder / name) for name in sorted(names) if selection.matches(name)]
    if not selected:
        failure = f"fits {', '.join(selection.patterns)}" if names else "is there"
        raise DataError(
            f"of {folder} no file {failure}: give the folder that contains it with --data"
        )
    return selected


def a_schema(name: str, *, time: str, signals: Sequence[str], delimiter: str) -> Schema:
    """Declare rows of a file without zones and sensor ids."""
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
