"""`python -m benchmarks.quality --data FOLDER`: measure, print, write the document."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.dataset_files import FileSelection
from benchmarks.quality.quality_document import DOCUMENT
from benchmarks.quality.quality_sections import Benchmark, RunOptions, section
from benchmarks.report.figures_table import show
from sensorwatch.common.runtime.command_line import run


def main(
    data: Annotated[Path, typer.Option("--data", help="Folder with skab/ and nab/.")],
    only: Annotated[
        list[Benchmark] | None, typer.Option("--only", help="Part to measure; writes no document.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--files", help="Files by pattern ('valve1/*'); writes no document."),
    ] = None,
    is_default_only: Annotated[
        bool, typer.Option("--alone", help="Only the default detector; writes no document.")
    ] = False,
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="How often SKAB's files are cut.")
    ] = skab.SEEDS,
    refit_every: Annotated[
        int | None,
        typer.Option("--refit-every", min=1, help="Also measure with a refit every N rows."),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1)] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the document; docs after a whole run.")
    ] = None,
) -> None:
    """Measure how well faults are found."""
    options = RunOptions(
        FileSelection(data, tuple(files or ())), is_default_only, seeds, refit_every, processes
    )
    sections = []
    for part in only or Benchmark:
        begun = perf_counter()
        sections.append(section(part, options))
        for table in sections[-1].tables:
            show(table)
        print(f"\n{part.value}: {perf_counter() - begun:.1f} s", flush=True)
    is_full_run = not (only or files or is_default_only) and seeds == skab.SEEDS
    folder = out or (Path("docs") if is_full_run else None)
    if folder is not None:
        date = datetime.now(UTC).date().isoformat()
        print(f"\nwritten: {DOCUMENT.write(folder, sections, date=date)}")


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.quality"))
