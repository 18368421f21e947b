"""`python -m benchmarks.quality --data FOLDER`: measure, print, write the document."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from benchmarks.quality import nab, skab
from benchmarks.quality.contestants import Contestant, contestants
from benchmarks.quality.files import Choice
from benchmarks.quality.table import Table, show
from common.runtime.command_line import run


class Part(StrEnum):
    """What can be measured by itself."""

    SKAB = "skab"
    NAB = "nab"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for."""

    choice: Choice
    compared: list[Contestant]
    seeds: int
    processes: int


def main(
    data: Annotated[Path, typer.Option("--data", help="Folder with skab/ and nab/.")],
    only: Annotated[list[Part] | None, typer.Option("--only", help="Part to measure.")] = None,
    files: Annotated[
        list[str] | None, typer.Option("--files", help="Files by pattern, such as 'valve1/*'.")
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="The default detector only, nobody beside it.")
    ] = False,
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="How often SKAB's files are cut.")
    ] = skab.SEEDS,
    refit_every: Annotated[
        int | None, typer.Option("--refit-every", min=1, help="Rows between refits, beside.")
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1)] = 1,
) -> None:
    """Measure how well faults are found."""
    compared = contestants(refit_every=refit_every)
    choice = Choice(data, tuple(files or ()))
    asked = Asked(choice, compared[:1] if alone else compared, seeds, processes)
    for part in only or list(Part):
        begun = perf_counter()
        for table in _MEASURES[part](asked):
            show(table)
        print(f"\n{part.value}: {perf_counter() - begun:.1f} s")


def _skab(asked: Asked) -> list[Table]:
    files = skab.load(asked.choice)
    return skab.tables(
        [
            skab.measure(files, contestant, seeds=asked.seeds, processes=asked.processes)
            for contestant in [*asked.compared, skab.the_clock()]
        ]
    )


def _nab(asked: Asked) -> list[Table]:
    files = nab.load(asked.choice)
    found = [
        nab.measure(files, contestant, processes=asked.processes) for contestant in asked.compared
    ]
    return [nab.table(found)]


_MEASURES: dict[Part, Callable[[Asked], list[Table]]] = {Part.SKAB: _skab, Part.NAB: _nab}

if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.quality"))
