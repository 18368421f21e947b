"""Inference takes time in proportion to the size of the sample, and never crashes."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.schema_inference.file_inference import infer_file

# A tracer would multiply the time of the parser's inner loops.
pytestmark = pytest.mark.no_cover

MAX_SECONDS = 30.0
"""Far more than linear work takes on a busy machine, and far less than quadratic work takes."""


def wide(name: Callable[[int], str], columns: int = 20_000) -> str:
    row = ",1.5" * columns
    header = ",".join(["time", *map(name, range(columns))])
    return "\n".join([header, *(f"2024-01-01T00:0{minute}:00Z{row}" for minute in range(3))])


HOSTILE = {
    "one long line": "a" * 1_000_000,
    "one long line of delimiters": "," * 1_000_000,
    "one long cell": "time,x\n2024-01-01T00:00:00Z," + "1" * 1_000_000,
    "a million quotes": "time,x\n" + '"' * 1_000_001 + "\n",
    "numbers with commas": "time;x\n2024-01-01T00:00:00Z;" + "1,234" * 200_000 + "\n",
    "many columns": wide(lambda number: f"c{number}"),
    "many columns of one name": wide(lambda _: "c"),
    "many columns named like times": wide(lambda number: f"date{number}", 20_000),
    "deep JSON": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "a deep JSON array": "[" * 1_000_000,
    "a new key in every row": "\n".join(
        json.dumps({"timestamp": 1_704_067_200 + row, f"k{row}": 1}) for row in range(10_000)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_linear_time(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.txt"
    path.write_text(HOSTILE[name], encoding="utf-8")
    start = time.monotonic()

    with pytest.raises(DataError):
        infer_file(path)

    assert time.monotonic() - start < MAX_SECONDS
