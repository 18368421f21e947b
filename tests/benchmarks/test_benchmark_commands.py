"""Tests of the command that runs the quality benchmarks."""

from pathlib import Path

import pytest

from benchmarks.quality.__main__ import main
from benchmarks.quality.alarms.alarm_sections import AlarmPart, selected_parts
from sensorwatch.common.runtime.command_line import run
from tests.benchmarks.test_skab_benchmark import write_files


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two SKAB files, and change to an empty working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_files(tmp_path)


def test_a_single_benchmark_prints_its_time_and_writes_no_document(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--data",
        str(data_folder),
        "--only",
        "skab",
        "--files",
        "valve1/*",
        "--seeds",
        "0",
    ]

    assert run(main, [*arguments, "--alone"]) == 0

    output = capsys.readouterr().out
    assert "SKAB, 1 files" in output
    assert "clock: rows 570-975" in output
    assert "skab: " in output
    assert not list(Path().iterdir())


def test_the_error_names_a_folder_without_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, ["--data", str(tmp_path), "--only", "skab"]) != 0

    assert str(tmp_path / "skab") in capsys.readouterr().err


def test_the_sub_parts_of_the_alarms_are_selected_by_name(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(data_folder), "--only", "alarms", "--quick"]

    assert selected_parts("pump, fleet") == (AlarmPart.PUMP, AlarmPart.FLEET)
    assert selected_parts("") == tuple(AlarmPart)
    assert run(main, [*arguments, "--alarms", "fleet,flood"]) != 0
    error = capsys.readouterr().err
    assert "flood" in error
    assert "pump" in error
