"""Counters and angles are suggested as questions, and columns that only look like them are not."""

import os
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.field_declarations import ColumnKind
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.inference import infer_schema
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.schema_text import schema_text

CASES = os.environ.get("SENSORWATCH_TEST_CASES")
START_TIME = datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)
ROWS = 600
STEP = np.arange(ROWS)
NO_OPTIONS = InferenceOptions()
RANDOM = np.random.default_rng(6)
RISES = RANDOM.uniform(0.5, 1.5, ROWS)
WALK = np.cumsum(RANDOM.normal(0.0, 8.0, ROWS))


def total(*resets: int) -> Sequence[float]:
    """Return a total that falls to 0 in some rows."""
    values = np.cumsum(RISES)
    for row in resets:
        values[row:] -= values[row]
    return [round(value, 3) for value in values.tolist()]


def lines_of(name: str, values: Sequence[object], *, sensors: int = 1) -> list[str]:
    """Return the lines of a CSV file with a row a minute of each sensor, and another signal."""
    lines = [f"time,device,{name},temperature\n"]
    for row, value in enumerate(values):
        time = START_TIME + timedelta(minutes=row // sensors)
        lines.append(f"{time.isoformat()},d{row % sensors},{value},{20 + row % 7 / 10}\n")
    return lines


def kind_questions(lines: list[str], options: InferenceOptions = NO_OPTIONS) -> list[str]:
    questions = infer_schema(lines, options).questions
    return [question for question in questions if "--counter" in question or "--angle" in question]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("energy_total", total()),
        ("kwh", total(100, 400)),
        ("x", total(100, 400)),
        ("x", total(300)),
        ("pulses", np.cumsum(RANDOM.integers(0, 2, ROWS)).tolist()),
    ],
    ids=["name", "name and resets", "resets", "one reset", "pulses"],
)
def test_a_counter_is_asked_for(name: str, values: Sequence[float]) -> None:
    (question,) = kind_questions(lines_of(name, values))

    assert question.startswith(f"'{name}' only rises")
    assert f'--counter {name}, or in the schema: kind = "counter"' in question


@pytest.mark.parametrize(
    "values",
    [(350.0 + WALK) % 360.0, 6.5 * STEP % 360.0, (359 * (STEP % 3 == 0) + STEP % 25) % 360],
    ids=["walk", "rotation", "seam"],
)
def test_an_angle_is_asked_for(values: Sequence[float]) -> None:
    (question,) = kind_questions(lines_of("x", values))

    assert question.startswith("'x' steps between values near 0 and near 360 in ")
    assert question.endswith("--angle x, or in the schema: wrap = 360")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ramp", (20.0 + np.cumsum(RISES) / 100).tolist()),
        ("ramp_total", (20.0 + STEP / 100).tolist()),
        ("noisy_total", (STEP + RANDOM.normal(0.0, 5.0, ROWS)).clip(0.0).tolist()),
        ("record", (1_000 + np.cumsum(RANDOM.integers(1, 4, ROWS))).tolist()),
        ("uptime_total", (60 * (STEP % 300)).tolist()),
        ("ticks_total", (1_700_000_000 + 60 * STEP).tolist()),
        ("hour", (STEP // 10 % 24).tolist()),
        ("progress", np.minimum(STEP % 120 + RISES / 2, 100.0).round(2).tolist()),
        ("humidity", RANDOM.uniform(0.0, 100.0, ROWS).tolist()),
        ("power", RANDOM.uniform(0.0, 360.0, ROWS).tolist()),
        ("heating", (180.0 + 180.0 * np.sin(STEP / 30.0)).round(2).tolist()),
        ("valve", (359 * (STEP // 10 % 2)).tolist()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_column_that_only_looks_like_a_counter_or_an_angle_is_not_asked_for(
    name: str, values: Sequence[float]
) -> None:
    assert kind_questions(lines_of(name, values)) == []


def test_the_rows_of_each_sensor_are_compared_in_time_order() -> None:
    """The totals of two sensors take turns, and the newest row is the first."""
    totals = [value + 5_000 * (row % 2) for row, value in enumerate(total())]
    header, *rows = lines_of("energy_total", totals, sensors=2)

    (question,) = kind_questions([header, *reversed(rows)])

    assert question.startswith("'energy_total' only rises;")


def test_an_answered_question_is_not_asked_again_and_the_answer_is_written() -> None:
    lines = lines_of("x", total(100, 400))

    assert kind_questions(lines, InferenceOptions(counter_names=("x",))) == []
    assert kind_questions(lines, InferenceOptions(signal_names=("x",))) == []
    for options in (InferenceOptions(counter_names=("x",)), InferenceOptions(angle_names=("x",))):
        text = schema_text(infer_schema(lines, options), name="inferred")
        signal = schema_from_plain(tomllib.loads(text)).signals[0]
        assert (signal.kind is ColumnKind.COUNTER) == bool(options.counter_names)
        assert signal.wrap == (360.0 if options.angle_names else None)


def test_a_counter_or_an_angle_that_is_no_column_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'y'"):
        infer_schema(lines_of("x", total()), InferenceOptions(counter_names=("y",)))


@pytest.mark.skipif(not CASES, reason="SENSORWATCH_TEST_CASES names no folder")
@pytest.mark.parametrize(
    ("case", "option"),
    [
        ("53-counter-reset/d.csv", "--counter energy_total"),
        ("53-counter-reset/then.csv", "--counter energy_total"),
        ("60-wind-direction/d.csv", "--angle dir"),
    ],
)
def test_the_example_files_are_asked_for(case: str, option: str) -> None:
    questions = infer_file(Path(CASES or "") / case).questions

    assert [option in question for question in questions] == [True]
