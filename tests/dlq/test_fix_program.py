"""The program of `--fix` gets the value, and has limits."""

import re
import time
from pathlib import Path

import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.dlq.fix_program import FixFailure, FixProgram
from tests.dlq.letter_builders import a_letter
from tests.kafka.record_builders import StoredRecord

LETTER = a_letter(StoredRecord(b'{"x1": 1,', 42, 3, stored_key=b"pump\x1b"))


def program(folder: Path, text: str, *, seconds: float = 10) -> FixProgram:
    path = folder / "fix.sh"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return FixProgram(path, seconds=seconds)


def test_the_program_reads_the_value_and_writes_the_corrected_one(tmp_path: Path) -> None:
    assert program(tmp_path, "sed 's/,$/}/'").corrected(LETTER) == b'{"x1": 1}'


def test_the_program_knows_the_reason_but_no_settings_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORWATCH__KAFKA__SASL_PASSWORD", "secret")

    output = program(tmp_path, "env").corrected(LETTER)

    assert isinstance(output, bytes)
    lines = output.decode().splitlines()
    assert {"DLQ_REASON=not_json", "DLQ_ID=sensors-3-42", "DLQ_KEY=pump\\x1b"} <= set(lines)
    assert b"secret" not in output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo '\x1bwrong' >&2; exit 3", r"exit code 3: \\x1bwrong"),
        ("cat > /dev/null", "it wrote no output"),
    ],
)
def test_a_program_that_fails_gives_no_value(tmp_path: Path, text: str, reason: str) -> None:
    failure = program(tmp_path, text).corrected(LETTER)

    assert isinstance(failure, FixFailure)
    assert re.fullmatch(reason, failure.text)


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    start = time.monotonic()

    failure = program(tmp_path, "sleep 60 & sleep 60", seconds=0.2).corrected(LETTER)

    assert failure == FixFailure("it ran longer than 0.2 s")
    assert time.monotonic() - start < 10


def test_a_file_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "fix.py"
    path.write_text("print(1)", encoding="utf-8")

    with pytest.raises(UsageError, match="chmod"):
        FixProgram(path, seconds=1)


def test_a_program_in_an_unknown_language_gives_no_value(tmp_path: Path) -> None:
    path = tmp_path / "fix"
    path.write_bytes(b"\x00\x01 no program")
    path.chmod(0o755)

    failure = FixProgram(path, seconds=1).corrected(LETTER)

    assert isinstance(failure, FixFailure)
    assert failure.text.startswith("it cannot be run: ")
