"""The quality command writes a document only after a full run."""

from pathlib import Path

import pytest

from benchmarks.quality.__main__ import main
from sensorwatch.common.runtime.command_line import run
from tests.benchmarks.test_skab_benchmark import write_files


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two SKAB files; the working folder is another folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_files(tmp_path)


def test_a_single_benchmark_prints_its_time_and_writes_no_document(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(data), "--only", "skab", "--files", "valve1/*", "--seeds", "0"]

    assert run(main, [*arguments, "--alone"]) == 0

    printed = capsys.readouterr().out
    assert "SKAB, 1 files" in printed
    assert "clock: rows 570-975" in printed
    assert "skab: " in printed
    assert not list(Path().iterdir())


def test_the_error_names_a_folder_without_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, ["--data", str(tmp_path), "--only", "skab"]) != 0

    assert str(tmp_path / "skab") in capsys.readouterr().err
