"""`sensorwatch doctor` finds each problem, says what to do, and changes nothing."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]  # missing in the stubs

from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.doctor import examination, local_checks
from sensorwatch.doctor.broker_checks import check_clock
from sensorwatch.doctor.finding import Status
from sensorwatch.doctor.local_checks import check_disk
from sensorwatch.doctor.registry_checks import check_registry
from sensorwatch.doctor.rights_check import Rights, topic_findings
from tests.brokers.kafka import Kafka
from tests.brokers.ports import free_port
from tests.commands.command_runner import run_in_process
from tests.consumer.sandbox import MODEL_NAME, Sandbox
from tests.kafka.record_builders import a_payload

TOPICS = (
    "sensors",
    "anomalies",
    "sensors.dlq",
    "sensorwatch.ledger",
    "sensorwatch.state",
    "sensorwatch.scores",
)


@pytest.fixture(autouse=True)
def _remove_environment_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SENSORWATCH__")]:
        monkeypatch.delenv(name)


def examine(config: Path) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Run the command; return the exit code, and status and text of the findings by check."""
    result = run_in_process("doctor", "--json", "--config", config)
    findings: dict[str, list[tuple[str, str]]] = {}
    for line in result.out.splitlines():
        finding = json.loads(line)
        findings.setdefault(finding["check"], []).append((finding["status"], finding["text"]))
    return result.code, findings


def write_config(folder: Path, address: str, *, text: str = "") -> Path:
    path = folder / "sensorwatch.toml"
    path.write_text(
        f'[kafka]\n"bootstrap.servers" = "{address}"\n[registry]\npath = "{folder}/registry"\n'
        f'[consumer]\ndelivery = "at_least_once"\n{text}',
        encoding="utf-8",
    )
    return path


def test_without_a_broker_the_other_checks_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "CONNECT_SECONDS", 0.5)
    config = write_config(tmp_path, f"127.0.0.1:{free_port()}")

    code, findings = examine(config)
    as_text = run_in_process("doctor", "--config", config)

    assert code == 1
    statuses = {check: results[0][0] for check, results in findings.items()}
    assert {statuses[check] for check in ("versions", "configuration", "schema", "disk")} == {"ok"}
    assert statuses["broker"] == statuses["registry"] == "failed"
    assert findings["topics, rights, group, rows, clock"] == [("skipped", "they need a broker")]
    assert findings["configuration"][1][0] == "warning", "the delivery is at_least_once"
    assert "failed   registry: there is no model" in as_text.out
    assert "         to do: `sensorwatch train --data FILE`" in as_text.out
    assert "2 failed" in as_text.err
    assert not (tmp_path / "registry").exists(), "nothing is created"


def test_an_invalid_configuration_is_a_failed_check(tmp_path: Path) -> None:
    config = write_config(tmp_path, "127.0.0.1:1", text="max_row = 5\n")

    code, findings = examine(config)

    assert code == 1
    ((status, text),) = findings["configuration"]
    assert (status, "consumer.max_rows" in text) == ("failed", True)
    assert "broker" not in findings


@pytest.mark.embedded
def test_missing_topics_and_bad_rows_are_named(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    config = write_config(tmp_path, embedded_broker.address)
    for name in TOPICS[:4]:
        embedded_broker.create_topic(name)
    _, findings = examine(config)
    assert findings["topics"] == [("failed", "missing: sensorwatch.state, sensorwatch.scores")]

    for name in TOPICS[4:]:
        embedded_broker.create_topic(name)
    send(embedded_broker.address, [a_payload(), b"{", a_payload()])
    _, findings = examine(config)

    assert findings["topics"][0][0] == "ok"
    assert findings["rights"][0][0] == "skipped"
    ((status, text),) = findings["rows"]
    assert status == "warning"
    assert text.startswith('1 of the latest 3 records of "sensors" are rejected: not_json: 1 0:1:')
    assert findings["clock"][0][0] == "ok"
    assert findings["group"][0] == (
        "ok",
        '"sensorwatch" has not committed yet; 3 records wait',
    )


@pytest.mark.embedded
def test_a_record_from_the_future_shows_a_wrong_clock(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    for name in TOPICS:
        embedded_broker.create_topic(name)
    settings = load_settings(write_config(tmp_path, embedded_broker.address)).settings
    send(embedded_broker.address, [a_payload()], timestamp_ms=1_700_000_030_000)

    (late,) = check_clock(settings, now=1_700_000_000)
    (right,) = check_clock(settings, now=1_700_000_060)

    assert (late.status, "30 s in the future" in late.text) == (Status.WARNING, True)
    assert (right.status, "30 s old by its writer's clock" in right.text) == (Status.OK, True)


def send(address: str, values: Sequence[bytes], *, timestamp_ms: int = 0) -> None:
    producer = Producer({"bootstrap.servers": address}, logger=silent_logger())
    for value in values:
        producer.produce("sensors", value, b"pump-7", 0, timestamp=timestamp_ms)
    assert producer.flush(10) == 0
    producer.close()


def test_a_full_disk_is_a_failed_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(write_config(tmp_path, "x:1")).settings

    monkeypatch.setattr(local_checks, "FAILED_FREE_BYTES", 1 << 60)
    monkeypatch.setattr(local_checks, "WARNING_FREE_BYTES", 1 << 61)

    assert {finding.status for finding in check_disk(settings)} == {Status.FAILED}


def test_a_damaged_champion_and_a_changed_audit_log_are_found(tmp_path: Path) -> None:
    sandbox = Sandbox("127.0.0.1:1", tmp_path).with_model()
    config = write_config(
        tmp_path, "127.0.0.1:1", text=f'[schema]\npath = "{tmp_path}/mine.toml"\n'
    )
    settings = load_settings(config).settings
    (tmp_path / "mine.toml").write_text('[[signals]]\nname = "other"\n', encoding="utf-8")
    sound = {(f.check, f.status) for f in check_registry(settings)}
    assert sound == {
        ("registry", Status.OK),
        ("champion", Status.OK),
        ("champion", Status.WARNING),
        ("audit", Status.OK),
    }, "the schema file is not the one of the model"

    model_folder = tmp_path / "registry" / MODEL_NAME
    version = sandbox.registry.resolve(MODEL_NAME, "champion")
    arrays = next((model_folder / "versions" / version).glob("*.npz"), None) or next(
        path
        for path in (model_folder / "versions" / version).iterdir()
        if path.is_file() and path.name != "manifest.json"
    )
    arrays.write_bytes(b"damaged")
    log = model_folder / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"test"', b'"tent"', 1))

    statuses = [(f.check, f.status) for f in check_registry(settings)]

    assert ("champion", Status.FAILED) in statuses
    assert ("audit", Status.FAILED) in statuses


def test_missing_rights_are_named() -> None:
    read, write, delete = AclOperation.READ, AclOperation.WRITE, AclOperation.DELETE
    rights: dict[str, Rights] = {
        "in": frozenset({read}),
        "out": frozenset({read}),
        "gone": KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
    }

    findings = list(
        topic_findings(
            rights,
            {"in": (read,), "out": (read, write), "gone": (read,)},
            {"out": {delete: "the topic grows", read: "never shown"}},
        )
    )

    assert [(finding.status, finding.text) for finding in findings] == [
        (Status.FAILED, '"out": no right to WRITE'),
        (Status.WARNING, '"out": no right to DELETE: the topic grows'),
        (Status.FAILED, '"gone": Broker: Topic authorization failed'),
    ]


@pytest.mark.broker
def test_all_is_well_on_a_real_broker(kafka: Kafka, tmp_path: Path) -> None:
    sandbox = Sandbox(kafka.address, tmp_path).with_model()
    for name, partitions in sandbox.topics.items():
        kafka.create_topic(name, partitions)
    sandbox.send_payloads([a_payload()] * 8)
    config = tmp_path / "sensorwatch.toml"
    config.write_text(
        f'[kafka]\n"bootstrap.servers" = "{kafka.address}"\n'
        f'[registry]\npath = "{tmp_path}/registry"\nmodel = "{MODEL_NAME}"\n'
        f'[topics]\nreadings = "{sandbox.readings}"\nanomalies = "{sandbox.anomalies}"\n'
        f'dead_letters = "{sandbox.dead_letters}"\n[consumer]\ngroup = "{sandbox.group}"\n',
        encoding="utf-8",
    )

    code, findings = examine(config)

    failures = [
        result for results in findings.values() for result in results if result[0] == "failed"
    ]
    assert (str(failures), code) == ("[]", 0)
    assert findings["rights"] == [("ok", "all topics, the group and transactions can be used")]
    assert findings["rows"][0][1].startswith("the latest 8 records")
    assert [status for status, _ in findings["champion"]] == ["ok"]
    assert sandbox.read(sandbox.readings), "the topics still have their records"
