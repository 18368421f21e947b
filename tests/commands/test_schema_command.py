"""Tests of `sensorwatch schema infer` and `sensorwatch schema check`."""

from pathlib import Path

import pytest

from sensorwatch.common.rows.schema import load_schema
from tests.commands.command_runner import ROOT, run_in_process, sensorwatch

VALID_ROWS = (
    "timestamp,sensor_id,x1,x2,x3\n2025-01-01T00:00:00Z,s1,1,2,3\n2025-01-01T00:01:00Z,s1,1,2,3\n"
)
DEFAULT_SCHEMA = ROOT / "schemas" / "default.toml"


@pytest.fixture
def valid_file(tmp_path: Path) -> Path:
    """Return a CSV file with two valid rows."""
    path = tmp_path / "good.csv"
    path.write_text(VALID_ROWS, encoding="utf-8")
    return path


def test_an_inferred_schema_fits_its_file(valid_file: Path, tmp_path: Path) -> None:
    schema_file = tmp_path / "good.toml"

    infer_result = sensorwatch("schema", "infer", valid_file, "--out", schema_file)
    check_result = sensorwatch("schema", "check", schema_file, "--data", valid_file, "--strict")

    assert infer_result.code == 0
    assert load_schema(schema_file).signal_names == ("x1", "x2", "x3")
    assert (check_result.code, check_result.out.splitlines()) == (
        0,
        [
            "2 rows: 2 readings, 0 rejected",
            "times      2025-01-01T00:00:00Z to 2025-01-01T00:01:00Z",
            "sensors    1, with 2 rows",
        ],
    )


def test_without_the_option_out_the_schema_is_printed(valid_file: Path) -> None:
    result = run_in_process("schema", "infer", valid_file)

    assert result.code == 0
    assert '[time]\nfield = "timestamp"\nformat = "rfc3339"\n' in result.out


def test_an_existing_schema_is_never_overwritten(valid_file: Path, tmp_path: Path) -> None:
    schema_file = tmp_path / "mine.toml"
    schema_file.write_text("mine", encoding="utf-8")

    result = run_in_process("schema", "infer", valid_file, "--out", schema_file)

    assert result.code == 2
    assert "already exists" in result.err
    assert schema_file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found 0 lines"),
        ("a\n", "found 1 lines"),
        ("\x00\xff\x00", "found 1 lines"),
        ("a,b\n1,2\n", "no column of times"),
        ("a,b\n\x1b[31mred,\x07\xff\n", r"first row is a=\x1b[31mred, b=\x07\udcff"),
        ("a:b\n1:2\n", "splits the lines"),
        (
            "time,x,y\n2025-01-01,NaN,\n2025-01-02,n/a,\n",
            "'x' is a column without values, only with cells such as NaN",
        ),
    ],
)
def test_a_file_without_a_table_is_an_error_that_names_the_file(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content.encode("latin-1"))

    result = run_in_process("schema", "infer", path)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {path}")
    assert message in result.err
    assert result.err.removesuffix("\n").isprintable()
    assert len(result.err) < len(str(path)) + 400


def test_infer_reads_another_encoding_and_check_names_it(tmp_path: Path) -> None:
    path, schema_file = tmp_path / "logger.csv", tmp_path / "logger.toml"
    path.write_bytes(
        "time;Temp (°C)\n2025-01-01 00:00;1,5\n2025-01-01 00:01;2,5\n".encode("cp1252")
    )

    infer_result = run_in_process("schema", "infer", path, "--out", schema_file)
    good_result = run_in_process("schema", "check", schema_file, "--data", path, "--strict")
    schema_file.write_text(schema_file.read_text().replace('encoding = "windows-1252"', ""))
    bad_result = run_in_process("schema", "check", schema_file, "--data", path)

    assert (infer_result.code, good_result.code, bad_result.code) == (0, 0, 2)
    assert f"error: {path} is not UTF-8" in bad_result.err
    assert 'set encoding in [csv], for example "windows-1252"' in bad_result.err


def test_infer_tells_what_it_understood_and_asks_what_it_cannot_know(tmp_path: Path) -> None:
    path = tmp_path / "logger.csv"
    rows = [
        f"01/02/2025 00:{minute:02},{minute % 7}.5,{minute % 3},x{minute}" for minute in range(60)
    ]
    path.write_text("date,temp,node_id,note\n" + "\n".join(rows) + "\n")

    result = run_in_process("schema", "infer", path)
    answered_result = run_in_process(
        *("schema", "infer", path, "--month-first", "--zone", "Europe/Oslo", "--no-key"),
        *("--context", "node_id", "--leave-out", "note"),
    )

    assert result.code == answered_result.code == 0
    assert result.out.startswith("# Inferred from 60 rows")
    lines = result.err.splitlines()
    assert "file       CSV in UTF-8, cells separated by ','" in lines
    assert "rows       60 read, 60 valid" in lines
    assert "times      2025-02-01T00:00:00Z to 2025-02-01T00:59:00Z" in lines
    assert "sensors    3, with 20 rows each" in lines
    assert "signal     'temp': 0.5 to 6.5" in lines
    assert "step       usually 180 s between rows" in lines
    assert "left out   'note': text, such as 'x0', 'x1', 'x2'" in lines
    assert "           2025-02-01T00:00:00Z  0       0.5" in lines
    assert [line for line in lines if "--month-first" in line and "question" in line]
    assert [line for line in lines if "--zone" in line and "question" in line]
    assert "question" not in answered_result.err
    assert "times      2025-01-01T23:00:00Z to 2025-01-01T23:59:00Z" in answered_result.err
    assert "context    'node_id': 0 to 2" in answered_result.err
    assert "left out   'note': left out by an option" in answered_result.err


def test_infer_fails_if_a_column_with_numbers_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    rows = [f"2025-01-01 00:{minute:02}:00,1,{minute} {'CF'[minute % 2]}" for minute in range(60)]
    path.write_text("time,x,temp\n" + "\n".join(rows) + "\n")

    result = run_in_process("schema", "infer", path)
    accepted_result = run_in_process("schema", "infer", path, "--leave-out", "temp")

    assert (result.code, accepted_result.code) == (1, 0)
    assert "left out   'temp': numbers with several units" in result.err
    assert "numeric columns cannot be read and would be left out: 'temp'" in result.err


def test_infer_asks_about_rows_in_long_form(tmp_path: Path) -> None:
    path, out = tmp_path / "long.csv", tmp_path / "long.toml"
    rows = [
        f"2025-01-01 00:{minute:02}:00,{name},{minute}" for minute in range(60) for name in "ab"
    ]
    path.write_text("time,metric,value\n" + "\n".join(rows) + "\n2025-01-01 01:00:00,a,x\n")

    result = run_in_process("schema", "infer", path, "--out", out)
    check = run_in_process("schema", "check", out, "--data", path)

    assert (result.code, check.code) == (0, 0)
    assert "'metric' names the quantity (a, b)" in result.out
    assert "line 122" in check.out


def test_infer_fails_if_no_row_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "quote.csv"
    rows = [f"2025-01-01T00:{minute:02}:00Z,1.5" for minute in range(60)]
    path.write_text('time,x\n"2025,1\n' + "\n".join(rows) + "\n")

    result = run_in_process("schema", "infer", path)

    assert (result.code, result.out) == (1, "")
    assert f"no row of {path} can be read" in result.err


def test_delimiter_encoding_and_measurements_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    rows = [f"2025-01-01 00:{minute:02}:00^{minute}" for minute in range(60)]
    path.write_bytes(("time^Größe\n" + "\n".join(rows) + "\n").encode("cp850"))

    result = run_in_process(
        *("schema", "infer", path, "--delimiter", "^", "--encoding", "cp850"),
        *("--signal", "Größe", "--zone", "UTC", "--out", tmp_path / "odd.toml"),
    )

    assert (result.code, result.err) == (0, "")
    schema = load_schema(tmp_path / "odd.toml")
    assert (schema.csv.delimiter, schema.csv.encoding) == ("^", "cp850")
    assert schema.signal_names == ("Größe",)


def test_the_folder_of_the_schema_is_created(valid_file: Path, tmp_path: Path) -> None:
    schema_file = tmp_path / "schemas" / "of" / "mine.toml"

    assert run_in_process("schema", "infer", valid_file, "--out", schema_file).code == 0
    assert load_schema(schema_file).signal_names == ("x1", "x2", "x3")


def test_rejections_are_counted_by_reason_with_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    invalid_rows = ["2025-01-01T00:02:00Z,s1,\x1b[31mhot,2,3", "2025-01-01T00:03:00Z,s1,1,9999,3"]
    rows_without_time = [f"yesterday,s1,{row},2,3" for row in range(5)]
    path.write_text(VALID_ROWS + "\n".join([*invalid_rows, *rows_without_time]), encoding="utf-8")

    result = run_in_process("schema", "check", DEFAULT_SCHEMA, "--data", path)

    assert result.code == 0
    assert (
        "9 rows: 2 readings, 7 rejected\n  bad_timestamp: 5\n    line 6: timestamp: " in result.out
    )
    assert result.out.count("'yesterday'") == 3
    assert "out_of_range: 1\n    line 5: x2: found 9999.0, wanted -1000 to 1000" in result.out
    assert "wrong_type: 1\n    line 4: x1: " in result.out
    assert "\x1b" not in result.out


def test_check_fails_on_one_rejection_if_strict_and_always_if_all_rows_are_rejected(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(VALID_ROWS + "never,s1,1,2,3\n", encoding="utf-8")
    assert run_in_process("schema", "check", DEFAULT_SCHEMA, "--data", path).code == 0
    assert run_in_process("schema", "check", DEFAULT_SCHEMA, "--data", path, "--strict").code == 1

    path.write_text("timestamp,x1,x2,x3\nnever,1,2,3\n", encoding="utf-8")
    result = run_in_process("schema", "check", DEFAULT_SCHEMA, "--data", path)

    assert result.code == 1
    assert result.err == f"error: 1 of 1 rows of {path} would be rejected by {DEFAULT_SCHEMA}\n"
