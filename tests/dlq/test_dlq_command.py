"""The commands `sensorwatch dlq list`, `show` and `replay` on the embedded broker."""

import base64
import json
from pathlib import Path

import pytest

from sensorwatch.common.kafka.dead_letters import ID_HEADER, REPLAY_COUNT_HEADER
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.kafka.topics import topic_partition_counts
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.commands.command_runner import CommandResult, run_in_process
from tests.dlq.letter_builders import letter_messages, send, write_config
from tests.kafka.record_builders import SENT_AT_MS, StoredRecord, a_payload

pytestmark = pytest.mark.embedded
HOSTILE_VALUE = b'\x1b[2J{"x1": \xff\x00'


class DeadLetterSetup:
    """An embedded broker with dead letters, and a configuration."""

    def __init__(self, broker: EmbeddedBroker, folder: Path) -> None:
        self.address = broker.address
        self.config = write_config(folder, broker.address, delivery="at_least_once")
        for topic in ("sensors", "sensors.dlq"):
            broker.create_topic(topic)
        records = [
            StoredRecord(HOSTILE_VALUE, 5, 2, stored_headers=[("gw\x1b", b"north\x07")]),
            StoredRecord(a_payload(x2="much"), 6, 1, stored_key=b"fan-1"),
            StoredRecord(a_payload(x2="more"), 7, 1, stored_key=b"fan-1"),
        ]
        send(broker.address, letter_messages(records))

    def dlq(self, *args: str | Path) -> CommandResult:
        return run_in_process("dlq", *args, "--config", self.config)

    def replayed(self) -> list[tuple[int | None, bytes | None, bytes | None]]:
        kafka = {"bootstrap.servers": self.address}
        messages = read_topic(kafka, "sensors")
        return sorted((m.partition(), m.key(), m.value()) for m in messages)


@pytest.fixture
def setup(embedded_broker: EmbeddedBroker, tmp_path: Path) -> DeadLetterSetup:
    return DeadLetterSetup(embedded_broker, tmp_path)


def test_list_shows_each_reason_with_its_count_and_an_example(setup: DeadLetterSetup) -> None:
    result = setup.dlq("list", "--json")
    as_table = setup.dlq("list", "--since", "1h", "--where", "reason=wrong_*")

    summaries = [json.loads(line) for line in result.out.splitlines()]
    assert [(s["reason"], s["letters"], s["states"]["waiting"]) for s in summaries] == [
        ("wrong_type", 2, 2),
        ("not_json", 1, 1),
    ]
    assert [example["id"] for example in summaries[0]["examples"]] == ["sensors-1-6", "sensors-1-7"]
    header, row = (line.split("\t") for line in as_table.out.splitlines())
    assert (row[:3], row[-1][3:]) == (
        ["wrong_type", "2", "2"],
        " x2: found 'much', wanted a number",
    )
    assert len(header) == len(row)
    assert "has no such dead letter" in setup.dlq("list", "--sensor", "pump-9").err


def test_show_escapes_the_bytes_of_a_record(setup: DeadLetterSetup, tmp_path: Path) -> None:
    out = tmp_path / "value"

    text = setup.dlq("show", "sensors-2-5", "--out", out).out
    values = json.loads(setup.dlq("show", "sensors-2-5", "--json").out)

    assert text.splitlines()[-1] == r'\x1b[2J{"x1": \xff\x00'
    assert r"  header gw\x1b: north\x07" in text.splitlines()
    assert "first rejected: 2025-02-03T04:05:06Z, sensors-2-5, replayed 0 times since" in text
    assert "\x1b" not in text
    assert base64.b64decode(values["value_base64"]) == HOSTILE_VALUE
    assert values["origin"]["offset"] == 5
    assert out.read_bytes() == HOSTILE_VALUE
    assert setup.dlq("show", values["position"]).out == text
    assert setup.dlq("show", "sensors-2-5", "--out", out).code == 2, "the file exists"
    missing = setup.dlq("show", "9:9")
    assert (missing.code, "PARTITION:OFFSET" in missing.err) == (2, True)


def test_show_shortens_a_long_value(setup: DeadLetterSetup) -> None:
    send(setup.address, letter_messages([StoredRecord(b"[" * 5_000, 8)]))

    short, complete = (
        setup.dlq("show", "sensors-0-8", *options).out.splitlines()[-1]
        for options in ((), ("--complete",))
    )

    assert short == "[" * 4_096 + "... (904 more bytes: use --complete)"
    assert complete == "[" * 5_000


def test_replay_sends_each_selected_letter_once(setup: DeadLetterSetup) -> None:
    dry_run = setup.dlq("replay", "--where", "reason=wrong_type", "--dry-run")
    assert dry_run.out == "2 of 2 selected dead letters would be replayed into sensors\n"
    assert not setup.replayed()
    assert "sensors.dlq.replays" not in topic_partition_counts({"bootstrap.servers": setup.address})

    first = setup.dlq("replay", "--where", "reason=wrong_type")
    second = setup.dlq("replay", "--json")
    third = setup.dlq("replay")

    assert first.out == "2 of 2 selected dead letters replayed into sensors\n"
    report = json.loads(second.out)
    assert (report["replayed"], report["left"]["replayed"]) == (1, 2)
    assert third.out == (
        "0 of 3 selected dead letters replayed into sensors\n  3 were replayed before\n"
    )
    assert setup.replayed() == [
        (1, b"fan-1", a_payload(x2="more")),
        (1, b"fan-1", a_payload(x2="much")),
        (2, b"pump-7", HOSTILE_VALUE),
    ]
    states = json.loads(setup.dlq("list", "--json").out.splitlines()[0])["states"]
    assert (states["waiting"], states["replayed"]) == (0, 2)


def test_replay_sends_what_the_program_writes(setup: DeadLetterSetup, tmp_path: Path) -> None:
    script = tmp_path / "fix.sh"
    script.write_text('#!/bin/sh\ntest "$DLQ_REASON" = wrong_type && sed \'s/"much"/2/\'\n')
    script.chmod(0o755)

    result = setup.dlq("replay", "--fix", script)

    assert result.code == 1
    assert "2 of 3 selected dead letters replayed into sensors" in result.out
    assert "1 cannot be sent, for example:\n    " in result.out
    assert [value for _, _, value in setup.replayed()] == [a_payload(x2="more"), a_payload(x2=2)]
    assert setup.dlq("replay").out.startswith("1 of 3 selected"), "the third one is still there"


def test_a_letter_at_the_limit_of_attempts_is_in_quarantine(setup: DeadLetterSetup) -> None:
    send(setup.address, [a_message_with_attempts(2)])
    selection = ("--where", "id=sensors-0-9")

    limited = setup.dlq("replay", *selection, "--max-attempts", "2")
    states = json.loads(setup.dlq("list", *selection, "--max-attempts", "2", "--json").out)[
        "states"
    ]

    assert limited.out.splitlines() == [
        "0 of 1 selected dead letters replayed into sensors",
        "  1 were rejected again after each replay: raise --max-attempts",
    ]
    assert states["quarantined"] == 1
    assert setup.dlq("replay", *selection).out.startswith("1 of 1 selected")


def a_message_with_attempts(attempts: int) -> OutgoingMessage:
    headers = [(ID_HEADER, b"sensors-0-9"), (REPLAY_COUNT_HEADER, b"%d" % attempts)]
    return OutgoingMessage("sensors.dlq", b"pump-7", b"{", [*headers])


@pytest.mark.parametrize("field", ["@timestamp", "timestamp"])
def test_the_original_timestamp_is_kept_if_the_schema_reads_it(
    setup: DeadLetterSetup, tmp_path: Path, field: str
) -> None:
    schema = tmp_path / "mine.toml"
    schema.write_text(
        f'[time]\nfield = "{field}"\nformat = "epoch_ms"\n[[signals]]\nname = "x1"\n',
        encoding="utf-8",
    )
    with setup.config.open("a", encoding="utf-8") as file:
        file.write(f'[schema]\npath = "{schema}"\n')

    assert setup.dlq("replay", "--max", "1").code == 0

    (message,) = read_topic({"bootstrap.servers": setup.address}, "sensors")
    is_original = message.timestamp()[1] == SENT_AT_MS
    assert is_original == (field == "@timestamp")
