"""Check the options of a producer run, and fill in the defaults."""

from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.time_option import parse_time_option
from sensorwatch.common.simulation.stream import Simulation
from sensorwatch.producer.fault_plan_text import parse_fault_plan

FILE_ROWS = 40_320
"""Default number of rows of a file: two weeks of ten sensors, one row every five minutes.

In two weeks, each hour of the week occurs twice."""
FILE_INTERVAL_SECONDS = 300.0
STREAM_INTERVAL_SECONDS = 1.0
"""Default time between two rows of a sensor in a stream.

At a high rate, event times advance faster than the clock. A short interval reduces the
difference."""
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
    """Raise UsageError if two options exclude each other."""
    if out is not None and (csv is not None or to_stdout):
        conflicting_option = "--csv" if csv is not None else "--stdout"
        raise UsageError(
            f"--out writes simulated rows to a file: remove --out or {conflicting_option}"
        )
    if out is not None and (rate is not None or seconds is not None):
        conflicting_option = "--rate" if rate is not None else "--seconds"
        raise UsageError(
            f"{conflicting_option} has no effect on --out: remove {conflicting_option}, and set "
            "the length with --rows"
        )
    if labels and out is None:
        raise UsageError(
            "--labels adds a column to the file of --out: give --out, or remove --labels. In a "
            "topic, the label is in the header sensorwatch-label"
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
    """Return the simulation for these options. An option that is None gets its default.

    A file has no faults by default, because it is usually training data.
    Raises UsageError if `start` or `faults` is invalid.
    """
    default_interval = FILE_INTERVAL_SECONDS if to_file else STREAM_INTERVAL_SECONDS
    return Simulation(
        sensors=sensors,
        rows=FILE_ROWS if to_file and rows is None else rows,
        seed=seed,
        start=parse_time_option("--start", start),
        interval_seconds=default_interval if interval is None else interval,
        faults=parse_fault_plan(
            ("none" if to_file else STREAM_FAULTS) if faults is None else faults
        ),
    )


def rows_per_second(text: str | None, *, bounded: bool) -> float | None:
    """Return the value of `--rate` in rows per second, or None for no limit.

    `bounded`: True if the number of rows is limited; the default rate is then unlimited. Raises
    UsageError if the text is invalid.
    """
    if text is None:
        return None if bounded else STREAM_RATE
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1e9:
        raise UsageError(
            f'--rate: found "{text}", wanted rows per second above 0 and at most 1e9, or max'
        )
    return rate
