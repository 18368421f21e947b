"""Without a broker, each command prints an error message of one line."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.brokers.ports import free_port
from tests.commands.command_runner import CommandResult, sensorwatch

COMMANDS = ("topics create", "produce --rows 10", "tail --max 1", "ledger show", "ledger verify")


@pytest.mark.slow
def test_every_command_reports_a_missing_broker_in_one_line(tmp_path: Path) -> None:
    unused_address = f"127.0.0.1:{free_port()}"
    environment = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": unused_address}

    def run_command(command: str) -> CommandResult:
        return sensorwatch(*command.split(), folder=tmp_path, environ=environment)

    with ThreadPoolExecutor(
        len(COMMANDS)
    ) as pool:  # The commands run in parallel, because each one waits some seconds for the broker.
        results = dict(zip(COMMANDS, pool.map(run_command, COMMANDS), strict=True))
    for command, result in results.items():
        assert (result.code, result.out) == (3, ""), command
        assert result.err.startswith(f"error: no broker answers at {unused_address} "), command
        assert result.err.count("\n") == 1, command
