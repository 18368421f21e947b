"""The Python interface gives the same scores as the consumer, from and to DataFrames."""

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

ROWS = 400


def a_frame(rows: int = ROWS, *, first: int = 0, seed: int = 1) -> pd.DataFrame:
    """Two sensors with two signals, a row each minute."""
    noise = np.random.default_rng(seed).normal(size=(rows, 2))
    start = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(first, "min")
    return pd.DataFrame(
        {
            "timestamp": pd.date_range(start, periods=rows, freq="min"),
            "sensor_id": ["a", "b"] * (rows // 2),
            "flow": 10 + noise[:, 0],
            "pressure": 3 + 0.1 * noise[:, 1],
        },
        index=[f"row-{first + number}" for number in range(rows)],
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.train(a_frame(), seed=3)


def a_faulty_frame() -> pd.DataFrame:
    frame = a_frame(100, first=ROWS, seed=2)
    frame.loc["row-450", "flow"] = 60.0
    return frame


def test_a_fault_is_found_and_explained(detector: Detector) -> None:
    scores = detector.score(a_faulty_frame(), history=a_frame())
    explained = detector.explain(a_faulty_frame(), history=a_frame())

    assert scores.index.tolist() == a_faulty_frame().index.tolist()
    assert scores.loc["row-450", "is_anomaly"]
    assert scores.loc["row-450", "severity"] == "critical"
    assert scores.loc["row-450", "episode"] == 50
    first = explained.loc["row-450"].iloc[0]
    assert (first["signal"], first["direction"], first["value"]) == ("flow", "high", 60.0)


def test_scores_have_the_bits_of_the_consumer(detector: Detector) -> None:
    frame = a_faulty_frame()
    texts = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    payloads = [line.encode() for line in texts.to_json(orient="records", lines=True,
                double_precision=15).splitlines()]  # fmt: skip
    exact = [
        f'{{"timestamp":"{row.timestamp}","sensor_id":"{row.sensor_id}",'
        f'"flow":{row.flow!r},"pressure":{row.pressure!r}}}'.encode()
        for row in texts.itertuples()
    ]
    assert len(payloads) == len(exact)

    consumed = process(exact, detector.core, detector.core.empty_memory())

    scores = detector.score(frame)
    assert scores["raw_score"].to_numpy().tobytes() == consumed.detections.raw_score.tobytes()
    assert scores["is_anomaly"].tolist() == consumed.detections.is_anomaly.tolist()


def test_a_file_is_read_with_an_inferred_schema(tmp_path: Path, detector: Detector) -> None:
    file = tmp_path / "rows.csv"
    a_faulty_frame().to_csv(file, index=False)

    rows = read_rows(file)

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


def test_an_episode_is_drawn(detector: Detector) -> None:
    pytest.importorskip("matplotlib")

    figure = detector.plot_episode(a_faulty_frame(), "row-450", history=a_frame())

    assert [panel.get_ylabel() for panel in figure.axes] == ["flow", "pressure"]
    with pytest.raises(UsageError, match="'row-401' is not anomalous"):
        detector.plot_episode(a_faulty_frame(), "row-401", history=a_frame())


def test_the_import_of_the_package_loads_no_library() -> None:
    code = "import sys, sensorwatch; print({'pandas', 'numba', 'sklearn'} & set(sys.modules))"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "set()"


def test_an_unknown_name_is_refused() -> None:
    import sensorwatch

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sensorwatch.nothing  # noqa: B018 - the access is the test
