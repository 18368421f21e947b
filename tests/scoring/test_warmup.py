"""The kernels are compiled before the first row is scored."""

from typing import Any

import pytest

from sensorwatch.common.rows.fast.json_rows import read_json_rows
from sensorwatch.common.scoring.warmup import load_kernels
from tests.reading_builders import a_detector


def test_load_kernels_calls_the_kernel_that_parses_many_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    argument_counts = []

    def read_and_count(*arguments: Any) -> Any:
        argument_counts.append(len(arguments))
        return read_json_rows(*arguments)

    monkeypatch.setattr("sensorwatch.common.rows.parsing.read_json_rows", read_and_count)

    load_kernels(a_detector())

    assert argument_counts
