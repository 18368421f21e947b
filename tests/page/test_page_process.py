"""A process of its own renders the page; it is started again after a crash, and never left over."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorwatch.api.page.page_process import PageProcess
from sensorwatch.common.runtime.setting_keys import Settings
from tests.api.app_builders import Client, client_of, wait_until
from tests.brokers.ports import free_port
from tests.page.page_builders import process_of

pytestmark = pytest.mark.slow

PARENT = """
import sys, time
from sensorwatch.api.page.page_process import PageProcess
from sensorwatch.common.runtime.setting_keys import Settings
page = PageProcess(Settings.model_validate_json(sys.argv[1]), lambda: None)
page.start()
while page.process_id is None:
    time.sleep(0.01)
print(page.process_id, page._socket_path, flush=True)
time.sleep(60)
"""


def some_settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap.servers": f"127.0.0.1:{free_port()}", "sasl.password": "secret"},
            "registry": {"path": folder / "registry"},
            "page": {"hours": 6},
        }
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a service whose page has its own process, without a broker."""
    settings = some_settings(tmp_path_factory.mktemp("page"))
    with client_of(settings, make_page=PageProcess) as client:
        yield client
    page = client.service.page
    assert isinstance(page, PageProcess)
    assert page.process_id is None


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return "(zombie)" not in Path(f"/proc/{process_id}/status").read_text()


def test_the_page_comes_from_its_own_process(client: Client) -> None:
    response = client.get("/")

    assert response.status_code == 200
    assert "Reading" in response.text or "No new events." in response.text
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert process_of(client) != os.getpid()
    assert client.get("/lanes").json()["step"] == 30
    assert client.get("/sensor?id=unknown").status_code == 404
    command = Path(f"/proc/{process_of(client)}/cmdline").read_bytes()
    assert b"secret" not in command
    assert os.getpriority(os.PRIO_PROCESS, process_of(client)) == 10


def test_a_killed_process_is_started_again(client: Client) -> None:
    first_process = process_of(client)
    with client.stream("GET", "/events-stream") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry: ")
        os.kill(first_process, signal.SIGKILL)
        assert all("not a line" not in line for line in lines)  # the stream ends

    statuses = {}
    wait_until(lambda: client.get("/livez").status_code == 200)
    for path in ("/", "/lanes"):
        response = client.get(path)
        statuses[path] = response.status_code
        if response.status_code == 503:
            assert "starts again" in response.text
            assert response.headers["retry-after"]
    wait_until(lambda: client.get("/").status_code == 200)

    assert set(statuses.values()) <= {200, 503}
    assert process_of(client) != first_process
    assert not is_running(first_process)


def test_the_process_ends_with_its_service(tmp_path: Path) -> None:
    settings = some_settings(tmp_path).model_dump_json(by_alias=True)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, settings], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as output:
        process_text, socket_path = output.readline().split()
        parent.kill()
        parent.wait()

    wait_until(lambda: not is_running(int(process_text)))

    assert not Path(socket_path).parent.exists()
