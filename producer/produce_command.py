"""The command `produce`: send simulated or replayed rows to Kafka, a file or standard output."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime import logs
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.printing import json_line, print_line, print_note
from sensorwatch.common.runtime.settings import Settings, load_settings
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.producer import produce_options as options
from sensorwatch.producer import run_plan
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.producer.json_lines_sink import JsonLinesSink, raw_line
from sensorwatch.producer.kafka_sink import connect_sink
from sensorwatch.producer.progress_line import progress
from sensorwatch.producer.rate_limiting import batch_rows, batched, rate_limited
from sensorwatch.producer.replay import replayed_records
from sensorwatch.producer.simulated_records import Record, simulated_records
from sensorwatch.producer.sink import DeliveryCounts, Sink, deliver
from sensorwatch.producer.stop_signals import StopSignal, stop_on_signals


def produce(
    *,
    sensors: options.SensorsOption = 10,
    rows: options.RowsOption = None,
    seconds: options.SecondsOption = None,
    rate: options.RateOption = None,
    seed: options.SeedOption = 0,
    start: options.StartOption = "2025-01-01T00:00:00Z",
    interval: options.IntervalOption = None,
    faults: options.FaultsOption = None,
    csv: options.CsvOption = None,
    schema: options.SchemaOption = None,
    out: options.OutOption = None,
    labels: options.LabelsOption = False,
    stdout: options.StdoutOption = False,
    topic: options.TopicOption = None,
    config: ConfigOption = None,
) -> None:
    """Send simulated sensor rows with labelled faults, or the rows of a file, to a Kafka topic."""
    run_plan.check_combination(
        out=out, csv=csv, to_stdout=stdout, rate=rate, seconds=seconds, labels=labels
    )
    simulation = run_plan.simulation(
        to_file=out is not None,
        sensors=sensors,
        rows=rows,
        seed=seed,
        start=start,
        interval=interval,
        faults=faults,
    )
    if out is not None:
        _write_file(simulation, out, labels=labels)
        return
    rate_limit = run_plan.rows_per_second(rate, bounded=csv is not None or rows is not None)
    overrides = {"schema.path": schema, "topics.readings": topic}
    settings = load_settings(config, overrides=overrides).settings
    records = _simulated(simulation) if csv is None else _replayed(csv, settings)
    _send_records(
        islice(records, rows),
        settings,
        rows=rows,
        rate=rate_limit,
        seconds=seconds,
        stdout=stdout,
    )


def _simulated(simulation: Simulation) -> Iterator[Record]:
    for chunk in simulate(simulation):
        yield from simulated_records(chunk)


def _replayed(path: Path, settings: Settings) -> Iterator[Record]:
    return replayed_records(path, load_schema(settings.schema_.path))


def _write_file(simulation: Simulation, path: Path, *, labels: bool) -> None:
    with progress(simulation.rows) as on_sent:
        rows = write_simulated_csv(simulate(simulation), path, labels=labels, on_sent=on_sent)
    print_line(f"wrote {rows} rows of {simulation.sensors} sensors to {path}")


def _send_records(
    records: Iterable[Record],
    settings: Settings,
    *,
    rows: int | None,
    rate: float | None,
    seconds: float | None,
    stdout: bool,
) -> None:
    with stop_on_signals() as stop, progress(rows) as on_sent:
        began = time.monotonic()
        sink = _sink(settings, stop, stdout=stdout)
        batches = rate_limited(
            batched(records, batch_rows(rate)), rate, clock=time.monotonic, sleep=stop.sleep
        )
        delivery_counts = deliver(
            batches, sink, stopping=_stop_condition(stop, seconds), on_sent=on_sent
        )
        elapsed_seconds = time.monotonic() - began
    _print_summary(
        delivery_counts,
        elapsed_seconds,
        "standard output" if stdout else f'topic "{settings.topics.readings}"',
    )
    if stop.interrupted:
        raise KeyboardInterrupt


def _sink(settings: Settings, stop: StopSignal, *, stdout: bool) -> Sink:
    if stdout:
        line = json_line if sys.stdout.isatty() else raw_line
        return JsonLinesSink(sys.stdout.buffer, line=line)
    logs.configure(settings.log.format, settings.log.level)
    return connect_sink(
        settings.kafka,
        settings.topics.readings,
        stopping=stop.requested,
        logger=logs.kafka_logger(),
    )


def _stop_condition(stop: StopSignal, seconds: float | None) -> Callable[[], bool]:
    if seconds is None:
        return stop.requested
    end = time.monotonic() + seconds
    return lambda: stop.requested() or time.monotonic() >= end


def _print_summary(
    delivery_counts: DeliveryCounts, elapsed_seconds: float, destination: str
) -> None:
    delivered, failed = delivery_counts.delivered, delivery_counts.failed
    throughput = delivered / elapsed_seconds if elapsed_seconds > 0 else 0.0
    # On standard error, because standard output may contain the rows.
    print_note(
        f"delivered {delivered}, failed {failed}, to {destination} in {elapsed_seconds:.1f} s "
        f"({throughput:.0f} rows/s)"
    )
    if failed:
        raise CheckFailed(
            f"{failed} records were not delivered to {destination}; "
            f"the first error: {delivery_counts.failure}"
        )
