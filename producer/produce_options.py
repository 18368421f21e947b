"""The command-line options of `produce`, with their help texts."""

from pathlib import Path
from typing import Annotated

import typer

SensorsOption = Annotated[
    int, typer.Option("--sensors", min=1, max=10_000, help="Number of simulated sensors.")
]
RowsOption = Annotated[
    int | None,
    typer.Option(
        "--rows",
        min=1,
        help="Number of rows to send. Default: 40320 with --out, all with --csv, else endless.",
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option("--seconds", min=0, help="Stop after this many seconds.", show_default=False),
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
    str, typer.Option("--start", help="Event time of the first row: RFC 3339, or now.")
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
        help="none, or rate=R, kinds=A+B and size=S separated by commas: R is the share of rows at "
        "which a fault begins, A+B are its kinds (or all), S is its size in standard deviations. "
        "Default: none with --out, else rate=0.001,kinds=all,size=10.",
        show_default=False,
    ),
]
CsvOption = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="Send the rows of this CSV or Parquet file instead of simulated rows.",
        show_default=False,
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        help="Schema file of the rows of --csv. Default: the setting schema.path.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Write simulated rows to this CSV file instead of Kafka.",
        show_default=False,
    ),
]
LabelsOption = Annotated[
    bool, typer.Option("--labels/--no-labels", help="Add a last column `label` to --out.")
]
StdoutOption = Annotated[
    bool, typer.Option("--stdout", help="Write JSON lines to standard output instead of Kafka.")
]
TopicOption = Annotated[
    str | None,
    typer.Option(
        "--topic",
        help="Topic for the records. Default: the setting topics.readings.",
        show_default=False,
    ),
]
