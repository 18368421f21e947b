"""`python -m benchmarks.docs_plots`: draw the plots of the user documents."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.docs_plots import attribution_plot as reasons
from benchmarks.docs_plots import forecast_plot as forecast
from benchmarks.docs_plots import row_order_plot as order
from benchmarks.docs_plots import severity_plot as episode
from benchmarks.docs_plots import warm_up_plot as warm_up
from sensorwatch.common.runtime.command_line import run

DRAW_FUNCTIONS = {
    "forecast": forecast.draw,
    "order": order.draw,
    "warm-up": warm_up.draw,
    "episode": episode.draw,
    "reasons": reasons.draw,
}


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for the plots.")] = Path("docs/plots"),
) -> None:
    """Draw all plots. Repeated runs on the same machine give the same plots."""
    out.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAW_FUNCTIONS.items():
        (out / f"{name}.svg").write_text(draw(), encoding="utf-8")
        print(out / f"{name}.svg")


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.docs_plots"))
