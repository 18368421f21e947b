"""A run of `produce`: send rows to Kafka, a file or standard output, and count them."""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime import logs
from sensorwatch.common.runtime.printing import json_line, print_line, print_note
from sensorwatch.common.runtime.settings import Settings, schema_file
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.producer.json_lines_sink import JsonLinesSink, raw_line
from sensorwatch.producer.kafka_sink import connect_sink
from sensorwatch.producer.progress_line import progress_bar
from sensorwatch.producer.rate_limiting import batch_rows, batched, rate_limited
from sensorwatch.producer.replay import replayed_records
from sensorwatch.producer.simulated_records import SimulatedRecord, simulated_records
from sensorwatch.producer.sink import DeliveryCounts, Sink, deliver
from sensorwatch.producer.stop_signals import StopSignal, stop_on_signals


def write_file(simulation: Simulation, path: Path, *, labels: bool) -> None:
    """Write the simulated rows to a CSV file, and print the number of rows."""
    with progress_bar(simulation.rows) as on_sent:
        rows = write_simulated_csv(simulate(simulation), path, labels=labels, on_sent=on_sent)
    print_line(f"wrote {rows} rows of {simulation.sensors} sensors to {path}")


def send_records(
    source: Simulation | Path,
    settings: Settings,
    *,
    rows: int | None,
    rate: float | None,
    seconds: float | None,
    stdout: bool,
) -> None:
    """Send the rows of a simulation or of a file, and print the number of delivered records.

    The run ends after `rows` rows, after `seconds` seconds or at a signal; None means no limit.
    `rate`: rows per second; None means as fast as possible. Raises CheckFailed if a record was not
    delivered, and KeyboardInterrupt after SIGINT.
    """
    records = islice(_source_records(source, settings), rows)
    with stop_on_signals() as stop, progress_bar(rows) as on_sent:
        start_time = time.monotonic()
        sink = _open_sink(settings, stop, stdout=stdout)
        batches = rate_limited(
            batched(records, batch_rows(rate)), rate, clock=time.monotonic, sleep=stop.sleep
        )
        delivery_counts = deliver(
            batches, sink, stopping=_stop_condition(stop, seconds), on_sent=on_sent
        )
        elapsed_seconds = time.monotonic() - start_time
    _print_summary(
        delivery_counts,
        elapsed_seconds,
        "standard output" if stdout else f'topic "{settings.topics.readings}"',
    )
    if stop.interrupted:
        raise KeyboardInterrupt


def _source_records(source: Simulation | Path, settings: Settings) -> Iterator[SimulatedRecord]:
    if isinstance(source, Path):
        return replayed_records(source, load_schema(schema_file(settings)))
    return chain.from_iterable(map(simulated_records, simulate(source)))


def _open_sink(settings: Settings, stop: StopSignal, *, stdout: bool) -> Sink:
    if stdout:
        format_line = json_line if sys.stdout.isatty() else raw_line
        return JsonLinesSink(sys.stdout.buffer, format_line=format_line)
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
    deadline = time.monotonic() + seconds
    return lambda: stop.requested() or time.monotonic() >= deadline


def _print_summary(
    delivery_counts: DeliveryCounts, elapsed_seconds: float, destination: str
) -> None:
    delivered, failed = delivery_counts.delivered, delivery_counts.failed
    throughput = delivered / elapsed_seconds if elapsed_seconds > 0 else 0.0
    # The summary goes to standard error, because standard output may contain the rows.
    print_note(
        f"delivered {delivered}, failed {failed}, to {destination} in {elapsed_seconds:.1f} s "
        f"({throughput:.0f} rows/s)"
    )
    if failed:
        raise CheckFailed(
            f"{failed} records were not delivered to {destination}; "
            f"the first error: {delivery_counts.failure}"
        )
