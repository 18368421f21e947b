"""The command `sensorwatch state`: show a group's memory, or reset the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.commands.group_options import GroupOption, JsonOption, YesOption, group_settings
from sensorwatch.common.errors import ModelRefused, StateRefused, UsageError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line

if TYPE_CHECKING:
    from sensorwatch.common.kafka.committed_accounts import CommittedAccount
    from sensorwatch.common.kafka.records import Partition
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.state.account_reset import AccountSettings, Reset
    from sensorwatch.state.group_state import GroupState
    from sensorwatch.state.snapshot_summary import SnapshotSummary


app = typer_app(help="Show the memory of the sensors, or reset it.", no_args_is_help=True)
COLUMNS = ("partition", "offset", "snapshot", "age", "sensors", "episodes", "warming up", "bytes")


@app.command()
def show(
    config: ConfigOption = None, group: GroupOption = None, as_json: JsonOption = False
) -> None:
    """Show what the newest snapshot of each partition contains, and how many records old it is."""
    from sensorwatch.commands.console_table import print_table
    from sensorwatch.state.group_state import read_group_state

    settings = group_settings(config, group)
    group_state = read_group_state(settings)
    rows = [
        (partition, group_state.committed_accounts.get(partition), summary)
        for partition, summary in _snapshot_summaries(settings, group_state).items()
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
        list[int] | None, typer.Option(help="Reset only this partition (repeatable).")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="earliest|latest|OFFSET",
            help="First offset to score. Default: the committed offset.",
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Give partitions a cold memory and a new account, and print what is lost.

    Use this command if the memory of a group cannot be restored. Stop the consumers of the group
    first.
    """
    from sensorwatch.common.kafka.topics import extend_topic
    from sensorwatch.state.account_commit import require_no_members
    from sensorwatch.state.account_reset import lost_by_reset
    from sensorwatch.state.group_state import read_group_state

    settings = group_settings(config, group)
    require_no_members(settings)
    group_state = read_group_state(settings)
    resets = _plan_resets(settings, group_state, _partitions_to_reset(group_state, partition), to)
    summaries = _snapshot_summaries(settings, group_state)
    for planned_reset in resets:
        for line in lost_by_reset(planned_reset, summaries[planned_reset.partition]):
            print_line(line)
    needs_partitions = group_state.partitions > group_state.state_partitions
    if needs_partitions:
        print_line(
            f'"{settings.state_topic}" gets {group_state.partitions} partitions, like the readings '
            f"(now {group_state.state_partitions})"
        )
    if not yes:
        raise UsageError("nothing was committed; add --yes to reset these partitions")
    if needs_partitions:
        extend_topic(settings.kafka, settings.state_topic, group_state.partitions)
    _commit(settings, resets)


def _plan_resets(
    settings: Settings, group_state: GroupState, partitions: list[Partition], to: str | None
) -> list[Reset]:
    from sensorwatch.common.kafka.topic_reader import watermarks
    from sensorwatch.state.account_reset import plan_reset

    retained_ranges = watermarks(settings.kafka, settings.topics.readings)
    account_settings = _account_settings(settings)
    return [
        plan_reset(
            partition,
            group_state.committed_accounts.get(partition),
            retained_ranges[partition.number],
            to,
            account_settings,
        )
        for partition in partitions
    ]


def _commit(settings: Settings, resets: list[Reset]) -> None:
    from sensorwatch.state.account_commit import commit_accounts

    accounts = {reset.partition: reset.account for reset in resets}
    entries = [entry for reset in resets for entry in reset.ledger_entries]
    commit_accounts(settings, accounts, entries)
    print_line(f"reset {len(accounts)} partitions of {settings.consumer.group}")


def _partitions_to_reset(
    group_state: GroupState, partition_numbers: list[int] | None
) -> list[Partition]:
    """Return the requested partitions. Raises UsageError if a partition cannot be reset."""
    readings_count, state_count = group_state.partitions, group_state.state_partitions
    if readings_count < state_count:
        raise UsageError(
            f"the state topic has {state_count} partitions, but the readings have "
            f"{readings_count}: delete the state topic, create it again with "
            "`sensorwatch topics create`, and then reset"
        )
    requested_numbers = set(partition_numbers or [])
    if requested_numbers and readings_count != state_count:
        raise UsageError(
            f"partitions were added to the readings ({state_count} before, {readings_count} now), "
            "so sensors may have moved between all of them: omit --partition"
        )
    unknown_numbers = requested_numbers - {
        partition.number for partition in group_state.known_partitions
    }
    if unknown_numbers:
        raise UsageError(
            f"the group has no account of partition {min(unknown_numbers)}: correct --partition"
        )
    return [
        partition
        for partition in group_state.known_partitions
        if not requested_numbers or partition.number in requested_numbers
    ]


def _account_settings(settings: Settings) -> AccountSettings:
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.runtime.fingerprint import fingerprint
    from sensorwatch.common.runtime.sensor_settings import silence_rule
    from sensorwatch.state.account_reset import AccountSettings

    try:
        version = Registry(settings.registry.path).resolve(settings.registry.model, "champion")
    except ModelRefused:
        version = ""  # A worker later writes its model version into the account.
    consumer_settings = settings.consumer
    return AccountSettings(
        version,
        fingerprint(),
        consumer_settings.breaker.window_rows,
        consumer_settings.max_sensors,
        silence_rule(settings.sensors),
    )


def _snapshot_summaries(
    settings: Settings, group_state: GroupState
) -> dict[Partition, SnapshotSummary | str | None]:
    """Return the summary of each partition's snapshot.

    The value is a text with the reason if the snapshot cannot be read, and None if there is no
    snapshot.
    """
    from sensorwatch.proof.proof_inputs import connect_proof_inputs
    from sensorwatch.state.snapshot_summary import summarize_snapshot

    # The state topic still has the number of partitions that the readings' topic had when the
    # snapshots were written.
    inputs = connect_proof_inputs(settings, partitions=group_state.state_partitions)
    summaries: dict[Partition, SnapshotSummary | str | None] = {}
    for partition in group_state.known_partitions:
        try:
            summaries[partition] = summarize_snapshot(
                partition, group_state.account(partition), inputs
            )
        except (StateRefused, ModelRefused) as error:
            summaries[partition] = str(error).partition(". Nothing was scored")[0]
    return summaries


def _row_values(
    partition: Partition,
    committed: CommittedAccount | None,
    summary: SnapshotSummary | str | None,
) -> dict[str, Any]:
    from sensorwatch.state.snapshot_summary import SnapshotSummary

    offset = None if committed is None else committed.offset
    snapshot_values: Mapping[str, Any] = {}
    if isinstance(summary, SnapshotSummary):
        age = None if offset is None else offset - summary.next_offset
        snapshot_values = {"snapshot": asdict(summary), "age_records": age}
    elif summary is not None:
        snapshot_values = {"refused": summary}
    return {
        "topic": partition.topic,
        "partition": partition.number,
        "committed": offset,
        **snapshot_values,
    }


def _table_cells(
    partition: Partition,
    committed: CommittedAccount | None,
    summary: SnapshotSummary | str | None,
) -> list[str]:
    from sensorwatch.state.snapshot_summary import SnapshotSummary

    offset = "lost" if committed is None else str(committed.offset)
    if not isinstance(summary, SnapshotSummary):
        return [str(partition), offset, *["-"] * 6, summary or "no snapshot yet"]
    age = "?" if committed is None else str(committed.offset - summary.next_offset)
    counts = (
        summary.next_offset,
        age,
        summary.sensors,
        summary.open_episodes,
        summary.warming_up,
        summary.bytes,
    )
    return [str(partition), offset, *(str(count) for count in counts), summary.model_version]
