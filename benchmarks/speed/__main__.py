"""`python -m benchmarks.speed`: measure the speed, print tables, write the document."""

import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from benchmarks.report.document import Section
from benchmarks.report.figures_table import show
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.speed_document import document
from benchmarks.speed.speed_sections import SpeedBenchmark, measure
from benchmarks.speed.testbed import RunOptions, Testbed
from sensorwatch.common.runtime.command_line import run

QUICK_OPTIONS = RunOptions()
FULL_OPTIONS = RunOptions(
    rows=5_000_000, many_sensors=100_000, seconds=20, memory_rows=50_000_000, peer_share=1
)


def main(
    only: Annotated[
        list[SpeedBenchmark] | None,
        typer.Option("--only", help="Run this benchmark only; write no document."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Measure at full size (hours), and write the document.")
    ] = False,
    rows: Annotated[int | None, typer.Option("--rows", min=20_000)] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1)] = None,
    many: Annotated[
        int | None,
        typer.Option("--many", min=1, help="Sensors of the benchmarks with many sensors."),
    ] = None,
    memory_rows: Annotated[
        int | None, typer.Option("--memory-rows", min=100_000, help="Rows of the memory benchmark.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", min=1, help="Rows/s of the latency benchmark.")
    ] = None,
    peer_share: Annotated[
        float | None,
        typer.Option("--peer-share", min=0.05, help="Share of each peer's rows that is drained."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the document; after a full run `docs`.")
    ] = None,
) -> None:
    """Measure the speed of the worker, compared with an empty loop and other frameworks."""
    options = {
        "rows": rows,
        "rounds": rounds,
        "many_sensors": many,
        "memory_rows": memory_rows,
        "rate": rate,
        "peer_share": peer_share,
    }
    given_options: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None
    }
    run_options = replace(FULL_OPTIONS if full else QUICK_OPTIONS, **given_options)
    sections: list[Section] = []
    verdicts: list[goals.Verdict] = []
    with Testbed(run_options) as testbed:
        for benchmark in only or SpeedBenchmark:
            start_time = perf_counter()
            result = measure(benchmark, testbed)
            sections.append(result.section)
            verdicts += result.verdicts
            for table in result.section.tables:
                show(table)
            print(f"\n{benchmark.value}: {perf_counter() - start_time:.1f} s", flush=True)
    results_table = goals.table(verdicts)
    if verdicts:
        show(results_table)
    folder = out or (Path("docs") if full and not only and not given_options else None)
    if folder is not None:
        command = "make bench-full" if full else "make bench"
        all_sections = [Section("Against the goals", [results_table]), *sections]
        date = datetime.now(UTC).date().isoformat()
        print(f"\nwritten: {document(command).write(folder, all_sections, date=date)}")


if __name__ == "__main__":
    # Treat SIGTERM like Ctrl-C, so that all programs which the benchmark started are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(main, name="python -m benchmarks.speed"))
