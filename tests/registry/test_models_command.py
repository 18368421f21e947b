"""`sensorwatch models`: what a person sees and may do."""

import contextlib
import io
import json
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sensorwatch.cli import build_app
from sensorwatch.commands import versions_in_use as named_versions
from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.command_line import run
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.commands.command_runner import CommandResult, run_in_process
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO, a_registry, folder_of

ZERO = Partition("sensors", 0)
LEDGER = "sensorwatch.ledger"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return a_registry(tmp_path, versions=3)


def _models(folder: Path, *args: str) -> CommandResult:
    return run_in_process("models", *args, folder=folder)


def _version(registry: Registry, position: int) -> str:
    return registry.version_ids(NAME)[position]


def test_list_shows_every_version_with_alias_and_report(registry: Registry, tmp_path: Path) -> None:
    first, second, _ = registry.version_ids(NAME)
    registry.attach_report(NAME, second, {"passed": True})

    ended = _models(tmp_path, "list")

    header, *lines = [line.split("\t") for line in ended.out.splitlines()]
    assert ended.code == 0
    assert header[:2] == ["version", "alias"]
    assert [(line[0], line[1], line[-1]) for line in lines] == [
        (first, "champion", "none"),
        (second, "", "passed"),
        (_version(registry, 2), "", "none"),
    ]


def test_list_as_json_and_a_damaged_version_in_it(registry: Registry, tmp_path: Path) -> None:
    (folder_of(tmp_path, _version(registry, 1)) / "manifest.json").write_text("{")

    listed = json.loads(_models(tmp_path, "list", "--json").out)

    assert [row["report"] for row in listed] == ["none", "damaged", "none"]
    assert [row["version"] for row in listed] == registry.version_ids(NAME)


def test_list_goes_on_past_a_damaged_alias_file(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "registry" / NAME / "aliases.json").write_text("{")

    ended = _models(tmp_path, "list")

    assert (ended.code, len(ended.out.splitlines())) == (0, 4)
    assert "warning: the alias file" in ended.err


def test_on_a_terminal_the_list_shows_ids_that_can_be_copied(
    registry: Registry, tmp_path: Path
) -> None:
    terminal = _Terminal()

    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(terminal):
        assert run(build_app(), ["models", "list"], name="sensorwatch") == 0

    assert all(version in terminal.getvalue() for version in registry.version_ids(NAME))


def test_an_empty_registry_says_how_to_fill_it(tmp_path: Path) -> None:
    ended = _models(tmp_path, "list")

    assert (ended.code, ended.out) == (0, "")
    assert "`sensorwatch train` creates one" in ended.err


def test_show_prints_manifest_aliases_and_report(registry: Registry, tmp_path: Path) -> None:
    registry.attach_report(NAME, "champion", {"passed": True, "recall": 0.9})

    shown = json.loads(_models(tmp_path, "show").out)

    assert shown["manifest"]["id"] == _version(registry, 0)
    assert shown["manifest"]["schema"]["name"] == "default"
    assert shown["aliases"] == ["champion"]
    assert shown["report"]["recall"] == 0.9


def test_promote_without_a_report_ends_with_1_and_says_what_to_do(
    registry: Registry, tmp_path: Path
) -> None:
    ended = _models(tmp_path, "promote", _version(registry, 1))

    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert "it has no report" in ended.err
    assert "--force --reason" in ended.err


def test_promote_by_force_needs_a_reason_which_the_audit_log_keeps(
    registry: Registry, tmp_path: Path
) -> None:
    version = _version(registry, 1)

    assert _models(tmp_path, "promote", version, "--force").code == 2
    assert _models(tmp_path, "promote", version, "--force", "--reason", "plant down").code == 0

    assert registry.aliases(NAME)["champion"] == version
    assert "plant down (forced: it has no report)" in _models(tmp_path, "audit").out
    assert "@" in registry.audit(NAME)[-1].who


def test_promote_refuses_a_damaged_version_with_6(registry: Registry, tmp_path: Path) -> None:
    version = _version(registry, 1)
    (folder_of(tmp_path, version) / "arrays.npz").write_bytes(b"")

    assert _models(tmp_path, "promote", version, "--force", "--reason", "x").code == 6


def test_rollback_goes_back(registry: Registry, tmp_path: Path) -> None:
    first, second, _ = registry.version_ids(NAME)
    _models(tmp_path, "promote", second, "--force", "--reason", "x")

    ended = _models(tmp_path, "rollback", "--reason", "worse")

    assert (ended.code, ended.out) == (0, f"{first} is the champion of default again\n")
    assert registry.audit(NAME)[-1].why == "worse"


def test_verify_names_what_is_damaged_and_ends_with_1(registry: Registry, tmp_path: Path) -> None:
    second = _version(registry, 1)
    assert _models(tmp_path, "verify").code == 0
    (folder_of(tmp_path, second) / "golden.npz").write_bytes(b"")

    ended = _models(tmp_path, "verify")

    assert ended.code == 1
    assert ended.out.count(": sound") == 2
    assert f"1 of 3 versions are damaged: {second}" in ended.err
    assert _models(tmp_path, "verify", "champion").code == 0


def test_audit_ends_with_1_when_the_log_was_tampered_with(
    registry: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "registry" / NAME / "audit.jsonl"
    assert "the chain is intact" in _models(tmp_path, "audit").err
    path.write_text(path.read_text().replace('"why":"test"', '"why":"tset"', 1))

    ended = _models(tmp_path, "audit", "--json")

    assert ended.code == 1
    assert len(json.loads(ended.out)) == 4
    assert "line 2 does not match the digest of the line before it" in ended.err


def test_prune_deletes_the_old_but_not_what_is_used(registry: Registry, tmp_path: Path) -> None:
    first, second, third = registry.version_ids(NAME)

    ended = _models(tmp_path, "prune", "--keep", "0", "--in-use", third, "--offline")

    assert (ended.code, ended.out) == (0, f"deleted {second}\n")
    assert registry.version_ids(NAME) == [first, third]


@pytest.mark.embedded
def test_prune_keeps_what_the_ledger_or_a_committed_account_names(
    registry: Registry,
    tmp_path: Path,
    embedded_broker: EmbeddedBroker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in (3, 4):
        registry.register(NAME, a_candidate(seed=7 + number), who=WHO, why="test")
    first, recorded, unnamed, of_another_group, committed = registry.version_ids(NAME)
    _publish_group_state(
        embedded_broker, [("sensorwatch", recorded), ("other", of_another_group)], committed
    )
    monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", embedded_broker.address)

    ended = _models(tmp_path, "prune", "--keep", "0")

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["deleted", unnamed, "deleted", of_another_group]
    assert registry.version_ids(NAME) == [first, recorded, committed]


def _publish_group_state(
    broker: EmbeddedBroker, recorded: list[tuple[str, str]], committed: str
) -> None:
    """Write ledger records, each of a group and a version, and commit an account of another."""
    broker.create_topic("sensors")
    producer = Producer({"bootstrap.servers": broker.address})
    for group, version in recorded:
        messages = ledger_message(LEDGER, group, ZERO, _account(version), Cause.MODEL)
        producer.produce(messages.topic, messages.value, messages.key)
    producer.flush()
    at = TopicPartition("sensors", 0, 0, metadata=to_metadata(_account(committed)))
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "sensorwatch"})
    consumer.commit(offsets=[at], asynchronous=False)
    consumer.close()


def _account(version: str) -> Account:
    return open_account(0, model_version=version, fingerprint="f")


def test_prune_deletes_nothing_while_the_ledger_cannot_be_read(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*_args: object, **_options: object) -> NoReturn:
        raise BrokerUnavailable("no answer from the broker")

    monkeypatch.setattr(named_versions, "committed_accounts", no_answer)

    ended = _models(tmp_path, "prune", "--keep", "0")

    assert ended.code == 3
    assert 'the group "sensorwatch" needs are unknown: no answer from the broker' in ended.err
    assert "--offline" in ended.err
    assert len(registry.version_ids(NAME)) == 3


@pytest.mark.parametrize(
    "args", [("show",), ("promote", "x"), ("rollback",), ("prune", "--keep", "1"), ("verify",)]
)
def test_an_unknown_model_is_named_and_nothing_is_created(
    registry: Registry, tmp_path: Path, args: tuple[str, ...]
) -> None:
    ended = _models(tmp_path, *args, "--model", "other")

    assert ended.code in (2, 6)
    assert "other" in ended.err
    assert not (tmp_path / "registry" / "other").exists()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
