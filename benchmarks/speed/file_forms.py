"""`python -m benchmarks.speed.file_forms`: compare the reading of each form of a file with pandas.

Prints the CPU time per row in nanoseconds (the fastest of three runs), and the ratio.
"""

import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.schema import Schema, schema_from_plain

ROWS = 100_000
_PATTERN = "%d.%m.%Y %H:%M:%S"
_NAMES = ("time", "id", "x1", "x2", "x3")


class Form(NamedTuple):
    """A form of a file, and the function that reads it with pandas."""

    name: str
    content: bytes
    schema: dict[str, Any]
    read_with_pandas: Callable[[Path], object]


def forms() -> Iterator[Form]:
    """Yield the same rows in each form."""
    values = np.random.default_rng(1).normal(size=(ROWS, 3)).round(4)
    times = pd.date_range("2025-01-01", periods=ROWS, freq="s").strftime("%Y-%m-%d %H:%M:%S")
    ids = [f"sensor-{row % 50:03}" for row in range(ROWS)]
    rows = list(zip(times, ids, *values.T.tolist(), strict=True))
    lines = [",".join(_NAMES), *(",".join(map(str, row)) for row in rows), ""]
    plain = "\n".join(lines)
    with_commas = plain.replace(",", ";").replace(".", ",")
    records = "".join(json.dumps(dict(zip(_NAMES, row, strict=True))) + "\n" for row in rows)
    semicolons = {"delimiter": ";", "decimal": ","}
    yield Form("plain", plain.encode(), {}, _csv())
    yield Form("gzip", gzip.compress(plain.encode()), {}, _csv(compression="gzip"))
    yield Form("UTF-16", plain.encode("utf-16"), {}, _csv(encoding="utf-16"))
    yield Form(
        "decimal comma", with_commas.encode(), {"csv": semicolons}, _csv(sep=";", decimal=",")
    )
    yield Form("JSON lines", records.encode(), {}, lambda path: pd.read_json(path, lines=True))
    local_time = {"time": {"field": "time", "naive_zone": "Europe/Berlin"}}
    yield Form("local times", plain.encode(), local_time, _local_csv)
    yield Form("JSON, local", records.encode(), local_time, _local_json)
    german_times = pd.to_datetime(times).strftime(_PATTERN)
    german = [",".join(_NAMES)] + [
        ",".join(map(str, row)) for row in _with_times(german_times, rows)
    ]
    pattern_time = {"time": {"field": "time", "format": _PATTERN, "naive_zone": "Europe/Berlin"}}
    yield Form("pattern, local", "\n".join([*german, ""]).encode(), pattern_time, _pattern_csv)
    words = {"signals": [{"name": name, "words": {"on": 1}} for name in _NAMES[2:]]}
    yield Form("declared words", plain.encode(), words, _csv())
    batches = (
        {"values": [dict(zip(_NAMES, row, strict=True)) for row in rows[start : start + 100]]}
        for start in range(0, ROWS, 100)
    )
    array_lines = "".join(json.dumps(batch) + "\n" for batch in batches)
    yield Form("arrays of rows", array_lines.encode(), {"rows": "values[*]"}, _normalized_arrays)
    long_form = {"long_form": {"name": "name", "value": "value"}}
    long_lines = "time,id,name,value\n" + "".join(
        f"{time_text},{sensor},{name},{value}\n"
        for time_text, sensor, *row_values in rows
        for name, value in zip(_NAMES[2:], row_values, strict=True)
    )
    yield Form("long form", long_lines.encode(), long_form, _pivoted_frame)


def _with_times(times: Iterable[str], rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows with other times."""
    return ((time_text, *row[1:]) for time_text, row in zip(times, rows, strict=True))


def _csv(**options: Any) -> Callable[[Path], object]:
    return lambda path: pd.read_csv(path, parse_dates=["time"], **options)


def _local_csv(path: Path) -> object:
    return _localized_frame(pd.read_csv(path, parse_dates=["time"]))


def _pattern_csv(path: Path) -> object:
    return _localized_frame(pd.read_csv(path, parse_dates=["time"], date_format=_PATTERN))


def _local_json(path: Path) -> object:
    frame = pd.read_json(path, lines=True)
    return _localized_frame(frame.assign(time=pd.to_datetime(frame["time"])))


def _normalized_arrays(path: Path) -> object:
    with path.open() as lines:
        frame = pd.json_normalize([json.loads(line) for line in lines], record_path="values")
    return frame.assign(time=pd.to_datetime(frame["time"]))


def _pivoted_frame(path: Path) -> object:
    frame = pd.read_csv(path, parse_dates=["time"])
    return frame.pivot(index=["time", "id"], columns="name", values="value")


def _localized_frame(frame: pd.DataFrame) -> object:
    return frame["time"].dt.tz_localize("Europe/Berlin", ambiguous="NaT", nonexistent="NaT")


def _schema_of(form: Form) -> Schema:
    base = {
        "time": {"field": "time", "naive_zone": "UTC"},
        "key": {"field": "id"},
        "signals": [{"name": name} for name in _NAMES[2:]],
    }
    return schema_from_plain(base | form.schema)


def _read_all(path: Path, schema: Schema) -> None:
    for _ in read_batches(path, schema):
        pass


def _nanoseconds_per_row(read: Callable[[], object]) -> float:
    times = []
    for _ in range(4):  # the first run is only a warm-up
        start_time = time.process_time()
        read()
        times.append(time.process_time() - start_time)
    return 1e9 * min(times[1:]) / ROWS


def main() -> None:
    """Print one line per form."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.dat"
        for form in forms():
            path.write_bytes(form.content)
            schema = _schema_of(form)
            own_time = _nanoseconds_per_row(partial(_read_all, path, schema))
            pandas_time = _nanoseconds_per_row(partial(form.read_with_pandas, path))
            print(
                f"{form.name:16}{own_time:8.0f} ns/row, pandas {pandas_time:8.0f} ns/row, "
                f"pandas / sensorwatch {pandas_time / own_time:.2f}"
            )


if __name__ == "__main__":
    main()
