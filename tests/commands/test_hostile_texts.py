"""No command prints a control character that topics, files or the registry contain."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sensorwatch.cli import build_app
from sensorwatch.common.kafka.embedded import EmbeddedBroker
from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot, chunk_messages, manifest_message
from sensorwatch.common.ledger.account import Account, SnapshotRef, open_account
from sensorwatch.common.runtime.command_line import run
from sensorwatch.consumer.publishing.events import EventType
from tests.commands.test_tail import a_closing, a_signal, an_event
from tests.demo.test_screens import CONTROL_SEQUENCE, Terminal
from tests.registry.forging import NAME, a_registry, edit_manifest, folder_of
from tests.runtime.test_printing import is_safe

HOSTILE = "\x1b[2J\x07\t\r\n\x7f\x85\x9b31m\u202e\u2066\u200b\u2028\ufeff\u3164[red]:bomb:"
VISIBLE = r"\x1b[2J"
FILE_NAME = HOSTILE + "\udcff"
"""With a byte that is not UTF-8."""

Command = Callable[..., str]


@pytest.fixture
def printed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Command:
    """Run a command in a folder with a schema; return its output after a check of each byte."""
    monkeypatch.chdir(tmp_path)
    write_schema(tmp_path / "schemas" / "default.toml", signal="x1")

    def command(*args: str) -> str:
        code = run(build_app(), args, name="sensorwatch")
        output = capfdbinary.readouterr()
        assert code != 70, output.err
        return assert_safe(output.out) + assert_safe(output.err)

    return command


def assert_safe(output: bytes) -> str:
    """Return an output as text; line feeds and tabs are its only control characters."""
    assert not {byte for byte in output if byte < 0x20 or byte == 0x7F} - {0x09, 0x0A}
    text = output.decode()
    assert is_safe(text.replace("\n", "").replace("\t", "")), text
    return text


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Iterator[Producer]:
    """A producer on a broker with all topics, as configured."""
    with EmbeddedBroker() as broker:
        for name in ("sensors", "anomalies", "sensors.dlq", "ledger", "state"):
            broker.create_topic(name)
        for key, value in {
            "KAFKA__BOOTSTRAP_SERVERS": broker.address,
            "TOPICS__LEDGER": "ledger",
            "TOPICS__STATE": "state",
            "CONSUMER__DELIVERY": "at_least_once",
        }.items():
            monkeypatch.setenv(f"SENSORWATCH__{key}", value)
        producer = Producer({"bootstrap.servers": broker.address})
        yield producer
        producer.close()


def send(producer: Producer, topic: str, value: bytes, kind: str = "") -> None:
    producer.produce(topic, value, HOSTILE, partition=0, headers=[("ce_type", kind.encode())])
    assert producer.flush(10) == 0


@pytest.mark.embedded
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
def test_tail(topics: Producer, printed: Command, options: tuple[str, ...]) -> None:
    signals = [
        a_signal(HOSTILE, 20.0, HOSTILE, attribution=0.5, held=True),
        a_signal(HOSTILE, 20.0, HOSTILE),
    ]
    fields = ("event_id", "sensor_id", "event_time", "model_version", "severity", "unknown")
    texts = dict.fromkeys(fields, f"{HOSTILE}\x00")
    episode = {"id": HOSTILE, "rows": 2}
    event = json.loads(an_event(status=HOSTILE, signals=signals, episode=episode))
    closing = json.loads(a_closing())
    values = [
        (json.dumps(event | texts, ensure_ascii=False).encode(), EventType.DETECTED),
        (json.dumps(closing | texts).encode(), EventType.CLOSED),
        (HOSTILE.encode() + b"\x00\xff\x9b\xc3", HOSTILE),
    ]
    for value, kind in values:
        send(topics, "anomalies", value, kind)

    shown = printed("tail", "--from-beginning", "--max", "3", *options)

    assert len(shown.splitlines()) == 3
    assert (VISIBLE if not options else r"\u001b[2J") in shown


LEDGER_AND_STATE = [
    ("ledger", "show", "--history"),
    ("ledger", "show", "--json"),
    ("ledger", "verify"),
    ("ledger", "verify", "--json"),
    ("state", "show"),
    ("state", "show", "--json"),
    ("state", "reset"),
]


@pytest.mark.embedded
@pytest.mark.parametrize("command", LEDGER_AND_STATE, ids=" ".join)
def test_ledger_and_state(
    topics: Producer, printed: Command, command: tuple[str, ...], tmp_path: Path
) -> None:
    a_registry(tmp_path)
    snapshot = Snapshot(
        group=HOSTILE,
        source=Partition("sensors", 0),
        partitions=4,
        next_offset=0,
        model_version=HOSTILE,
        account=open_account(0, model_version=HOSTILE, fingerprint=HOSTILE),
        content=b"\x1b",
        memory_layout=HOSTILE,
    )
    account = replace(snapshot.account, snapshot=SnapshotRef(1, 0))
    for message in (
        *chunk_messages(snapshot, "state"),
        manifest_message(snapshot, "state", [0]),
        ledger_message("ledger", HOSTILE, snapshot.source, account, Cause.OPENED),
    ):
        send(topics, message.topic, message.value or b"")
    commit(account)

    assert "1b[2J" in printed(*command, "--group", HOSTILE)


def commit(account: Account) -> None:
    address = os.environ["SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS"]
    consumer = Consumer({"bootstrap.servers": address, "group.id": HOSTILE})
    at = TopicPartition("sensors", 0, account.next_offset, metadata=to_metadata(account))
    consumer.commit(offsets=[at], asynchronous=False)
    consumer.close()


@pytest.mark.embedded
def test_topics_check(topics: Producer, printed: Command) -> None:
    text = json.dumps(HOSTILE)
    for value in (
        HOSTILE.encode(),
        b"\xff\x9b",
        f'{{"{HOSTILE}": 1}}'.encode(),
        f'{{"sensor_id": {text}, "timestamp": {text}, "x1": {text}}}'.encode(),
        f'{{"sensor_id": {text}, "timestamp": "2025-01-01T00:00:00Z", "x1": 1}}'.encode(),
    ):
        send(topics, "sensors", value)

    assert "rejected" in printed("topics", "check")


def write_schema(path: Path, *, signal: str) -> None:
    """Write a schema of one signal, with hostile name, unit and fields."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"""\
name = {json.dumps(HOSTILE)}
[time]
field = "timestamp"
[key]
field = "sensor_id"
[[signals]]
name = {json.dumps(signal)}
unit = {json.dumps(HOSTILE)}
"""
    )


def test_models(printed: Command, tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first, second = registry.version_ids(NAME)
    registry.promote(NAME, second, who=HOSTILE, why=HOSTILE, force=HOSTILE)
    registry.attach_report(NAME, second, {"passed": True, HOSTILE: HOSTILE})
    edit_manifest(folder_of(tmp_path, second), make_hostile)
    (folder_of(tmp_path, first) / FILE_NAME).write_text(HOSTILE)

    assert VISIBLE in printed("models", "audit")
    assert r"\u001b[2J" in printed("models", "audit", "--json")
    assert r"\u001b[2J" in printed("models", "show", second)
    for command in ("list", "list --json", "verify", "rollback", "prune --keep 0 --offline"):
        printed("models", *command.split())
    assert VISIBLE in printed("models", "promote", first, "--model", HOSTILE)
    assert VISIBLE in printed("models", "show", HOSTILE)


@pytest.mark.parametrize("command", ["models audit", "models list", "config check"])
def test_a_table_on_a_terminal(
    command: str, printed: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = a_registry(tmp_path, versions=2)
    second = registry.version_ids(NAME)[1]
    registry.promote(NAME, second, who=HOSTILE, why=HOSTILE, force=HOSTILE)
    edit_manifest(folder_of(tmp_path, second), make_hostile)
    monkeypatch.setenv("SENSORWATCH__SCHEMA__PATH", HOSTILE)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "600")

    run(build_app(), command.split(), name="sensorwatch")

    shown = CONTROL_SEQUENCE.sub("", terminal.getvalue())
    assert "1b[2J" in shown
    assert is_safe(shown.replace("\n", ""))


def make_hostile(manifest: dict[str, Any]) -> None:
    manifest["schema_fingerprint"] = HOSTILE
    manifest["data_source"]["uri"] = HOSTILE
    manifest["libraries"] = {HOSTILE: HOSTILE}
    manifest["schema"]["name"] = HOSTILE
    for signal in manifest["schema"]["signals"]:
        signal |= {"name": HOSTILE, "unit": HOSTILE}


def test_models_on_damaged_files(printed: Command, tmp_path: Path) -> None:
    (version,) = a_registry(tmp_path).version_ids(NAME)
    edit_manifest(folder_of(tmp_path, version), lambda manifest: manifest.update({HOSTILE: 1}))
    (tmp_path / "registry" / NAME / "aliases.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    (tmp_path / "registry" / NAME / "audit.jsonl").write_text(HOSTILE)

    for command in ("list", "show", f"verify {version}", "audit", "rollback"):
        printed("models", *command.split())


def test_schema(printed: Command, tmp_path: Path) -> None:
    header = ["timestamp", "sensor_id", "x1", HOSTILE]
    rows: list[list[object]] = [
        [f"2025-01-01T00:00:{second:02d}Z", "a", second, 1] for second in range(60)
    ]
    bad: list[list[object]] = [
        [HOSTILE, HOSTILE, HOSTILE, HOSTILE],
        ["2025-01-01T00:01:00Z", HOSTILE, 1, 1],
    ]
    path = tmp_path / f"{FILE_NAME}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(header)
        csv.writer(file).writerows(rows)
        csv.writer(file).writerows(bad)
    write_schema(tmp_path / FILE_NAME, signal=HOSTILE)

    assert printed("schema", "infer", str(path))
    assert printed("schema", "check", FILE_NAME, "--data", str(path))
    assert VISIBLE in printed("schema", "infer", f"{FILE_NAME}.csv", "--out", "schema.toml")


def test_config(printed: Command, tmp_path: Path) -> None:
    text = json.dumps(HOSTILE)
    for name, content in (
        (FILE_NAME, '[registry]\nmodel = "mine"\n'),
        ("known.toml", f"[consumer]\ngroup = {text}\n"),
        ("unknown.toml", f"[topics]\nreadings = {text}\n[{text}]\n{text} = 1\n"),
    ):
        (tmp_path / name).write_text(content)

        assert VISIBLE in printed("config", "check", "--config", name)


def test_config_that_is_not_toml(printed: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(f'a = "{HOSTILE}"')

    assert "broken.toml" in printed("config", "check", "--config", "broken.toml")


def test_produce(printed: Command) -> None:
    assert VISIBLE in printed("produce", "--rows", "5", "--out", f"{FILE_NAME}.csv")
    assert VISIBLE in printed("produce", "--csv", FILE_NAME, "--stdout")
    assert VISIBLE in printed("produce", "--rows", "5", "--faults", HOSTILE)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "--data"),
        ("backtest", "--train-rows", "10", "--data"),
        ("consume", "--config"),
        ("serve", "--config"),
        ("warmup",),
        (),
    ],
    ids=" ".join,
)
def test_a_hostile_argument_in_an_error(printed: Command, command: tuple[str, ...]) -> None:
    assert VISIBLE in printed(*command, FILE_NAME)


def test_train_and_evaluate(
    printed: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORWATCH__TRAINER__TREES", "20")
    header = ["timestamp", "sensor_id", HOSTILE]
    with (tmp_path / HOSTILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in range(2_000):
            time = f"2025-01-{1 + row // 1440:02d}T{row // 60 % 24:02d}:{row % 60:02d}:00Z"
            writer.writerow([time, f"sensor-{HOSTILE if row % 500 == 0 else 1}", row % 7])
    write_schema(tmp_path / "schemas" / "default.toml", signal=HOSTILE)

    assert "bad_key" in printed("train", "--data", HOSTILE)
    assert VISIBLE in printed("evaluate", "--data", HOSTILE)
