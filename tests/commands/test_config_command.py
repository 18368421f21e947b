"""Tests of `sensorwatch config check`."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.command_runner import ROOT, run_in_process, sensorwatch


@pytest.fixture(autouse=True)
def _remove_environment_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SENSORWATCH__")]:
        monkeypatch.delenv(name)


def test_a_valid_configuration_is_shown_with_its_sources_and_without_secrets(
    tmp_path: Path,
) -> None:
    (tmp_path / "sensorwatch.toml").write_text("[consumer]\nmax_rows = 5\n", encoding="utf-8")
    secret_file = tmp_path / "secret"
    secret_file.write_text("geheim\n", encoding="utf-8")
    environ = {
        "SENSORWATCH__KAFKA__SASL_PASSWORD_FILE": str(secret_file),
        "SENSORWATCH__API__PORT": "1234",
        "SENSORWATCH__SCHEMA__PATH": "schemas/mine.toml",
    }

    result = sensorwatch("config", "check", folder=tmp_path, environ=environ)

    assert result.code == 0
    lines = result.out.splitlines()
    assert "consumer.max_rows = 5  # file sensorwatch.toml" in lines
    assert "api.port = 1234  # environment SENSORWATCH__API__PORT" in lines
    assert 'consumer.group = "sensorwatch"  # default' in lines
    assert any(line.startswith('kafka.sasl.password = "(hidden)"') for line in lines)
    assert "geheim" not in result.out + result.err
    assert result.err.endswith("the configuration is valid\n")
    assert "there is no schema file schemas/mine.toml" in result.err


@pytest.mark.parametrize(
    ("config_text", "message"),
    [
        ("[consumer]\nmax_row = 5", 'did you mean "consumer.max_rows"?'),
        ('[kafka]\n"bootstrap.server" = "a:1"', 'No such configuration property: "boot'),
        ('[kafka]\n"linger.ms" = "soon"', "Invalid value for configuration property"),
        ('[kafka]\n"enable.idempotence" = false', "sensorwatch needs True"),
        ('[kafka]\n"isolation.level" = "read_uncommitted"', "sensorwatch needs 'read_committed'"),
        ("[consumer]\ncommit_deadline_seconds = 120", "the group expels it after 120 s"),
        ('[api]\napi_key_file = "nowhere"', "api_key_file nowhere cannot be read"),
        ('[api]\napi_key_file = "empty"', "api_key_file empty is empty"),
        ('[schema]\npath = "empty"', "empty: "),
    ],
)  # fmt: skip
def test_an_invalid_configuration_is_reported_in_one_line_with_code_2(
    config_text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("", encoding="utf-8")
    (tmp_path / "sensorwatch.toml").write_text(config_text, encoding="utf-8")

    result = run_in_process("config", "check", folder=tmp_path)

    assert result.code == 2
    assert result.err.startswith("error: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_missing_configuration_file_is_an_error(tmp_path: Path) -> None:
    result = run_in_process("config", "check", "--config", "nope.toml", folder=tmp_path)

    assert result.code == 2
    assert result.err.startswith("error: no configuration file nope.toml")


def test_the_consumer_group_protocol_is_valid(tmp_path: Path) -> None:
    environ = {"SENSORWATCH__KAFKA__GROUP_PROTOCOL": "consumer"}

    assert sensorwatch("config", "check", folder=tmp_path, environ=environ).code == 0


def test_on_a_terminal_the_settings_are_printed_as_a_table(tmp_path: Path) -> None:
    output_end, command_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "sensorwatch", "config", "check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "TERM": "dumb"},
        stdout=command_end,
        stderr=subprocess.DEVNULL,
    ) as command:
        os.close(command_end)
        output = "".join(_read_until_closed(output_end))
    os.close(output_end)

    assert command.returncode == 0
    assert re.search(r"key +value +from", output)
    assert re.search(r"consumer\.max_rows +50000 +default", output)


def _read_until_closed(terminal: int) -> Iterator[str]:
    try:
        while output_chunk := os.read(terminal, 4096):
            yield output_chunk.decode()
    except OSError:
        return  # Linux raises EIO after the last writer has closed the terminal.
