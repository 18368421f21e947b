"""The command measures what it is asked for, and writes a document only of the whole."""

from pathlib import Path

import pytest

from benchmarks.quality.__main__ import main
from sensorwatch.common.runtime.command_line import run
from tests.benchmarks.test_skab_benchmark import write_files


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two files of SKAB's form; the working folder is another."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_files(tmp_path)


def test_one_part_is_printed_with_its_time_and_leaves_no_document(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--data", str(data), "--only", "skab", "--files", "valve1/*", "--seeds", "0"]

    assert run(main, [*asked, "--alone"]) == 0

    printed = capsys.readouterr().out
    assert "SKAB, 1 files" in printed
    assert "clock: rows 570-975" in printed
    assert "skab: " in printed
    assert not list(Path().iterdir())


def test_a_folder_without_the_data_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, ["--data", str(tmp_path), "--only", "skab"]) != 0

    assert str(tmp_path / "skab") in capsys.readouterr().err
