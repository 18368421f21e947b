"""Tests of `sensorwatch demo` as a process without a terminal."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sensorwatch.demo.alerting import PACKAGE, installed_program
from tests.brokers.child_processes import ChildProcess, wait_until

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

ACCOUNT_EQUATION = re.compile(
    r"^records in (\d+) = normal (\d+) \+ anomalies (\d+) \+ dead letters (\d+) \+ absorbed (\d+)$",
    re.MULTILINE,
)
READY_SECONDS = 120.0
END_SECONDS = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a working folder with an invalid configuration and a folder for temporary files."""
    (tmp_path / "sensorwatch.toml").write_text("this is no TOML")
    (tmp_path / "temporary").mkdir()
    return tmp_path


def start_demo(folder: Path, seconds: str) -> ChildProcess:
    """Start the demo in `folder`; the environment names a broker that does not exist."""
    return ChildProcess(
        [sys.executable, "-m", "sensorwatch", "demo"],
        log=folder / "output.txt",
        environment={
            "DEMO_SECONDS": seconds,
            "TMPDIR": str(folder / "temporary"),
            "SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "SENSORWATCH__CONSUMER__HTTP_PORT": "1",
        },
        folder=folder,
    )


@pytest.fixture
def long_demo(folder: Path) -> Iterator[ChildProcess]:
    """Yield the process of a demo of ten minutes, after the demo has scored its first rows."""
    with start_demo(folder, "600") as process:
        wait_until(
            lambda: re.search(r"scored [1-9]", output(folder)) or not process.running,
            deadline=READY_SECONDS,
            what="scored rows",
        )
        assert process.running, output(folder)
        yield process


def output(folder: Path) -> str:
    return (folder / "output.txt").read_text()


def assert_account_adds_up(folder: Path) -> None:
    text = output(folder)
    match = ACCOUNT_EQUATION.search(text)
    assert match, text
    record_count, *outcome_counts = map(int, match.groups())
    normal_count, anomaly_count, _, absorbed_count = outcome_counts
    assert record_count == sum(outcome_counts)
    assert absorbed_count == 0
    assert normal_count > 0
    assert anomaly_count > 0
    assert "The account adds up" in text


def assert_alerts_were_sent(text: str) -> None:
    """Check the lines about the Alertmanager; without one the demo must say so."""
    if installed_program() is None:
        assert f"not installed; with the program {PACKAGE}" in text
        return
    count = re.search(r"^alerts in Alertmanager at .*: (\d+)$", text, re.MULTILINE)
    critical = re.search(r"^alarms: (\d+) critical", text, re.MULTILINE)
    assert count, text
    assert critical, text
    assert 1 <= int(count[1]) <= int(critical[1])


def test_the_demo_ends_with_an_account_that_adds_up_and_leaves_no_file(folder: Path) -> None:
    with start_demo(folder, "6") as process:
        assert process.wait(deadline=READY_SECONDS + END_SECONDS) == 0, output(folder)

    assert_account_adds_up(folder)
    text = output(folder)
    for expected_text in (
        "curl -s http://127.0.0.1:",
        "/metrics",
        "tail --config",
        "precision",
        "\nNext\n",
    ):
        assert expected_text in text
    assert_alerts_were_sent(text)
    assert sorted(path.name for path in folder.iterdir()) == [
        "output.txt",
        "sensorwatch.toml",
        "temporary",
    ]
    assert list((folder / "temporary").iterdir()) == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_demo_with_an_account_and_leaves_no_process(
    folder: Path, long_demo: ChildProcess, signal_number: signal.Signals
) -> None:
    child_processes = psutil.Process(long_demo.pid).children(recursive=True)
    assert len(child_processes) >= 2

    os.kill(long_demo.pid, signal_number)

    assert long_demo.wait(deadline=END_SECONDS) == 0, output(folder)
    assert_account_adds_up(folder)
    assert not any(child.is_running() for child in child_processes)
    assert list((folder / "temporary").iterdir()) == []


def test_ctrl_c_during_the_start_exits_with_130_and_leaves_no_process(folder: Path) -> None:
    with start_demo(folder, "600") as process:
        wait_until(lambda: "training" in output(folder), deadline=READY_SECONDS, what="training")
        child_processes = psutil.Process(process.pid).children(recursive=True)

        os.kill(process.pid, signal.SIGINT)

        assert process.wait(deadline=END_SECONDS) == 130, output(folder)

    assert "error" not in output(folder)
    assert not any(child.is_running() for child in child_processes)
    assert list((folder / "temporary").iterdir()) == []


def test_a_killed_consumer_ends_the_demo_with_code_1_and_prints_its_log(
    folder: Path, long_demo: ChildProcess
) -> None:
    child_processes = psutil.Process(long_demo.pid).children(recursive=True)
    (consumer,) = [child for child in child_processes if "sensorwatch.consumer" in child.cmdline()]

    consumer.kill()

    assert long_demo.wait(deadline=END_SECONDS) == 1, output(folder)
    assert "the consumer ended with exit code -9; its log ends with:" in output(folder)
    assert not any(child.is_running() for child in child_processes)


def test_the_error_for_an_invalid_duration_is_one_line(folder: Path) -> None:
    with start_demo(folder, "soon") as process:
        assert process.wait(deadline=END_SECONDS) == 2
    assert output(folder) == ('error: DEMO_SECONDS: found "soon", wanted seconds from 1 to 3600\n')
