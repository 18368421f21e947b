"""Tests of `sensorwatch schema infer` and `sensorwatch schema check`."""

from pathlib import Path

import pytest

from sensorwatch.common.rows.schema import load_schema
from tests.commands.command_runner import ROOT, run_in_process, sensorwatch

GOOD = (
    "timestamp,sensor_id,x1,x2,x3\n2025-01-01T00:00:00Z,s1,1,2,3\n2025-01-01T00:01:00Z,s1,1,2,3\n"
)
DEFAULT = ROOT / "schemas" / "default.toml"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file of two good rows."""
    path = tmp_path / "good.csv"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_an_inferred_schema_fits_its_file(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "good.toml"

    wrote = sensorwatch("schema", "infer", good, "--out", out)
    tried = sensorwatch("schema", "check", out, "--data", good, "--strict")

    assert (wrote.code, wrote.err) == (0, "")
    assert load_schema(out).signal_names == ("x1", "x2", "x3")
    assert (tried.code, tried.out) == (0, "2 rows: 2 readings, 0 rejected\n")


def test_without_out_the_schema_goes_to_standard_output(good: Path) -> None:
    ended = run_in_process("schema", "infer", good)

    assert ended.code == 0
    assert '[time]\nfield = "timestamp"\nformat = "rfc3339"\n' in ended.out


def test_an_existing_schema_is_never_overwritten(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    out.write_text("mine", encoding="utf-8")

    ended = run_in_process("schema", "infer", good, "--out", out)

    assert ended.code == 2
    assert "already exists" in ended.err
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found 0 lines"),
        ("a\n", "found 1 lines"),
        ("\x00\xff\x00", "is not UTF-8 (byte 0xff at 1 of its first line)"),
        ("time,Temp\xe9rature\n", "is not UTF-8 (byte 0xe9 at 9"),
        ("t\x00,\x00x\x00\n", "is not UTF-8 text"),
        ("a,b\n1,2\n", "no column of times"),
        ("a,b\n\x1b[31mred,\x07\xff\n", r"first row is a=\x1b[31mred, b=\x07\udcff"),
        ("a:b\n1:2\n", r"none of the delimiters ',', ';', '\t', '|' splits"),
        (
            "time,x,y\n2025-01-01,NaN,\n2025-01-02,n/a,\n",
            "'x' is no values, only cells such as NaN",
        ),
    ],
)
def test_a_file_without_a_table_is_an_error_that_names_the_file(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content.encode("latin-1"))

    ended = run_in_process("schema", "infer", path)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {path}")
    assert message in ended.err
    assert ended.err.removesuffix("\n").isprintable()
    assert len(ended.err) < len(str(path)) + 400


def test_check_and_infer_report_a_file_that_is_not_utf8_alike(tmp_path: Path) -> None:
    path = tmp_path / "utf16.csv"
    path.write_bytes(GOOD.encode("utf-16"))

    checked = run_in_process("schema", "check", DEFAULT, "--data", path)
    inferred = run_in_process("schema", "infer", path)

    assert (checked.code, inferred.code) == (2, 2)
    assert checked.err == inferred.err
    assert f"{path} is not UTF-8 (byte 0xff at 0" in checked.err


def test_the_folder_of_the_schema_is_created(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "schemas" / "of" / "mine.toml"

    assert run_in_process("schema", "infer", good, "--out", out).code == 0
    assert load_schema(out).signal_names == ("x1", "x2", "x3")


def test_rejections_are_counted_by_reason_with_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    bad = ["2025-01-01T00:02:00Z,s1,\x1b[31mhot,2,3", "2025-01-01T00:03:00Z,s1,1,9999,3"]
    many = [f"yesterday,s1,{row},2,3" for row in range(5)]
    path.write_text(GOOD + "\n".join([*bad, *many]), encoding="utf-8")

    ended = run_in_process("schema", "check", DEFAULT, "--data", path)

    assert ended.code == 0
    assert "9 rows: 2 readings, 7 rejected\n  bad_timestamp: 5\n    row 4: timestamp: " in ended.out
    assert ended.out.count("'yesterday'") == 3
    assert "out_of_range: 1\n    row 3: x2: found 9999.0, wanted -1000 to 1000" in ended.out
    assert "wrong_type: 1\n    row 2: x1: " in ended.out
    assert "\x1b" not in ended.out


def test_strict_fails_on_one_rejection_and_every_check_fails_if_all_rows_are_rejected(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(GOOD + "never,s1,1,2,3\n", encoding="utf-8")
    assert run_in_process("schema", "check", DEFAULT, "--data", path).code == 0
    assert run_in_process("schema", "check", DEFAULT, "--data", path, "--strict").code == 1

    path.write_text("timestamp,x1,x2,x3\nnever,1,2,3\n", encoding="utf-8")
    ended = run_in_process("schema", "check", DEFAULT, "--data", path)

    assert ended.code == 1
    assert ended.err == f"error: 1 of 1 rows of {path} would be rejected by {DEFAULT}\n"
