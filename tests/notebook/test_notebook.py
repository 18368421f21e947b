"""The Python interface scores DataFrames and gives the same scores as the consumer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sensorwatch import Detector, Registry, read_rows
from sensorwatch.common.errors import UsageError
from sensorwatch.common.scoring.processing import process
from sensorwatch.notebook.rows import RowsRejected

TRAINING_ROWS = 400


def a_frame(rows: int = TRAINING_ROWS, *, first_row: int = 0, seed: int = 1) -> pd.DataFrame:
    """Return a DataFrame of two sensors with two signals and one row per minute."""
    noise = np.random.default_rng(seed).normal(size=(rows, 2))
    start_time = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(first_row, "min")
    return pd.DataFrame(
        {
            "timestamp": pd.date_range(start_time, periods=rows, freq="min"),
            "sensor_id": ["a", "b"] * (rows // 2),
            "flow": 10 + noise[:, 0],
            "pressure": 3 + 0.1 * noise[:, 1],
        },
        index=[f"row-{first_row + row_number}" for row_number in range(rows)],
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.train(a_frame(), seed=3)


def a_faulty_frame() -> pd.DataFrame:
    frame = a_frame(100, first_row=TRAINING_ROWS, seed=2)
    frame.loc["row-450", "flow"] = 60.0
    return frame


def test_a_repeated_alarm_is_suppressed(detector: Detector) -> None:
    frame = a_faulty_frame()
    frame.loc["row-464", "flow"] = 60.0

    scores = detector.score(frame, history=a_frame())

    assert scores.loc[["row-450", "row-464"], "suppressed"].tolist() == ["none", "repeat"]
    assert scores.loc[["row-450", "row-464"], "severity"].tolist() == ["critical", "info"]


def test_a_fault_is_found_and_explained(detector: Detector) -> None:
    scores = detector.score(a_faulty_frame(), history=a_frame())
    explanations = detector.explain(a_faulty_frame(), history=a_frame())

    assert scores.index.tolist() == a_faulty_frame().index.tolist()
    assert scores.loc["row-450", "is_anomaly"]
    assert scores.loc["row-450", "severity"] == "critical"
    assert scores.loc["row-450", "pattern"] == "spike"
    assert scores.loc["row-450", "episode"] == 50
    first_explanation = explanations.loc["row-450"].iloc[0]
    assert (
        first_explanation["signal"],
        first_explanation["direction"],
        first_explanation["value"],
    ) == ("flow", "high", 60.0)


def test_notebook_and_consumer_compute_bit_identical_scores(detector: Detector) -> None:
    frame = a_faulty_frame()
    text_frame = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    payloads = [line.encode() for line in text_frame.to_json(orient="records", lines=True,
                double_precision=15).splitlines()]  # fmt: skip
    exact_payloads = [
        f'{{"timestamp":"{row.timestamp}","sensor_id":"{row.sensor_id}",'
        f'"flow":{row.flow!r},"pressure":{row.pressure!r}}}'.encode()
        for row in text_frame.itertuples()
    ]
    assert len(payloads) == len(exact_payloads)

    consumer_outcome = process(exact_payloads, detector.core, detector.core.empty_memory())

    scores = detector.score(frame)
    assert (
        scores["raw_score"].to_numpy().tobytes() == consumer_outcome.detections.raw_score.tobytes()
    )
    assert scores["is_anomaly"].tolist() == consumer_outcome.detections.is_anomaly.tolist()


def test_a_file_is_read_with_an_inferred_schema(tmp_path: Path, detector: Detector) -> None:
    csv_file = tmp_path / "rows.csv"
    a_faulty_frame().to_csv(csv_file, index=False)

    rows = read_rows(csv_file)

    assert rows.columns.tolist() == ["timestamp", "sensor_id", "flow", "pressure"]
    assert np.array_equal(rows["flow"], a_faulty_frame()["flow"])
    assert detector.score(rows)["raw_score"].tolist() == (
        detector.score(a_faulty_frame())["raw_score"].tolist()
    )


def test_rejected_rows_are_reported_and_left_out(detector: Detector) -> None:
    frame = a_faulty_frame()
    frame.loc["row-410", "flow"] = np.inf

    with pytest.warns(RowsRejected, match=r"1 rows were rejected \(not_finite 1\).*row 10: flow"):
        scores = detector.score(frame)

    assert len(scores) == len(frame) - 1
    assert "row-410" not in scores.index


def test_a_registered_detector_is_loaded_as_champion(tmp_path: Path, detector: Detector) -> None:
    registry = Registry(tmp_path)

    version = registry.register(detector, name="pumps", reason="a test")

    champion = registry.champion("pumps")
    assert (registry.names(), champion.version) == (["pumps"], version)
    assert champion.score(a_faulty_frame()).equals(detector.score(a_faulty_frame()))
    with pytest.raises(UsageError, match="in a registry already"):
        registry.register(champion, name="pumps")


def test_the_plot_of_an_episode_has_a_panel_for_each_signal(detector: Detector) -> None:
    pytest.importorskip("matplotlib")

    figure = detector.plot_episode(a_faulty_frame(), "row-450", history=a_frame())

    assert [axes.get_ylabel() for axes in figure.axes] == ["flow", "pressure"]
    with pytest.raises(UsageError, match="'row-401' is not anomalous"):
        detector.plot_episode(a_faulty_frame(), "row-401", history=a_frame())


def test_the_import_of_the_package_imports_no_heavy_library() -> None:
    code = "import sys, sensorwatch; print({'pandas', 'numba', 'sklearn'} & set(sys.modules))"

    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert process.stdout.strip() == "set()"


def test_an_unknown_attribute_of_the_package_is_an_error() -> None:
    import sensorwatch

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sensorwatch.nothing  # noqa: B018 - the access is the test
