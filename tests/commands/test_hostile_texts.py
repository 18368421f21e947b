"""No command prints control characters from topics, files or the registry."""

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
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot, chunk_messages, manifest_message
from sensorwatch.common.ledger.account import Account, SnapshotRef, open_account
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.commands.test_tail import a_closing_event, a_signal, an_event
from tests.demo.test_screens import CONTROL_SEQUENCE, FakeTerminal
from tests.registry.forging import NAME, a_registry, edit_manifest, folder_of
from tests.runtime.test_printing import is_safe

HOSTILE_TEXT = "\x1b[2J\x07\t\r\n\x7f\x85\x9b31m\u202e\u2066\u200b\u2028\ufeff\u3164[red]:bomb:"
ESCAPED_TEXT = r"\x1b[2J"
FILE_NAME = HOSTILE_TEXT + "\udcff"
"""A hostile file name; one of its bytes is not valid UTF-8."""

RunCommand = Callable[..., str]


@pytest.fixture
def run_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> RunCommand:
    """Return a function that runs a command in a folder with a schema and returns its output.

    The function asserts that the output contains no control character.
    """
    monkeypatch.chdir(tmp_path)
    write_schema(tmp_path / "schemas" / "default.toml", signal="x1")

    def command(*args: str) -> str:
        code = run(build_app(), args, name="sensorwatch")
        output = capfdbinary.readouterr()
        assert code != 70, output.err
        return assert_safe(output.out) + assert_safe(output.err)

    return command


def assert_safe(output: bytes) -> str:
    """Return an output as text; fail if it has control characters except line feeds and tabs."""
    assert not {byte for byte in output if byte < 0x20 or byte == 0x7F} - {0x09, 0x0A}
    text = output.decode()
    assert is_safe(text.replace("\n", "").replace("\t", "")), text
    return text


@pytest.fixture
def topic_producer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Producer]:
    """Return a producer for an embedded broker with all topics; the settings name this broker."""
    with EmbeddedBroker() as broker:
        for name in ("sensors", "anomalies", "sensors.dlq", "ledger", "state", "scores"):
            broker.create_topic(name)
        for key, value in {
            "KAFKA__BOOTSTRAP_SERVERS": broker.address,
            "TOPICS__LEDGER": "ledger",
            "TOPICS__STATE": "state",
            "TOPICS__SCORES": "scores",
            "CONSUMER__DELIVERY": "at_least_once",
        }.items():
            monkeypatch.setenv(f"SENSORWATCH__{key}", value)
        producer = Producer({"bootstrap.servers": broker.address})
        yield producer
        producer.close()


def send(producer: Producer, topic: str, value: bytes, event_type: str = "") -> None:
    producer.produce(
        topic, value, HOSTILE_TEXT, partition=0, headers=[("ce_type", event_type.encode())]
    )
    assert producer.flush(10) == 0


@pytest.mark.embedded
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
def test_tail_escapes_hostile_events(
    topic_producer: Producer, run_command: RunCommand, options: tuple[str, ...]
) -> None:
    signals = [
        a_signal(HOSTILE_TEXT, 20.0, HOSTILE_TEXT, attribution=0.5, held=True),
        a_signal(HOSTILE_TEXT, 20.0, HOSTILE_TEXT),
    ]
    fields = ("event_id", "sensor_id", "model_version", "severity", "unknown")
    hostile_fields = dict.fromkeys(fields, f"{HOSTILE_TEXT}\x00")
    episode = {"id": HOSTILE_TEXT, "rows": 2}
    event = json.loads(an_event(status=HOSTILE_TEXT, signals=signals, episode=episode))
    closing_event = json.loads(a_closing_event())
    values = [
        (json.dumps(event | hostile_fields, ensure_ascii=False).encode(), EventType.DETECTED),
        (json.dumps(closing_event | hostile_fields).encode(), EventType.CLOSED),
        (HOSTILE_TEXT.encode() + b"\x00\xff\x9b\xc3", HOSTILE_TEXT),
    ]
    for value, event_type in values:
        send(topic_producer, "anomalies", value, event_type)

    output = run_command("tail", "--from-beginning", "--max", "3", *options)

    assert len(output.splitlines()) == 3
    assert (ESCAPED_TEXT if not options else r"\u001b[2J") in output


LEDGER_AND_STATE_COMMANDS = [
    ("ledger", "show", "--history"),
    ("ledger", "show", "--json"),
    ("ledger", "verify"),
    ("ledger", "verify", "--json"),
    ("state", "show"),
    ("state", "show", "--json"),
    ("state", "reset"),
]


@pytest.mark.embedded
@pytest.mark.parametrize("command", LEDGER_AND_STATE_COMMANDS, ids=" ".join)
def test_ledger_and_state_commands_escape_hostile_records(
    topic_producer: Producer, run_command: RunCommand, command: tuple[str, ...], tmp_path: Path
) -> None:
    a_registry(tmp_path)
    snapshot = Snapshot(
        group=HOSTILE_TEXT,
        source=Partition("sensors", 0),
        partitions=4,
        next_offset=0,
        model_version=HOSTILE_TEXT,
        account=open_account(0, model_version=HOSTILE_TEXT, fingerprint=HOSTILE_TEXT),
        content=b"\x1b",
        memory_layout=HOSTILE_TEXT,
    )
    account = replace(snapshot.account, snapshot=SnapshotRef(1, 0))
    for message in (
        *chunk_messages(snapshot, "state"),
        manifest_message(snapshot, "state", [0]),
        ledger_message("ledger", HOSTILE_TEXT, snapshot.source, account, Cause.OPENED),
    ):
        send(topic_producer, message.topic, message.value or b"")
    commit_offset(account)

    assert "1b[2J" in run_command(*command, "--group", HOSTILE_TEXT)


def commit_offset(account: Account) -> None:
    address = os.environ["SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS"]
    consumer = Consumer({"bootstrap.servers": address, "group.id": HOSTILE_TEXT})
    committed_offset = TopicPartition(
        "sensors", 0, account.next_offset, metadata=to_metadata(account)
    )
    consumer.commit(offsets=[committed_offset], asynchronous=False)
    consumer.close()


@pytest.mark.embedded
def test_topics_check_escapes_hostile_records(
    topic_producer: Producer, run_command: RunCommand
) -> None:
    text = json.dumps(HOSTILE_TEXT)
    for value in (
        HOSTILE_TEXT.encode(),
        b"\xff\x9b",
        f'{{"{HOSTILE_TEXT}": 1}}'.encode(),
        f'{{"sensor_id": {text}, "timestamp": {text}, "x1": {text}}}'.encode(),
        f'{{"sensor_id": {text}, "timestamp": "2025-01-01T00:00:00Z", "x1": 1}}'.encode(),
    ):
        send(topic_producer, "sensors", value)

    assert "rejected" in run_command("topics", "check")


def write_schema(path: Path, *, signal: str) -> None:
    """Write a schema with one signal; the name of the schema and the unit are hostile texts."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"""\
name = {json.dumps(HOSTILE_TEXT)}
[time]
field = "timestamp"
[key]
field = "sensor_id"
[[signals]]
name = {json.dumps(signal)}
unit = {json.dumps(HOSTILE_TEXT)}
"""
    )


def test_models_commands_escape_hostile_manifests(run_command: RunCommand, tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.promote(NAME, second_version, who=HOSTILE_TEXT, why=HOSTILE_TEXT, force=HOSTILE_TEXT)
    registry.attach_report(NAME, second_version, {"passed": True, HOSTILE_TEXT: HOSTILE_TEXT})
    edit_manifest(folder_of(tmp_path, second_version), add_hostile_texts)
    (folder_of(tmp_path, first_version) / FILE_NAME).write_text(HOSTILE_TEXT)

    assert ESCAPED_TEXT in run_command("models", "audit")
    assert r"\u001b[2J" in run_command("models", "audit", "--json")
    assert r"\u001b[2J" in run_command("models", "show", second_version)
    for command in ("list", "list --json", "verify", "rollback", "prune --keep 0 --offline"):
        run_command("models", *command.split())
    assert ESCAPED_TEXT in run_command("models", "promote", first_version, "--model", HOSTILE_TEXT)
    assert ESCAPED_TEXT in run_command("models", "show", HOSTILE_TEXT)


@pytest.mark.parametrize("command", ["models audit", "models list", "config check"])
def test_a_table_on_a_terminal_escapes_hostile_texts(
    command: str, run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]
    registry.promote(NAME, second_version, who=HOSTILE_TEXT, why=HOSTILE_TEXT, force=HOSTILE_TEXT)
    edit_manifest(folder_of(tmp_path, second_version), add_hostile_texts)
    monkeypatch.setenv("SENSORWATCH__SCHEMA__PATH", HOSTILE_TEXT)
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "600")

    run(build_app(), command.split(), name="sensorwatch")

    output = CONTROL_SEQUENCE.sub("", terminal.getvalue())
    assert "1b[2J" in output
    assert is_safe(output.replace("\n", ""))


def add_hostile_texts(manifest: dict[str, Any]) -> None:
    manifest["schema_fingerprint"] = HOSTILE_TEXT
    manifest["data_source"]["uri"] = HOSTILE_TEXT
    manifest["libraries"] = {HOSTILE_TEXT: HOSTILE_TEXT}
    manifest["schema"]["name"] = HOSTILE_TEXT
    for signal in manifest["schema"]["signals"]:
        signal |= {"name": HOSTILE_TEXT, "unit": HOSTILE_TEXT}


def test_models_commands_escape_texts_of_damaged_files(
    run_command: RunCommand, tmp_path: Path
) -> None:
    (version,) = a_registry(tmp_path).version_ids(NAME)
    edit_manifest(folder_of(tmp_path, version), lambda manifest: manifest.update({HOSTILE_TEXT: 1}))
    (tmp_path / "registry" / NAME / "aliases.json").write_text(
        json.dumps({HOSTILE_TEXT: HOSTILE_TEXT})
    )
    (tmp_path / "registry" / NAME / "audit.jsonl").write_text(HOSTILE_TEXT)

    for command in ("list", "show", f"verify {version}", "audit", "rollback"):
        run_command("models", *command.split())


def test_schema_commands_escape_hostile_tables(run_command: RunCommand, tmp_path: Path) -> None:
    header = ["timestamp", "sensor_id", "x1", HOSTILE_TEXT]
    good_rows: list[list[object]] = [
        [f"2025-01-01T00:00:{second:02d}Z", "a", second, 1] for second in range(60)
    ]
    bad_rows: list[list[object]] = [
        [HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT],
        ["2025-01-01T00:01:00Z", HOSTILE_TEXT, 1, 1],
    ]
    path = tmp_path / f"{FILE_NAME}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(header)
        csv.writer(file).writerows(good_rows)
        csv.writer(file).writerows(bad_rows)
    write_schema(tmp_path / FILE_NAME, signal=HOSTILE_TEXT)

    assert run_command("schema", "infer", str(path))
    assert run_command("schema", "check", FILE_NAME, "--data", str(path))
    assert ESCAPED_TEXT in run_command(
        "schema", "infer", f"{FILE_NAME}.csv", "--out", "schema.toml"
    )


def test_config_check_escapes_hostile_settings(run_command: RunCommand, tmp_path: Path) -> None:
    text = json.dumps(HOSTILE_TEXT)
    for name, content in (
        (FILE_NAME, '[registry]\nmodel = "mine"\n'),
        ("known.toml", f"[consumer]\ngroup = {text}\n"),
        ("unknown.toml", f"[topics]\nreadings = {text}\n[{text}]\n{text} = 1\n"),
    ):
        (tmp_path / name).write_text(content)

        assert ESCAPED_TEXT in run_command("config", "check", "--config", name)


def test_config_check_escapes_the_error_of_a_file_that_is_not_toml(
    run_command: RunCommand, tmp_path: Path
) -> None:
    (tmp_path / "broken.toml").write_text(f'a = "{HOSTILE_TEXT}"')

    assert "broken.toml" in run_command("config", "check", "--config", "broken.toml")


def test_produce_escapes_hostile_arguments(run_command: RunCommand) -> None:
    assert ESCAPED_TEXT in run_command("produce", "--rows", "5", "--out", f"{FILE_NAME}.csv")
    assert ESCAPED_TEXT in run_command("produce", "--csv", FILE_NAME, "--stdout")
    assert ESCAPED_TEXT in run_command("produce", "--rows", "5", "--faults", HOSTILE_TEXT)


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
def test_a_hostile_argument_is_escaped_in_the_error(
    run_command: RunCommand, command: tuple[str, ...]
) -> None:
    assert ESCAPED_TEXT in run_command(*command, FILE_NAME)


@pytest.mark.slow
def test_train_and_evaluate_escape_hostile_tables(
    run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORWATCH__TRAINER__TREES", "20")
    header = ["timestamp", "sensor_id", HOSTILE_TEXT]
    with (tmp_path / HOSTILE_TEXT).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in range(2_000):
            time = f"2025-01-{1 + row // 1440:02d}T{row // 60 % 24:02d}:{row % 60:02d}:00Z"
            writer.writerow([time, f"sensor-{HOSTILE_TEXT if row % 500 == 0 else 1}", row % 7])
    write_schema(tmp_path / "schemas" / "default.toml", signal=HOSTILE_TEXT)

    assert "bad_key" in run_command("train", "--data", HOSTILE_TEXT)
    assert ESCAPED_TEXT in run_command("evaluate", "--data", HOSTILE_TEXT)
