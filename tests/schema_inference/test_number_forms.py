"""Numbers in the forms of spreadsheets and data portals are read right, or the user is asked."""

import json
import tomllib
from pathlib import Path

import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.schema_inference.column_guess import ColumnKind
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.inference import Inference
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.schema_text import schema_text

ROWS = 40


def csv_file(tmp_path: Path, header: str, row: str) -> Path:
    """Write rows; in `row`, {minute} and {number} are replaced."""
    rows = [row.format(minute=f"{number:02}", number=number) for number in range(ROWS)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def first_row(path: Path, inference: Inference) -> tuple[str, list[float]]:
    """Return the time and the values of the first row; no row may be rejected."""
    schema = schema_from_plain(tomllib.loads(schema_text(inference, name="inferred")))
    readings, rejections = join_batches(read_batches(path, schema), schema)
    assert rejections == []
    return format_instant(int(readings.event_time[0])), readings.values[0].tolist()


def test_decimal_commas_in_each_cell_are_no_delimiters(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "Zeit;T;p", "45355,0{minute}000;1{number},5;2{number},25")

    time, values = first_row(path, infer_file(path))

    assert time == "2024-03-04T00:00:00Z"
    assert values == [10.5, 20.25]


def test_quoted_decimal_commas_in_a_file_with_commas_are_read(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, "time,T,p", '"2024-03-04 00:{minute}:00","1{number},5","{number},125"'
    )

    assert first_row(path, infer_file(path))[1] == [10.5, 0.125]


def test_spaces_around_times_and_numbers_are_ignored(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "T ; time ; p", "1{number}.5 ; 2024-03-04 00:{minute}:00 ; 3.5 ")

    assert first_row(path, infer_file(path)) == ("2024-03-04T00:00:00Z", [10.5, 3.5])


def test_numbers_that_may_have_thousands_are_asked_for(tmp_path: Path) -> None:
    row = "2024-03-04 00:{minute}:00;1.2{minute};{number}.5"
    inference = infer_file(csv_file(tmp_path, "Zeit;Zaehler;T", row))

    questions = [question for question in inference.questions if "thousands" in question]
    assert len(questions) == 1
    assert "'Zaehler' has three digits behind the point, and is read as 1.2 to" in questions[0]


@pytest.mark.parametrize("cell", ["\u20ac{number}.5", "({number}.5)", "<{number}.5"])
def test_numbers_with_characters_that_no_option_reads_are_named(cell: str, tmp_path: Path) -> None:
    inference = infer_file(
        csv_file(tmp_path, "time,x,y", f"2024-03-04 00:{{minute}}:00,{cell},1.5")
    )

    assert [column.name for column in inference.lost_columns] == ["x"]
    assert inference.lost_columns[0].examples[0] == cell.format(number=0)


def test_an_address_is_no_number_with_characters(tmp_path: Path) -> None:
    row = "2024-03-04 00:{minute}:00,10.0.{number}.1,1.5"
    inference = infer_file(csv_file(tmp_path, "time,address,y", row))

    assert not inference.lost_columns


def test_texts_among_numbers_are_named_with_the_option_that_reads_them(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "time,x,y", "2024-03-04 00:{minute}:00,{number}.5,1.5")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",3.5,", ",Sensor Fail,"), encoding="utf-8")

    inference = infer_file(path)
    decided = infer_file(path, InferenceOptions(missing_values=("Sensor Fail",)))

    assert any("--missing-value 'Sensor Fail'" in question for question in inference.questions)
    assert not any("Sensor Fail" in question for question in decided.questions)
    assert first_row(path, decided)[1] == [0.5, 1.5]


def test_many_missing_words_of_the_user_do_not_drop_a_column(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "time,x,y", "2024-03-04 00:{minute}:00,{number}.5,1.5")
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1::2] = [
        line.rpartition(",")[0].rpartition(",")[0] + ",-Out-,1.5" for line in lines[1::2]
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    decided = infer_file(path, InferenceOptions(missing_values=("-Out-",)))

    assert [column.kind for column in decided.columns[1:]] == [ColumnKind.SIGNAL] * 2


@pytest.mark.parametrize("indent", [1, 4])
def test_json_over_several_lines_is_named(indent: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    record = json.dumps({"time": "2024-03-04T00:00:00Z", "x": 1.5}, indent=indent)
    path.write_text(f"{record}\n{record}\n", encoding="utf-8")

    with pytest.raises(DataError, match="jq -c"):
        infer_file(path)
