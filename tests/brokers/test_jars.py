"""Missing programs and failed downloads of the jars are reported."""

from pathlib import Path

import pytest

from tests.brokers.jars import KAFKA_VERSION, JarsMissing, kafka_jars, reason_java_is_missing

JAVA_SCRIPT = "echo 'openjdk version \"%s\"' >&2"
LOG_CALL_COMMAND = "echo called >> {log};"
SUCCESSFUL_MAVEN_SCRIPT = (
    LOG_CALL_COMMAND + 'for last; do :; done; touch "${{last#-DoutputDirectory=}}/kafka_2.13.jar"'
)
FAILING_MAVEN_SCRIPT = LOG_CALL_COMMAND + "echo 'no such artifact'; exit 1"


class FakeMachine:
    """A fake machine: its search path and cache of jars have only what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin_folder = folder / "bin"
        self.bin_folder.mkdir()
        self.cache = folder / "cache" / "sensorwatch" / f"kafka-{KAFKA_VERSION}"
        self.log = folder / "calls"

    def install_program(self, name: str, script: str) -> None:
        path = self.bin_folder / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(0o755)

    @property
    def call_count(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    machine = FakeMachine(tmp_path)
    monkeypatch.setenv("PATH", str(machine.bin_folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return machine


def test_a_missing_java_is_reported(machine: FakeMachine) -> None:
    assert "no `java`" in (reason_java_is_missing() or "")


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_292"])
def test_an_old_java_is_reported(machine: FakeMachine, version: str) -> None:
    machine.install_program("java", JAVA_SCRIPT % version)

    assert "expected 17" in (reason_java_is_missing() or "")


def test_without_maven_the_jars_must_be_in_the_cache(machine: FakeMachine) -> None:
    machine.install_program("java", JAVA_SCRIPT % "17.0.1")
    assert "no `mvn`" in (reason_java_is_missing() or "")

    machine.cache.mkdir(parents=True)

    assert reason_java_is_missing() is None


def test_jars_are_downloaded_once(machine: FakeMachine) -> None:
    machine.install_program("mvn", SUCCESSFUL_MAVEN_SCRIPT.format(log=machine.log))

    assert kafka_jars() == kafka_jars() == machine.cache

    assert machine.call_count == 1
    assert [path.name for path in machine.cache.iterdir()] == ["kafka_2.13.jar"]


def test_a_failed_download_reports_its_cause_and_leaves_no_files(machine: FakeMachine) -> None:
    machine.install_program("mvn", FAILING_MAVEN_SCRIPT.format(log=machine.log))

    with pytest.raises(JarsMissing, match="no such artifact"):
        kafka_jars()

    assert not machine.cache.exists()
    assert not list(machine.cache.parent.glob("fetching-*"))


def test_a_download_without_kafka_is_a_failure(machine: FakeMachine) -> None:
    machine.install_program("mvn", "exit 0")

    with pytest.raises(JarsMissing):
        kafka_jars()
