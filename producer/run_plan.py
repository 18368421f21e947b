"""What a run of the producer was asked to do, checked and with every default filled in."""

import time
from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.rows.instants import BadTime, time_reader
from sensorwatch.common.rows.schema import TimeField
from sensorwatch.common.simulation.stream import Simulation
from sensorwatch.producer.fault_plan_text import fault_plan

# Two weeks of ten sensors every five minutes: every hour and day of the week is there to learn.
FILE_ROWS = 40_320
FILE_INTERVAL_SECONDS = 300.0
# A stream's event time may run ahead of the clock when rows are sent faster than they are measured,
# so it starts in the past and goes in small steps.
STREAM_INTERVAL_SECONDS = 1.0
STREAM_FAULTS = "rate=0.001,kinds=all,size=10"
STREAM_RATE = 1_000.0


def check_combination(
    *,
    out: Path | None,
    csv: Path | None,
    to_stdout: bool,
    rate: str | None,
    seconds: float | None,
    labels: bool,
) -> None:
    """Raise UsageError for options of which one would silently do nothing."""
    if out is not None and (csv is not None or to_stdout):
        conflicting_option = "--csv" if csv is not None else "--stdout"
        raise UsageError(
            f"--out writes simulated rows to a file and cannot go with {conflicting_option}"
        )
    if out is not None and (rate is not None or seconds is not None):
        conflicting_option = "--rate" if rate is not None else "--seconds"
        raise UsageError(
            f"{conflicting_option} is about sending and cannot go with --out; give --rows"
        )
    if labels and out is None:
        raise UsageError(
            "--labels is a column of --out; in a topic the label is the header sensorwatch-label"
        )


def simulation(
    *,
    to_file: bool,
    sensors: int,
    rows: int | None,
    seed: int,
    start: str,
    interval: float | None,
    faults: str | None,
) -> Simulation:
    """Describe the simulated stream; raises UsageError for a bad `start` or `faults`.

    A file is what somebody trains on next, so it is healthy unless faults are asked for.
    """
    default_interval = FILE_INTERVAL_SECONDS if to_file else STREAM_INTERVAL_SECONDS
    return Simulation(
        sensors=sensors,
        rows=FILE_ROWS if to_file and rows is None else rows,
        seed=seed,
        start=parse_start_time(start),
        interval_seconds=default_interval if interval is None else interval,
        faults=fault_plan(("none" if to_file else STREAM_FAULTS) if faults is None else faults),
    )


def parse_start_time(text: str) -> int:
    """Read an RFC 3339 time (UTC where it names no zone), or `now`, as microseconds UTC."""
    if text == "now":
        return time.time_ns() // 1_000
    try:
        return time_reader(TimeField(naive_zone="UTC"))(text)
    except BadTime as error:
        raise UsageError(f"--start: {error}, or now") from error


def rows_per_second(text: str | None, *, bounded: bool) -> float | None:
    """Read a rate; None is as fast as possible, the default for a bounded number of rows."""
    if text is None:
        return None if bounded else STREAM_RATE
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1e9:
        raise UsageError(f'--rate: found "{text}", wanted rows per second above 0, or max')
    return rate
