"""Tables in long form are refused, and the command of the refusal pivots them."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.long_form import LongForm
from sensorwatch.schema_inference.options import InferenceOptions

MINUTES = 40
HEADER = ("when", "kind", "amount")


def long_rows(low: float = 20.0, high: float = 101_300.0) -> list[tuple[object, ...]]:
    """Return two rows per minute, one of each quantity."""
    return [
        (f"2024-01-01T00:{minute:02}:00Z", name, level + minute % 7)
        for minute in range(MINUTES)
        for name, level in (("temp", low), ("pressure", high))
    ]


def lines_of(rows: list[tuple[object, ...]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


LONG_FORMS = {
    "a column of names": lines_of([HEADER, *long_rows()]),
    "semicolons and decimal commas": lines_of(
        [HEADER, *long_rows()],
        ";",
    ).replace(".", ","),
    "comments and a repeated header": "#exported\n"
    + lines_of([HEADER, *long_rows()[:20], HEADER, *long_rows()[20:]]),
    "a line before the header": "logger 7\n" + lines_of([HEADER, *long_rows()]),
    "JSON lines": "".join(
        json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in long_rows()
    ),
}


@pytest.mark.parametrize("form", LONG_FORMS)
def test_the_command_of_the_refusal_writes_one_column_per_quantity(
    form: str, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    path.write_text(LONG_FORMS[form], encoding="utf-8")

    with pytest.raises(LongForm) as refusal:
        infer_file(path)

    command = re.search(r"wide\.csv: (.*) \(if", str(refusal.value))
    assert command is not None
    program, *arguments = shlex.split(command[1])
    assert program == "python"
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, timeout=60)
    with (tmp_path / "wide.csv").open(encoding="utf-8") as file:
        first_row, *other_rows = csv.DictReader(file)
    assert len(other_rows) == MINUTES - 1
    assert first_row == {"when": "2024-01-01T00:00:00Z", "pressure": "101300.0", "temp": "20.0"}
    assert set(infer_file(tmp_path / "wide.csv").time_names) == {"when"}


def test_sensors_of_similar_levels_are_no_quantities(tmp_path: Path) -> None:
    path = tmp_path / "sensors.csv"
    path.write_text(lines_of([HEADER, *long_rows(20.0, 30.0)]), encoding="utf-8")

    assert "[key]" not in infer_file(path).questions
    assert infer_file(path).columns[1].kind.name == "KEY"


def test_the_option_key_says_that_the_names_are_sensors(tmp_path: Path) -> None:
    path = tmp_path / "sensors.csv"
    path.write_text(LONG_FORMS["a column of names"], encoding="utf-8")

    assert infer_file(path, InferenceOptions(key_names=("kind",))).columns[1].kind.name == "KEY"
