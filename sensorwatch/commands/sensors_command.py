"""The command `sensorwatch sensors`: list the sensors of a group with their state, worst first."""

from __future__ import annotations

from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.commands.group_options import GroupOption, JsonOption, group_settings
from sensorwatch.common.errors import ModelRefused, StateRefused
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.printing import print_json, print_line, print_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.state.sensor_states import SensorState

COLUMNS = ("sensor", "status", "last row", "every", "silent after", "alarm", "level", "partition")


def sensors(
    sensor: Annotated[str, typer.Option(help="Shell pattern of the sensor ids to show.")] = "*",
    maximum: Annotated[
        int | None,
        typer.Option("--max", min=1, help="Show at most this number of sensors."),
    ] = None,
    as_json: JsonOption = False,
    group: GroupOption = None,
    config: ConfigOption = None,
) -> None:
    """List the sensors with last row, cadence, open alarm and level; the worst come first.

    The states are those at the committed offsets of the group. The command does not join the group.
    """
    from sensorwatch.commands.console_table import print_table
    from sensorwatch.common.scoring.detections import Severity
    from sensorwatch.state.sensor_states import worst_first

    settings = group_settings(config, group)
    states = [state for state in _read_states(settings) if fnmatchcase(state.sensor_id, sensor)]
    sorted_states = worst_first(states, Severity(settings.sensors.silent_severity.value))
    shown_states = sorted_states[:maximum]
    if as_json:
        for state in shown_states:
            print_json(asdict(state))
        return
    print_table(COLUMNS, map(_cells, shown_states), unbroken_column="sensor")
    print_line(_summary(states))


def _read_states(settings: Settings) -> list[SensorState]:
    """Return the states of all sensors; print the partitions whose memory cannot be restored."""
    from sensorwatch.proof.proof_inputs import connect_proof_inputs
    from sensorwatch.state.group_memories import restored_memory
    from sensorwatch.state.group_state import read_group_state
    from sensorwatch.state.sensor_states import sensor_states

    group_state = read_group_state(settings)
    inputs = connect_proof_inputs(settings, partitions=group_state.state_partitions)
    states: list[SensorState] = []
    for partition in group_state.known_partitions:
        account = group_state.account(partition)
        if account is None or account.consumed == 0:
            continue
        try:
            memory = restored_memory(
                settings, partition, account, inputs, group_state.state_partitions
            )
            detector = inputs.detector(account.model_version, account.policy)
        except (StateRefused, ModelRefused) as error:
            reason = str(error).partition(". Nothing was scored")[0]
            print_note(f"{partition}: its sensors are not listed: {reason}")
            continue
        states += sensor_states(partition, memory, detector)
    return states


def _cells(state: SensorState) -> list[str]:
    from sensorwatch.common.rows.durations import duration_text

    silence = f" for {duration_text(state.silent_seconds)}" if state.silent_seconds else ""
    skew = ""
    if state.skew_seconds:
        direction = "ahead" if state.skew_seconds > 0 else "behind"
        skew = f", clock {duration_text(abs(state.skew_seconds))} {direction}"
    flat = "".join(f", {name} flat for {rows} rows" for name, rows in state.flat_rows.items())
    alarm = ""
    if state.alarm:
        rows = "1 row" if state.alarm_rows == 1 else f"{state.alarm_rows} rows"
        alarm = f"{state.alarm} since {_minute(state.alarm_start)}, {rows}"
    return [
        state.sensor_id,
        f"{state.status}{silence}{skew}{flat}",
        _minute(state.last) or "-",
        duration_text(state.cadence_seconds) if state.cadence_seconds else "-",
        duration_text(state.silent_after_seconds) if state.silent_after_seconds else "never",
        alarm or "-",
        ", ".join(f"{name} {value:.4g}" for name, value in state.level.items()),
        str(state.partition),
    ]


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _summary(states: Sequence[SensorState]) -> str:
    from sensorwatch.state.sensor_states import SILENT

    silent_count = sum(state.status == SILENT for state in states)
    alarm_count = sum(bool(state.alarm) for state in states)
    flat_count = sum(bool(state.flat_rows) for state in states)
    skewed_count = sum(state.skew_seconds != 0 for state in states)
    return (
        f"sensors: {len(states)}, {silent_count} silent, {alarm_count} with an open alarm, "
        f"{skewed_count} with a wrong clock, {flat_count} with a flat line"
    )
