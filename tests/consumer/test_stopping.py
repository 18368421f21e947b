"""A worker stops at any time after a signal, and when its supervisor has ended."""

import os
import signal
import socket
from pathlib import Path

import pytest

from sensorwatch.consumer.stopping import StopRequest
from tests.brokers.child_processes import DeadlineMissed, last_lines, wait_until
from tests.brokers.kafka import Kafka
from tests.consumer.sandbox import START_SECONDS, Sandbox, Worker

# Replaces the module confluent_kafka, whose import is the first slow step of a worker.
SLOW_IMPORT = """
import pathlib, time
pathlib.Path("importing").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_imports_ends_a_worker_with_code_0(
    tmp_path: Path, signal_number: signal.Signals
) -> None:
    (tmp_path / "confluent_kafka.py").write_text(SLOW_IMPORT)
    with Sandbox("127.0.0.1:1", tmp_path).start() as worker:
        import_marker = tmp_path / "importing"
        wait_until(import_marker.exists, deadline=START_SECONDS, what="the import", every=0.01)

        os.kill(worker.process.pid, signal_number)

        assert worker.process.wait(deadline=5) == 0
        assert "Traceback" not in worker.log()


def test_a_worker_whose_supervisor_ends_during_the_imports_ends_too(tmp_path: Path) -> None:
    """A worker notices the end of its supervisor by the end of its standard input."""
    (tmp_path / "confluent_kafka.py").write_text(SLOW_IMPORT)
    with Sandbox("127.0.0.1:1", tmp_path).start("--worker", "0") as worker:
        assert worker.process.wait(deadline=START_SECONDS) == 0
        assert "the supervisor has ended" in worker.log()


def test_the_error_for_a_port_in_use_names_another_worker_as_a_cause(tmp_path: Path) -> None:
    sandbox = Sandbox("127.0.0.1:1", tmp_path).with_model()
    with (
        socket.create_server(("127.0.0.1", 0)) as other_server,
        sandbox.start(consumer__http_port=other_server.getsockname()[1]) as worker,
    ):
        assert worker.process.wait(deadline=START_SECONDS) == 2
        assert "Another worker may use this port" in worker.log()


class FakeTimer:
    """A timer that never ends the test process."""

    daemon = False

    def __init__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        pass


def test_the_remaining_time_counts_from_the_first_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The final snapshots must end before the watchdog, which counts from the first signal."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    now = 50.0
    monkeypatch.setattr("sensorwatch.consumer.stopping.threading.Timer", FakeTimer)
    monkeypatch.setattr("sensorwatch.consumer.stopping.time.monotonic", lambda: now)
    try:
        stopping = StopRequest()
        stopping.finish_batch_first(5.0)
        assert (stopping(), stopping.remaining_seconds) == (False, 5.0)

        os.kill(os.getpid(), signal.SIGTERM)
        now = 53.0
        os.kill(os.getpid(), signal.SIGTERM)

        assert (stopping(), stopping.remaining_seconds) == (True, 2.0)
        now = 60.0
        assert stopping.remaining_seconds == 0.0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.broker
@pytest.mark.slow
def test_workers_of_a_killed_supervisor_end_and_free_their_ports(
    kafka: Kafka, tmp_path: Path
) -> None:
    """The test needs a real broker: in the mock cluster these rebalances do not finish."""
    sandbox = Sandbox(kafka.address, tmp_path).with_model()
    for topic, partitions in sandbox.topics.items():
        kafka.create_topic(topic, partitions)
    port = _first_of_two_free_ports()

    with sandbox.start("--workers", "2", consumer__http_port=port) as orphaned_workers:
        _wait_for_event(orphaned_workers, '"partitions assigned"', 2)
        os.kill(orphaned_workers.process.pid, signal.SIGKILL)

        with sandbox.start("--workers", "2", consumer__http_port=port) as new_workers:
            _wait_for_event(new_workers, '"partitions assigned"', 2)
            _wait_for_event(orphaned_workers, '"worker stopped"', 2)
            assert new_workers.process.terminate(deadline=10) == 0, last_lines(
                new_workers.process.log
            )


def _wait_for_event(worker: Worker, event_text: str, event_count: int) -> None:
    try:
        wait_until(
            lambda: worker.log().count(event_text) >= event_count,
            deadline=START_SECONDS,
            what=f"{event_text} {event_count} times",
            every=0.05,
        )
    except DeadlineMissed as error:
        raise DeadlineMissed(f"{error}; its log ends:\n{last_lines(worker.process.log)}") from None


def _first_of_two_free_ports() -> int:
    """Return a free port; the next port is free too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = int(server.getsockname()[1])
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue
