import socket
import sys
from pathlib import Path

import httpx
import pytest

from sensorwatch.api.serve_command import address_of, open_listener
from sensorwatch.common.errors import SettingsError
from tests.api.app_builders import ROW
from tests.brokers.child_processes import Program, wait_until

ROOT = Path(__file__).parents[2]
SERVE = ("sensorwatch", "serve")


def running(*module: str, folder: Path, registry: Path) -> Program:
    """Run `python -m ...` in `folder`, serving the models of `registry`."""
    environment = {"PYTHONPATH": str(ROOT), "SENSORWATCH__REGISTRY__PATH": str(registry)}
    command = [sys.executable, "-m", *module]
    return Program(command, log=folder / "log", environment=environment, folder=folder)


def word_after(mark: str, program: Program) -> str:
    """Wait for `mark` in the log, and return the word that follows it."""

    def word() -> str | None:
        assert program.running, program.log.read_text()
        _, actual, rest = program.log.read_text().partition(mark)
        return rest.split()[0] if actual and "\n" in rest else None

    return wait_until(word, deadline=60, what=mark)


def test_serve_tells_its_address_answers_and_stops_cleanly(
    tmp_path: Path, registry_path: Path
) -> None:
    serve = running(*SERVE, "--port", "0", folder=tmp_path, registry=registry_path)
    with serve, httpx.Client(timeout=60) as client:
        address = word_after("address=", serve)
        answered = client.post(f"{address}/predict", json={"rows": [ROW]})

        code = serve.terminate(deadline=30)

        log = serve.log.read_text()
        assert answered.status_code == 200
        assert code == 0, log
        assert "stopped" in log
        assert "Traceback" not in log


def test_uvicorn_serves_the_application_by_its_name(tmp_path: Path, registry_path: Path) -> None:
    command = ("uvicorn", "api.main:app", "--port", "0")
    with running(*command, folder=tmp_path, registry=registry_path) as program:
        address = word_after("Uvicorn running on ", program)

        answered = httpx.post(f"{address}/predict", json={"rows": [ROW]}, timeout=60)

        assert answered.status_code == 200


def test_a_key_file_that_cannot_be_used_ends_the_command_in_one_line(
    tmp_path: Path, registry_path: Path
) -> None:
    (tmp_path / "sensorwatch.toml").write_text('[api]\nport = 0\napi_key_file = "nothing"\n')

    with running(*SERVE, folder=tmp_path, registry=registry_path) as serve:
        assert serve.wait(deadline=60) == SettingsError.exit_code

        [line] = serve.log.read_text().splitlines()
        assert line.startswith("error: [api] api_key_file names nothing, which cannot be read")


def test_an_address_that_is_taken_is_named_with_what_to_do() -> None:
    with open_listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}.*--port"):
            open_listener("127.0.0.1", port)


def test_answers_are_not_held_back_by_nagle_s_algorithm() -> None:
    """Asyncio turns it off only on a socket that names its protocol."""
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert address_of(listener).startswith("http://127.0.0.1:")
