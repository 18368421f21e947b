"""Tests of the parts of the speed benchmarks that do not need a broker."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.report.log_plots import Curve, log_log_plot
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.benchmark_models import HOUR, TrainedModels
from benchmarks.speed.json_payloads import START, Stream, chunks, payloads
from benchmarks.speed.observed_worker import ROOT
from benchmarks.speed.paced_load import WARM_UP_SECONDS, event_latencies
from benchmarks.speed.run_statistics import (
    DrainRun,
    cpu_ratios,
    marginal_run,
    median_and_range,
    rate_ratios,
    runs_of,
)
from benchmarks.speed.speed_targets import SpeedTarget, Verdict
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import load_schema

STREAM = Stream(sensors=50, rows=20_000)


def test_a_stream_has_the_same_rows_every_time() -> None:
    first_payloads = [payload for chunk in chunks(STREAM) for payload in payloads(chunk)]
    second_payloads = [payload for chunk in chunks(STREAM) for payload in payloads(chunk)]

    assert first_payloads == second_payloads
    assert len(first_payloads) == 20_000
    assert 95 < np.mean([len(payload) for payload in first_payloads]) < 110


def test_exactly_the_invalid_rows_are_rejected_and_the_times_of_a_sensor_rise() -> None:
    schema = load_schema(ROOT / "schemas" / "default.toml")
    all_chunks = list(chunks(STREAM))

    readings, rejections = parse([p for chunk in all_chunks for p in payloads(chunk)], schema)

    is_bad = np.concatenate([chunk.is_bad for chunk in all_chunks])
    assert [rejection.index for rejection in rejections] == np.flatnonzero(is_bad).tolist()
    assert 0.005 < is_bad.mean() < 0.015
    assert len(set(readings.sensor_ids)) == 50
    for sensor in range(3):
        assert (np.diff(readings.event_time[readings.sensor == sensor]) > 0).all()


def test_a_stream_has_few_outliers_and_a_clean_stream_has_none() -> None:
    rows = list(chunks(STREAM))
    clean_chunks = list(chunks(Stream(50, 20_000, is_clean=True)))

    is_outlier = np.concatenate([chunk.is_outlier for chunk in rows])
    values = np.concatenate([chunk.values for chunk in rows])
    assert 0.003 < is_outlier.mean() < 0.03
    assert values[is_outlier, 0].mean() > values[~is_outlier, 0].mean() + 5
    assert not any(chunk.is_bad.any() or chunk.is_outlier.any() for chunk in clean_chunks)


def test_a_storm_moves_its_share_of_the_rows_far_up_or_down() -> None:
    clean_values, some_values, all_values = (
        np.concatenate(
            [c.values for c in chunks(Stream(50, 20_000, is_clean=True, storm_share=share))]
        )
        for share in (0.0, 0.05, 1.0)
    )

    assert 0.03 < np.any(some_values != clean_values, axis=1).mean() < 0.07
    signs = np.sign(all_values - clean_values)
    assert (signs[:, :2] != 0).all()
    assert 0.4 < (signs[:, :2] > 0).mean() < 0.6
    assert (signs[:, 2] == 0).all()


def test_a_drained_stream_comes_after_its_training() -> None:
    models = TrainedModels(ROOT, ROOT, sensors=100, steps=2_000)

    stream = models.stream(1_000)

    first_chunk = next(iter(chunks(stream)))
    week_microseconds = 7 * 24 * HOUR
    # The simulator makes rows in blocks; the stream begins with the block in which training ended.
    assert abs(int(first_chunk.event_time[0]) - (START + week_microseconds)) <= 24 * 7 * HOUR
    assert stream.step_seconds == pytest.approx(302.4)


def test_ratios_are_taken_within_a_round() -> None:
    fast_run, slow_run = DrainRun(100, 1.0, 1.0), DrainRun(100, 4.0, 2.0)
    rounds = [{"a": fast_run, "b": slow_run}, {"a": slow_run, "b": slow_run}, {"b": fast_run}]

    assert rate_ratios(rounds, "a", "b") == [4.0, 1.0]
    assert cpu_ratios(rounds, "a", "b") == [0.5, 1.0]
    assert runs_of(rounds, "a") == [fast_run, slow_run]


def test_event_latency_begins_with_its_own_record_and_leaves_out_the_warm_up() -> None:
    warm_up_ms = 1_000 * WARM_UP_SECONDS
    sent_times = np.asarray(
        [0.0, 90_000.0, 90_000.0 + warm_up_ms - 1, 90_000.0 + warm_up_ms, 90_000.0 + warm_up_ms + 5]
    )
    event_arrivals = [
        (4, 90_000.0 + warm_up_ms + 12),
        (2, 95_000.0),
        (3, 90_000.0 + warm_up_ms + 40),
    ]

    # The first record in the topic is not part of the load, which has four records.
    assert event_latencies(sent_times, event_arrivals, rows=4).tolist() == [7.0, 40.0]


def test_a_median_is_written_with_its_range() -> None:
    assert median_and_range([3.0, 1.0, 2.0]).text(1) == "2.0 (1.0..3.0)"


def test_a_marginal_run_leaves_out_the_start() -> None:
    short_run, long_run = DrainRun(100, 11.0, 22.0), DrainRun(1_100, 12.0, 24.0)

    assert marginal_run(short_run, long_run).rate == pytest.approx(1_000)
    assert marginal_run(short_run, long_run).cpu_per_million == pytest.approx(2_000)


def test_a_long_run_that_took_less_time_than_a_short_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="take more"):
        marginal_run(DrainRun(100, 11.0, 22.0), DrainRun(200, 10.0, 23.0))


@pytest.mark.parametrize(
    ("target", "figure", "level"),
    [
        (SpeedTarget("speed", 0.4, 0.55), 0.6, "aim"),
        (SpeedTarget("speed", 0.4, 0.55), 0.4, "must"),
        (SpeedTarget("speed", 0.4, 0.55), 0.39, "no"),
        (SpeedTarget("time", 40, 15, "ms", lower_is_better=True), 15, "aim"),
        (SpeedTarget("time", 40, 15, "ms", lower_is_better=True), 41, "no"),
    ],
)
def test_a_figure_reaches_its_target_or_not(target: SpeedTarget, figure: float, level: str) -> None:
    assert target.level_reached(figure) == level


def test_the_table_has_measured_figures_and_their_targets() -> None:
    table = goals.table([Verdict(goals.LATENCY_P50, median_and_range([30.0, 50.0, 35.0]), "quiet")])

    assert table.rows == [
        ("event latency, p50", "35 (30..50) ms", "at most 40 ms", "at most 15 ms", "must", "quiet")
    ]


def test_the_points_of_a_curve_are_inside_the_drawing() -> None:
    plot_text = log_log_plot(
        "Cost", [Curve("rows", [(1, 0.5), (100_000, 20)])], axis_names=("n", "us")
    )

    root = ElementTree.fromstring(plot_text)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    dots = [mark for mark in root if mark.tag.endswith("circle")]
    assert len(dots) == 3
    for dot in dots:
        assert 0 < float(dot.attrib["cx"]) < width
        assert 0 < float(dot.attrib["cy"]) < height


def test_a_row_has_the_schemas_fields() -> None:
    row = payloads(next(iter(chunks(Stream(1, 100, is_clean=True)))))[0]

    assert list(json.loads(row)) == ["timestamp", "sensor_id", "x1", "x2", "x3"]
