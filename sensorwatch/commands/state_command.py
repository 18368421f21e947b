"""`sensorwatch state`: show what the memory of a group holds, and let it begin anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.commands.console_table import print_table
from sensorwatch.commands.ledger_command import GroupOption, JsonOption
from sensorwatch.common.errors import ModelRefused, StateRefused, UsageError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line

if TYPE_CHECKING:
    from sensorwatch.common.kafka.records import Partition
    from sensorwatch.common.ledger.account import Account
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.state.account_reset import AccountSettings, Reset
    from sensorwatch.state.committed_accounts import CommittedAccount
    from sensorwatch.state.snapshot_summary import SnapshotSummary

app = typer_app(help="Show the sensors' memory, and let it begin anew.", no_args_is_help=True)
COLUMNS = ("partition", "offset", "snapshot", "age", "sensors", "episodes", "warming up", "bytes")


@dataclass(frozen=True, slots=True)
class _GroupState:
    """Where a group stands, partition by partition."""

    committed_accounts_by_partition: dict[Partition, CommittedAccount]
    ledger_accounts: dict[Partition, Account]
    """By its ledger."""
    partitions: int
    state_partitions: int

    @property
    def known_partitions(self) -> list[Partition]:
        return sorted({*self.committed_accounts_by_partition, *self.ledger_accounts})

    def account(self, partition_key: Partition) -> Account | None:
        """The newest one that is known: the committed one, else the ledger's."""
        committed_account = self.committed_accounts_by_partition.get(partition_key)
        committed = None if committed_account is None else committed_account.account
        return committed or self.ledger_accounts.get(partition_key)


@app.command()
def show(
    config: ConfigOption = None, group: GroupOption = None, as_json: JsonOption = False
) -> None:
    """Show for each partition what its newest snapshot holds, and how old that is in records."""
    settings = _settings(config, group)
    group_state = _read_group_state(settings)
    rows = [
        (partition_key, group_state.committed_accounts_by_partition.get(partition_key), summary)
        for partition_key, summary in _snapshot_summaries(settings, group_state).items()
    ]
    if as_json:
        for row in rows:
            print_json(_row_values(*row))
        return
    print_table(
        (*COLUMNS, "model"), [_table_cells(*row) for row in rows], unbroken_column="partition"
    )


@app.command()
def reset(
    config: ConfigOption = None,
    group: GroupOption = None,
    partition: Annotated[
        list[int] | None, typer.Option(help="Only this partition; may be given several times.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="earliest|latest|OFFSET", help="Begin there, and not where the group stands."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only say what.")] = False,
) -> None:
    """Begin with a cold memory and a new account, and say what is lost by it.

    For a group whose memory cannot be restored. Stop its consumers first.
    """
    from sensorwatch.common.kafka.topic_reader import watermarks
    from sensorwatch.common.kafka.topics import extend_topic
    from sensorwatch.state.account_commit import require_no_members
    from sensorwatch.state.account_reset import lost_by_reset, plan_reset

    settings = _settings(config, group)
    require_no_members(settings)
    group_state = _read_group_state(settings)
    partitions_to_reset = _partitions_to_reset(group_state, partition)
    retained, account_settings = (
        watermarks(settings.kafka, settings.topics.readings),
        _account_settings(settings),
    )
    resets = [
        plan_reset(
            partition_key,
            group_state.committed_accounts_by_partition.get(partition_key),
            retained[partition_key.number],
            to,
            account_settings,
        )
        for partition_key in partitions_to_reset
    ]
    summary = _snapshot_summaries(settings, group_state)
    for reset_plan in resets:
        for report_fields in lost_by_reset(reset_plan, summary[reset_plan.partition]):
            print_line(report_fields)
    needs_partitions = group_state.partitions > group_state.state_partitions
    if needs_partitions:
        print_line(
            f'"{settings.state_topic}" gets {group_state.partitions} partitions, as the readings have '
            f"(now {group_state.state_partitions})"
        )
    if not yes:
        raise UsageError("nothing was committed; say --yes to begin anew there")
    if needs_partitions:
        extend_topic(settings.kafka, settings.state_topic, group_state.partitions)
    _commit(settings, resets)


def _commit(settings: Settings, resets: list[Reset]) -> None:
    from sensorwatch.state.account_commit import commit_accounts

    accounts = {reset_plan.partition: reset_plan.account for reset_plan in resets}
    commit_accounts(
        settings,
        accounts,
        [ledger_entry for reset_plan in resets for ledger_entry in reset_plan.ledger_entries],
    )
    print_line(f"{len(accounts)} partitions of {settings.consumer.group} begin anew")


def _settings(config: Any, group: str | None) -> Settings:
    from sensorwatch.common.runtime.settings import load_settings

    return load_settings(config, overrides={"consumer.group": group}).settings


def _read_group_state(settings: Settings) -> _GroupState:
    from sensorwatch.common.kafka.ledger_topic import by_partition, read_ledger
    from sensorwatch.common.kafka.topics import require_topics
    from sensorwatch.state.committed_accounts import committed_accounts

    kafka, group, topic = settings.kafka, settings.consumer.group, settings.topics.readings
    counts = require_topics(kafka, [topic, settings.state_topic])
    ledger = by_partition(read_ledger(kafka, settings.ledger_topic, group=group))
    group_state = _GroupState(
        committed_accounts(kafka, topic, group=group),
        {
            partition_key: records[-1].account
            for partition_key, records in ledger.items()
            if partition_key.topic == topic
        },
        counts[topic],
        counts[settings.state_topic],
    )
    if not group_state.known_partitions:
        raise UsageError(
            f'the group "{group}" has no account of the topic "{topic}", and so no memory: correct '
            "--group or [topics] readings"
        )
    return group_state


def _partitions_to_reset(group_state: _GroupState, numbers: list[int] | None) -> list[Partition]:
    """Return the partitions that are asked for; raises UsageError where they cannot be reset."""
    if group_state.partitions < group_state.state_partitions:
        raise UsageError(
            f"the state's topic has {group_state.state_partitions} partitions, and the readings have "
            f"{group_state.partitions}: delete it, let `sensorwatch topics create` make it anew, and "
            "reset then"
        )
    requested_partitions = set(numbers or [])
    if requested_partitions and group_state.partitions != group_state.state_partitions:
        raise UsageError(
            f"the readings got partitions ({group_state.state_partitions} before, {group_state.partitions} "
            "now), and sensors may have moved between all of them: leave --partition out"
        )
    unknown_partitions = requested_partitions - {
        partition_key.number for partition_key in group_state.known_partitions
    }
    if unknown_partitions:
        raise UsageError(
            f"the group has no account of partition {min(unknown_partitions)}: correct it"
        )
    return [
        partition_key
        for partition_key in group_state.known_partitions
        if not requested_partitions or partition_key.number in requested_partitions
    ]


def _account_settings(settings: Settings) -> AccountSettings:
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.runtime.fingerprint import fingerprint
    from sensorwatch.state.account_reset import AccountSettings

    try:
        version = Registry(settings.registry.path).resolve(settings.registry.model, "champion")
    except ModelRefused:
        version = ""  # the worker will say what it scores by
    options = settings.consumer
    return AccountSettings(version, fingerprint(), options.breaker.window_rows, options.max_sensors)


def _snapshot_summaries(
    settings: Settings, group_state: _GroupState
) -> dict[Partition, SnapshotSummary | str | None]:
    """Return for each partition what its snapshot holds, or why that cannot be said."""
    from sensorwatch.proof.proof_inputs import connect_proof_inputs
    from sensorwatch.state.snapshot_summary import inventory

    # Of the state's topic, which has as many as the readings had when the snapshots were made.
    proof_sources = connect_proof_inputs(settings, partitions=group_state.state_partitions)
    summary: dict[Partition, SnapshotSummary | str | None] = {}
    for partition_key in group_state.known_partitions:
        try:
            summary[partition_key] = inventory(
                partition_key, group_state.account(partition_key), proof_sources
            )
        except (StateRefused, ModelRefused) as error:
            summary[partition_key] = str(error).partition(". Nothing was scored")[0]
    return summary


def _row_values(
    partition_key: Partition,
    committed_account: CommittedAccount | None,
    summary: SnapshotSummary | str | None,
) -> dict[str, Any]:
    from sensorwatch.state.snapshot_summary import SnapshotSummary

    offset = None if committed_account is None else committed_account.offset
    report_fields: Mapping[str, Any] = {}
    if isinstance(summary, SnapshotSummary):
        age = None if offset is None else offset - summary.next_offset
        report_fields = {"snapshot": asdict(summary), "age_records": age}
    elif summary is not None:
        report_fields = {"refused": summary}
    return {
        "topic": partition_key.topic,
        "partition": partition_key.number,
        "committed": offset,
        **report_fields,
    }


def _table_cells(
    partition_key: Partition,
    committed_account: CommittedAccount | None,
    summary: SnapshotSummary | str | None,
) -> list[str]:
    from sensorwatch.state.snapshot_summary import SnapshotSummary

    offset = "lost" if committed_account is None else str(committed_account.offset)
    if not isinstance(summary, SnapshotSummary):
        return [str(partition_key), offset, *["-"] * 6, summary or "nothing written down yet"]
    age = "?" if committed_account is None else str(committed_account.offset - summary.next_offset)
    counts = (
        summary.next_offset,
        age,
        summary.sensors,
        summary.open_episodes,
        summary.warming_up,
        summary.bytes,
    )
    return [str(partition_key), offset, *(str(count) for count in counts), summary.model_version]
