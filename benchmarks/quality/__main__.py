"""`python -m benchmarks.quality --data FOLDER`: write docs/quality.md."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.alarms.alarm_sections import selected_parts
from benchmarks.quality.dataset_files import FileSelection
from benchmarks.quality.quality_document import DOCUMENT
from benchmarks.quality.quality_sections import Benchmark, RunOptions, section
from benchmarks.report.figures_table import show
from sensorwatch.common.runtime.command_line import run


def main(
    data: Annotated[
        Path, typer.Option("--data", help="Folder that contains skab/, nab/ and streams/.")
    ],
    only: Annotated[
        list[Benchmark] | None,
        typer.Option("--only", help="Run this benchmark only; write no document."),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--files", help="Use matching files only ('valve1/*'); write no document."),
    ] = None,
    is_default_only: Annotated[
        bool, typer.Option("--alone", help="Run the default detector only; write no document.")
    ] = False,
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="Number of seeds for the cuts of SKAB's files.")
    ] = skab.SEED_COUNT,
    refit_every: Annotated[
        int | None,
        typer.Option(
            "--refit-every",
            min=1,
            help="Also measure a detector that is fitted again every N rows.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1)] = 1,
    alarm_parts: Annotated[
        str,
        typer.Option(
            "--alarms",
            help="Sub-parts of the benchmark `alarms`, such as 'fleet,pump'; write no document.",
        ),
    ] = "",
    is_quick: Annotated[
        bool,
        typer.Option("--quick", help="Measure alarms with few rows only; write no document."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the document; after a full run `docs`.")
    ] = None,
) -> None:
    """Measure the detection quality."""
    options = RunOptions(
        FileSelection(data, tuple(files or ())),
        is_default_only,
        seeds,
        refit_every,
        processes,
        is_quick,
        selected_parts(alarm_parts),
    )
    sections = []
    for benchmark in only or Benchmark:
        start_time = perf_counter()
        sections.append(section(benchmark, options))
        for table in sections[-1].tables:
            show(table)
        print(f"\n{benchmark.value}: {perf_counter() - start_time:.1f} s", flush=True)
    is_selection = bool(only or files or is_default_only or alarm_parts or is_quick)
    is_full_run = not is_selection and seeds == skab.SEED_COUNT
    folder = out or (Path("docs") if is_full_run else None)
    if folder is not None:
        date = datetime.now(UTC).date().isoformat()
        print(f"\nwritten: {DOCUMENT.write(folder, sections, date=date)}")


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.quality"))
