"""What is compiled or loaded before the first row waits for it."""

from typing import Any

import pytest

from sensorwatch.common.rows.fast.json_rows import read_json_rows
from sensorwatch.common.scoring.warmup import compile_kernels
from tests.reading_builders import a_detector


def test_the_kernel_that_reads_many_rows_has_been_called_before_the_first_of_them_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(*arguments: Any) -> Any:
        calls.append(len(arguments))
        return read_json_rows(*arguments)

    monkeypatch.setattr("sensorwatch.common.rows.parsing.read_json_rows", counted)

    compile_kernels(a_detector())

    assert calls
