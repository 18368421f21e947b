"""The command `sensorwatch models`: its output, its effects and its exit codes."""

import contextlib
import io
import json
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sensorwatch.cli import build_app
from sensorwatch.commands import versions_in_use
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

PARTITION = Partition("sensors", 0)
LEDGER_TOPIC = "sensorwatch.ledger"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return a_registry(tmp_path, versions=3)


def _run_models(folder: Path, *args: str) -> CommandResult:
    return run_in_process("models", *args, folder=folder)


def _version_at(registry: Registry, position: int) -> str:
    return registry.version_ids(NAME)[position]


def test_list_shows_every_version_with_alias_and_report(registry: Registry, tmp_path: Path) -> None:
    first_version, second_version, _ = registry.version_ids(NAME)
    registry.attach_report(NAME, second_version, {"passed": True})

    result = _run_models(tmp_path, "list")

    header, *lines = [line.split("\t") for line in result.out.splitlines()]
    assert result.code == 0
    assert header[:2] == ["version", "alias"]
    assert [(line[0], line[1], line[-1]) for line in lines] == [
        (first_version, "champion", "none"),
        (second_version, "", "passed"),
        (_version_at(registry, 2), "", "none"),
    ]


def test_list_as_json_marks_a_damaged_version(registry: Registry, tmp_path: Path) -> None:
    (folder_of(tmp_path, _version_at(registry, 1)) / "manifest.json").write_text("{")

    listed_versions = json.loads(_run_models(tmp_path, "list", "--json").out)

    assert [row["report"] for row in listed_versions] == ["none", "damaged", "none"]
    assert [row["version"] for row in listed_versions] == registry.version_ids(NAME)


def test_list_warns_about_a_damaged_alias_file_and_shows_the_versions(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "registry" / NAME / "aliases.json").write_text("{")

    result = _run_models(tmp_path, "list")

    assert (result.code, len(result.out.splitlines())) == (0, 4)
    assert "warning: the alias file" in result.err


def test_on_a_terminal_the_list_shows_ids_that_can_be_copied(
    registry: Registry, tmp_path: Path
) -> None:
    terminal = _Terminal()

    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(terminal):
        assert run(build_app(), ["models", "list"], name="sensorwatch") == 0

    assert all(version in terminal.getvalue() for version in registry.version_ids(NAME))


def test_an_empty_registry_says_how_to_fill_it(tmp_path: Path) -> None:
    result = _run_models(tmp_path, "list")

    assert (result.code, result.out) == (0, "")
    assert "`sensorwatch train` creates one" in result.err


def test_show_prints_manifest_aliases_and_report(registry: Registry, tmp_path: Path) -> None:
    registry.attach_report(NAME, "champion", {"passed": True, "recall": 0.9})

    shown_model = json.loads(_run_models(tmp_path, "show").out)

    assert shown_model["manifest"]["id"] == _version_at(registry, 0)
    assert shown_model["manifest"]["schema"]["name"] == "default"
    assert shown_model["aliases"] == ["champion"]
    assert shown_model["report"]["recall"] == 0.9


def test_promote_without_a_report_ends_with_1_and_says_what_to_do(
    registry: Registry, tmp_path: Path
) -> None:
    result = _run_models(tmp_path, "promote", _version_at(registry, 1))

    assert result.code == 1
    assert result.err.startswith("error: ")
    assert "it has no report" in result.err
    assert "--force --reason" in result.err


def test_promote_with_force_needs_a_reason_which_is_logged(
    registry: Registry, tmp_path: Path
) -> None:
    version = _version_at(registry, 1)

    assert _run_models(tmp_path, "promote", version, "--force").code == 2
    assert _run_models(tmp_path, "promote", version, "--force", "--reason", "plant down").code == 0

    assert registry.aliases(NAME)["champion"] == version
    assert "plant down (forced: it has no report)" in _run_models(tmp_path, "audit").out
    assert "@" in registry.audit(NAME)[-1].who


def test_promote_refuses_a_damaged_version_with_6(registry: Registry, tmp_path: Path) -> None:
    version = _version_at(registry, 1)
    (folder_of(tmp_path, version) / "arrays.npz").write_bytes(b"")

    assert _run_models(tmp_path, "promote", version, "--force", "--reason", "x").code == 6


def test_rollback_restores_the_previous_champion(registry: Registry, tmp_path: Path) -> None:
    first_version, second_version, _ = registry.version_ids(NAME)
    _run_models(tmp_path, "promote", second_version, "--force", "--reason", "x")

    result = _run_models(tmp_path, "rollback", "--reason", "worse")

    assert (result.code, result.out) == (0, f"{first_version} is the champion of default again\n")
    assert registry.audit(NAME)[-1].why == "worse"


def test_verify_names_the_damaged_versions_and_ends_with_1(
    registry: Registry, tmp_path: Path
) -> None:
    second_version = _version_at(registry, 1)
    assert _run_models(tmp_path, "verify").code == 0
    (folder_of(tmp_path, second_version) / "golden.npz").write_bytes(b"")

    result = _run_models(tmp_path, "verify")

    assert result.code == 1
    assert result.out.count(": sound") == 2
    assert f"1 of 3 versions are damaged: {second_version}" in result.err
    assert _run_models(tmp_path, "verify", "champion").code == 0


def test_audit_ends_with_1_when_the_log_was_tampered_with(
    registry: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "registry" / NAME / "audit.jsonl"
    assert "the chain is intact" in _run_models(tmp_path, "audit").err
    path.write_text(path.read_text().replace('"why":"test"', '"why":"tset"', 1))

    result = _run_models(tmp_path, "audit", "--json")

    assert result.code == 1
    assert len(json.loads(result.out)) == 4
    assert "line 2 does not match the digest of the line before it" in result.err


def test_the_audit_of_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    """A mistyped path of the registry must not look like an intact log."""
    result = _run_models(tmp_path, "audit")

    assert result.code == 2
    assert "has no version" in result.err
    assert not (tmp_path / "registry").exists()


def test_prune_deletes_old_versions_but_none_in_use(registry: Registry, tmp_path: Path) -> None:
    first_version, second_version, third_version = registry.version_ids(NAME)

    result = _run_models(tmp_path, "prune", "--keep", "0", "--in-use", third_version, "--offline")

    assert (result.code, result.out) == (0, f"deleted {second_version}\n")
    assert registry.version_ids(NAME) == [first_version, third_version]


@pytest.mark.embedded
def test_prune_keeps_versions_named_by_the_ledger_or_a_committed_account(
    registry: Registry,
    tmp_path: Path,
    embedded_broker: EmbeddedBroker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in (3, 4):
        registry.register(NAME, a_candidate(seed=7 + number), who=WHO, why="test")
    (
        first_version,
        recorded_version,
        unnamed_version,
        version_of_another_group,
        committed_version,
    ) = registry.version_ids(NAME)
    _publish_group_state(
        embedded_broker,
        [("sensorwatch", recorded_version), ("other", version_of_another_group)],
        committed_version,
    )
    monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", embedded_broker.address)

    result = _run_models(tmp_path, "prune", "--keep", "0")

    assert result.code == 0, result.err
    assert result.out.split() == ["deleted", unnamed_version, "deleted", version_of_another_group]
    assert registry.version_ids(NAME) == [first_version, recorded_version, committed_version]


def _publish_group_state(
    broker: EmbeddedBroker, recorded_versions: list[tuple[str, str]], committed_version: str
) -> None:
    """Write a ledger record per group and version, and commit an account of `committed_version`."""
    broker.create_topic("sensors")
    producer = Producer({"bootstrap.servers": broker.address})
    for group, version in recorded_versions:
        record = ledger_message(LEDGER_TOPIC, group, PARTITION, _account(version), Cause.MODEL)
        producer.produce(record.topic, record.value, record.key)
    producer.flush()
    offset_with_account = TopicPartition(
        "sensors", 0, 0, metadata=to_metadata(_account(committed_version))
    )
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "sensorwatch"})
    consumer.commit(offsets=[offset_with_account], asynchronous=False)
    consumer.close()


def _account(version: str) -> Account:
    return open_account(0, model_version=version, fingerprint="f")


def test_prune_deletes_no_version_if_the_ledger_cannot_be_read(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_broker_unavailable(*_args: object, **_options: object) -> NoReturn:
        raise BrokerUnavailable("no answer from the broker")

    monkeypatch.setattr(versions_in_use, "committed_accounts", raise_broker_unavailable)

    result = _run_models(tmp_path, "prune", "--keep", "0")

    assert result.code == 3
    assert 'the group "sensorwatch" needs are unknown: no answer from the broker' in result.err
    assert "--offline" in result.err
    assert len(registry.version_ids(NAME)) == 3


@pytest.mark.parametrize(
    "args", [("show",), ("promote", "x"), ("rollback",), ("prune", "--keep", "1"), ("verify",)]
)
def test_an_unknown_model_is_named_and_nothing_is_created(
    registry: Registry, tmp_path: Path, args: tuple[str, ...]
) -> None:
    result = _run_models(tmp_path, *args, "--model", "other")

    assert result.code in (2, 6)
    assert "other" in result.err
    assert not (tmp_path / "registry" / "other").exists()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
