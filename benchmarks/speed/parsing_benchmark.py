"""Compare sensorwatch's parser of JSON rows with pydantic and msgspec, on one core."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from pydantic import BaseModel, Field

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.run_statistics import mean_seconds, median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Testbed
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.rows.strict_parsing import parse_strictly

SCHEMA = Path("schemas/default.toml")
ROWS, SENSORS = 10_000, 1_000
FAST_PARSER, STRICT_PARSER, PYDANTIC, MSGSPEC = (
    "ours",
    "ours, strict parser",
    "pydantic",
    "msgspec and numpy",
)

BoundedFloat = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
BoundedMsgspecFloat = Annotated[float, msgspec.Meta(ge=-1000, le=1000)]


class PydanticRow(BaseModel):
    """A row of the default schema as a pydantic model."""

    timestamp: datetime
    sensor_id: Annotated[str, Field(min_length=1, max_length=200)]
    x1: BoundedFloat
    x2: BoundedFloat
    x3: BoundedFloat


class MsgspecRow(msgspec.Struct):
    """A row of the default schema as a msgspec struct."""

    timestamp: datetime
    sensor_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    x1: BoundedMsgspecFloat
    x2: BoundedMsgspecFloat
    x3: BoundedMsgspecFloat


def measure_parsing(testbed: Testbed) -> SectionResult:
    """Measure the parsers in turn on the same JSON rows."""
    payloads, schema = some_payloads(), load_schema(SCHEMA)
    parsers: dict[str, Callable[[], object]] = {
        FAST_PARSER: partial(parse, payloads, schema),
        MSGSPEC: partial(parse_one_by_one, payloads, msgspec.json.Decoder(MsgspecRow).decode),
        PYDANTIC: partial(parse_one_by_one, payloads, PydanticRow.model_validate_json),
        STRICT_PARSER: partial(parse_strictly, payloads, schema),
    }
    for parser in parsers.values():
        parser()  # the first call loads or compiles the code of sensorwatch's parser
    rounds = [
        {name: mean_seconds(parser) for name, parser in parsers.items()}
        for _ in range(testbed.options.rounds)
    ]
    rows = []
    for name in parsers:
        nanoseconds = median_and_range(
            [1e9 * times_by_parser[name] / ROWS for times_by_parser in rounds]
        )
        times = median_and_range(
            [times_by_parser[name] / times_by_parser[FAST_PARSER] for times_by_parser in rounds]
        )
        rows.append((name, nanoseconds.text(0), times.text(1)))
    size = round(sum(map(len, payloads)) / ROWS)
    table = Table(
        f"Parsing payloads to columns: {ROWS:,} rows of {size} bytes and {SENSORS:,} sensors "
        "at once",
        ("parser", "ns per row", "time / our time"),
        rows,
        "Each parser validates the rows, converts times to microseconds, writes the values into "
        "a matrix, and numbers the sensors. The parsers ran in turn, in one process on one core. "
        "Each run gives a mean time per row; the figures are the median (lowest..highest) of these "
        "means.",
    )
    verdicts = [
        Verdict(
            target,
            median_and_range(
                [times_by_parser[name] / times_by_parser[FAST_PARSER] for times_by_parser in rounds]
            ),
        )
        for target, name in ((goals.PARSE_PYDANTIC, PYDANTIC), (goals.PARSE_MSGSPEC, MSGSPEC))
    ]
    return SectionResult(Section("Parsing", [table]), verdicts)


def parse_one_by_one(payloads: Sequence[bytes], read: Callable[[bytes], Any]) -> tuple[Any, ...]:
    """Parse rows one by one with `read`; return arrays of sensor numbers, values and times."""
    parsed_rows = [read(payload) for payload in payloads]
    sensor_numbers: dict[str, int] = {}
    sensor = [sensor_numbers.setdefault(row.sensor_id, len(sensor_numbers)) for row in parsed_rows]
    values = np.array([(row.x1, row.x2, row.x3) for row in parsed_rows])
    times = np.array([row.timestamp.timestamp() for row in parsed_rows])
    return np.asarray(sensor, dtype=np.int32), values, (times * 1e6).astype(np.int64)


def some_payloads() -> list[bytes]:
    """Return JSON rows with six decimals per value, like those of sensorwatch's producer."""
    values = np.random.default_rng(3).normal(10, 5, (ROWS, 3)).round(6).tolist()
    return [
        json.dumps(
            {
                "timestamp": f"2025-01-01T{n // 3600 % 24:02d}:{n // 60 % 60:02d}:00Z",
                "sensor_id": f"sensor-{n % SENSORS:04d}",
                **dict(zip(("x1", "x2", "x3"), row, strict=True)),
            },
            separators=(",", ":"),
        ).encode()
        for n, row in enumerate(values)
    ]
