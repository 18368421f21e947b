"""Train a detector on DataFrames, and score DataFrames."""

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from sensorwatch.common.errors import UsageError
from sensorwatch.common.registry.candidate import Candidate, DataSource
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS
from sensorwatch.common.scoring.detector import Detector as CoreDetector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.patterns import PATTERN_TEXTS
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.status import STATUS_TEXTS
from sensorwatch.common.scoring.suppression import SUPPRESSION_TEXTS
from sensorwatch.notebook.episode_plot import draw_episode
from sensorwatch.notebook.rows import readings_of, schema_of
from sensorwatch.trainer.training import UNREGISTERED_VERSION, train


@dataclass(frozen=True, slots=True)
class Detector:
    """Trains on a DataFrame; scores DataFrames with exactly the scores of the consumer.

    >>> import numpy as np
    >>> import pandas as pd
    >>> times = pd.date_range("2026-01-01", periods=200, freq="min", tz="UTC")
    >>> noise = np.random.default_rng(0).normal(size=200)
    >>> rows = pd.DataFrame({"timestamp": times, "flow": 10 + noise})
    >>> detector = Detector.train(rows)
    >>> new = pd.DataFrame({"timestamp": times + pd.Timedelta("200min"), "flow": 10 + noise})
    >>> new.loc[150, "flow"] = 90.0
    >>> scores = detector.score(new, history=rows)
    >>> bool(scores.loc[150, "is_anomaly"])
    True
    >>> detector.explain(new, history=rows).loc[[150], "direction"].tolist()
    ['high']
    """

    core: CoreDetector
    candidate: Candidate | None = None
    """The result of `train`, or None for a detector that was loaded from a registry."""

    @classmethod
    def train(cls, rows: pd.DataFrame, schema: Schema | None = None, **settings: Any) -> Self:
        """Return a detector trained on rows in any order.

        `schema`: by default the schema of `read_rows`, or a schema inferred from the columns.
        `settings`: settings of the table `[trainer]`, such as `seed` and `target_alert_rate`.
        Raises DataError if there are too few valid rows.
        """
        schema = schema or schema_of(rows)
        readings, _ = readings_of(rows, schema)
        row_hashes = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
        source = DataSource(
            uri="a DataFrame",
            sha256=_sha256(row_hashes),
            first_time=int(readings.event_time.min(initial=2**62)),
            last_time=int(readings.event_time.max(initial=0)),
            rows=len(readings),
        )
        candidate = train(readings, schema, source, TrainerSettings(**settings))
        return cls(candidate.detector(UNREGISTERED_VERSION), candidate)

    @property
    def version(self) -> str:
        """Return the version id, or `unkept` if the detector was not loaded from a registry."""
        return self.core.version

    @property
    def schema(self) -> Schema:
        """Return the schema of the rows that the detector scores."""
        return self.core.schema

    def score(self, rows: pd.DataFrame, history: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return a DataFrame with one line for each valid row, and with the index of these rows.

        Columns: `anomaly_score` (1.0 is the threshold), `raw_score`, `p_value` float64;
        `is_anomaly` bool; `severity`, `suppressed`, `pattern`, `status` str, see docs/detection.md;
        `episode` int64, the position of the episode's first row, or -1. The rows are scored in the
        given order. `history`: earlier rows, which warm up the memory and are not in the result.
        The function warns with RowsRejected if rows are rejected.
        """
        outcome, first_position = self._outcome(rows, history)
        detections = outcome.detections
        return pd.DataFrame(
            {
                "anomaly_score": detections.anomaly_score,
                "raw_score": detections.raw_score,
                "is_anomaly": detections.is_anomaly,
                "p_value": detections.p_value,
                "severity": SEVERITY_TEXTS[detections.severity],
                "suppressed": SUPPRESSION_TEXTS[detections.suppression],
                "pattern": PATTERN_TEXTS[detections.pattern],
                "status": STATUS_TEXTS[detections.status],
                "episode": np.where(
                    detections.episode < 0, -1, detections.episode - first_position
                ),
            },
            index=rows.index[outcome.readings.index],
        )

    def explain(self, rows: pd.DataFrame, history: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return a DataFrame with one line for each signal of each anomalous row.

        Columns: `signal` str; `value`, `expected`, `low`, `high` float64 in the signal's unit;
        `direction` str; `share` float64, the signal's share of the row's score; `carried_forward`
        bool. The lines of a row have the index of this row, and begin with the signal that has the
        highest share.
        """
        outcome, _ = self._outcome(rows, history)
        anomalous_rows = np.flatnonzero(outcome.detections.is_anomaly)
        labels = rows.index[outcome.readings.index[anomalous_rows]]
        signals_by_row = explain_rows(self.core, outcome, anomalous_rows)
        lines = [
            (
                signal.name,
                signal.actual,
                signal.expected,
                signal.expected_low,
                signal.expected_high,
                signal.direction,
                signal.attribution,
                signal.held,
            )
            for signals in signals_by_row
            for signal in signals
        ]
        columns = ["signal", "value", "expected", "low", "high", "direction", "share"]
        return pd.DataFrame(
            lines,
            columns=[*columns, "carried_forward"],
            index=labels.repeat(len(self.schema.signals)),
        )

    def plot_episode(
        self, rows: pd.DataFrame, label: Any, history: pd.DataFrame | None = None
    ) -> Any:
        """Return a matplotlib figure of the episode that contains the row `label` of `rows`.

        The figure shows the sensor's signals around the episode, and their expected bands. Raises
        UsageError if the row is not anomalous, or if matplotlib is not installed.
        """
        outcome, _ = self._outcome(rows, history)
        positions = np.flatnonzero(rows.index[outcome.readings.index] == label)
        if len(positions) == 0 or not outcome.detections.is_anomaly[positions[0]]:
            raise UsageError(f"row {label!r} is not anomalous: choose a row with is_anomaly")
        return draw_episode(self.core, outcome, int(positions[0]))

    def _outcome(self, rows: pd.DataFrame, history: pd.DataFrame | None) -> tuple[Outcome, int]:
        """Return the outcome of the valid rows, and the memory's position at the first row."""
        memory = self.core.empty_memory()
        if history is not None:
            self._score_into(memory, history)
        first_position = memory.position
        return self._score_into(memory, rows), first_position

    def _score_into(self, memory: Memory, rows: pd.DataFrame) -> Outcome:
        readings, rejections = readings_of(rows, self.schema)
        positions = memory.next_positions(len(rows))
        return score_readings(readings, rejections, self.core, memory, positions=positions)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
