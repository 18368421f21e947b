import socket
import sys
from pathlib import Path

import httpx
import pytest

from sensorwatch.api.serve_command import address_of, open_listener
from sensorwatch.common.errors import SettingsError
from tests.api.app_builders import ROW
from tests.brokers.child_processes import ChildProcess, wait_until

ROOT = Path(__file__).parents[2]
SERVE_ARGUMENTS = ("sensorwatch", "serve")


def run_module(*arguments: str, folder: Path, registry: Path) -> ChildProcess:
    """Run `python -m <module>` in `folder`, with settings to serve the models of `registry`."""
    environment = {"PYTHONPATH": str(ROOT), "SENSORWATCH__REGISTRY__PATH": str(registry)}
    command = [sys.executable, "-m", *arguments]
    return ChildProcess(command, log=folder / "log", environment=environment, folder=folder)


def word_after(marker: str, process: ChildProcess) -> str:
    """Wait until a program logs `marker`, and return the word after it."""

    def next_word() -> str | None:
        assert process.running, process.log.read_text()
        _, found_marker, text_after = process.log.read_text().partition(marker)
        return text_after.split()[0] if found_marker and "\n" in text_after else None

    return wait_until(next_word, deadline=60, what=marker)


def test_serve_logs_its_address_answers_and_stops_without_an_error(
    tmp_path: Path, registry_path: Path
) -> None:
    serve = run_module(*SERVE_ARGUMENTS, "--port", "0", folder=tmp_path, registry=registry_path)
    with serve, httpx.Client(timeout=60) as client:
        address = word_after("address=", serve)
        response = client.post(f"{address}/predict", json={"rows": [ROW]})

        exit_code = serve.terminate(deadline=30)

        log = serve.log.read_text()
        assert response.status_code == 200
        assert exit_code == 0, log
        assert "stopped" in log
        assert "Traceback" not in log


def test_uvicorn_serves_the_application_by_its_name(tmp_path: Path, registry_path: Path) -> None:
    command = ("uvicorn", "api.main:app", "--port", "0")
    with run_module(*command, folder=tmp_path, registry=registry_path) as process:
        address = word_after("Uvicorn running on ", process)

        response = httpx.post(f"{address}/predict", json={"rows": [ROW]}, timeout=60)

        assert response.status_code == 200


def test_serve_ends_with_one_error_line_if_the_key_file_cannot_be_used(
    tmp_path: Path, registry_path: Path
) -> None:
    (tmp_path / "sensorwatch.toml").write_text('[api]\nport = 0\napi_key_file = "nothing"\n')

    with run_module(*SERVE_ARGUMENTS, folder=tmp_path, registry=registry_path) as serve:
        assert serve.wait(deadline=60) == SettingsError.exit_code

        [line] = serve.log.read_text().splitlines()
        assert line.startswith("error: [api] api_key_file names nothing, which cannot be read")


def test_the_error_names_an_address_in_use_and_the_option_to_change_it() -> None:
    with open_listener("127.0.0.1", 0) as first_listener:
        port = first_listener.getsockname()[1]

        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}.*--port"):
            open_listener("127.0.0.1", port)


def test_the_listener_lets_asyncio_disable_nagle_s_algorithm() -> None:
    """Asyncio disables the algorithm only if the socket was created with the protocol TCP."""
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert address_of(listener).startswith("http://127.0.0.1:")
