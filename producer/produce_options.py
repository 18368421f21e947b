"""The options of `produce`, with what each one says of itself."""

from pathlib import Path
from typing import Annotated

import typer

SensorsOption = Annotated[
    int, typer.Option("--sensors", min=1, max=10_000, help="How many sensors to simulate.")
]
RowsOption = Annotated[
    int | None,
    typer.Option(
        "--rows",
        min=1,
        help="How many rows to send. Default: 40320 with --out, all with --csv, else no end.",
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option("--seconds", min=0, help="Stop after so long.", show_default=False),
]
RateOption = Annotated[
    str | None,
    typer.Option(
        "--rate",
        help="Rows per second, or max. Default: max with --rows or --csv, else 1000.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="The same seed gives the same rows.")
]
StartOption = Annotated[
    str, typer.Option("--start", help="The first row's event time: RFC 3339, or now.")
]
IntervalOption = Annotated[
    float | None,
    typer.Option(
        "--interval",
        min=0.000001,
        max=86_400,
        help="Seconds between two rows of a sensor. Default: 300 with --out, else 1.",
        show_default=False,
    ),
]
FaultsOption = Annotated[
    str | None,
    typer.Option(
        "--faults",
        help="none, or some of rate=R, kinds=A+B and size=S with commas between: R the share of "
        "rows at which a fault begins, A+B its kinds (or all), S its size in standard deviations. "
        "Default: none with --out, else R=0.001, all, S=10.",
        show_default=False,
    ),
]
CsvOption = Annotated[
    Path | None,
    typer.Option(
        "--csv", help="Send the rows of this CSV or Parquet file instead.", show_default=False
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        help="How the rows of --csv are written; else schema.path of the configuration.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write a CSV file instead of to Kafka.", show_default=False),
]
LabelsOption = Annotated[
    bool, typer.Option("--labels/--no-labels", help="With a last column `label` in --out.")
]
StdoutOption = Annotated[
    bool, typer.Option("--stdout", help="Write JSON lines instead of to Kafka.")
]
TopicOption = Annotated[
    str | None,
    typer.Option("--topic", help="Else topics.readings of the configuration.", show_default=False),
]
