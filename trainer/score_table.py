"""The CSV files that a backtest writes: one of scores, one of rejected rows."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.text_columns import (
    TextColumn,
    choice_texts,
    join_texts,
    number_texts,
    time_texts,
)
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.policy_texts import row_choices
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUS_TEXTS
from sensorwatch.common.scoring.suppressed_alarms import suppressed_alarms

SCORE_COLUMNS = (
    "row",
    "event_time",
    "sensor_id",
    "anomaly_score",
    "raw_score",
    "is_anomaly",
    "status",
    "episode",
    "severity",
)
"""Columns of the CSV file of scores.

`row` is the 0-based number of the input row, `event_time` is RFC 3339, `is_anomaly` is 0 or 1.
Parsing the file gives exactly the same scores. `episode` is the number of the first row of the
row's episode; the cell is empty for a normal row."""
POLICY_COLUMNS = ("cause", "limit_rule", "suppressed_by", "window")
"""Further columns under a policy; the cells are empty for a normal row. See `row_choices`."""
REJECTED_COLUMNS = ("row", "reason", "field", "detail")


class ScoreTable:
    """Writes outcomes to the file `out` and rejections to a second file in the same folder.

    The files get their final names only if the context ends without an error. So no file is
    incomplete.
    """

    def __init__(self, out: Path, detector: Detector) -> None:
        """Create the table; `detector`: the one that scores the rows."""
        self.policy, self._alarm_rates = detector.policy, detector.alarm_rates
        self.suppressed: Counter[str] = Counter()
        """The number of ended alarms that each rule or window suppressed."""
        self.out = out
        self.rejected_out = rejected_path(out)
        self.scored = 0
        self.anomalies = 0
        self.rejected: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        """The number of scored rows of each status."""
        self._files = ExitStack()

    def __enter__(self) -> Self:
        """Open both files and write their headers. Raises DataError if a file cannot be written."""
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._scores = self._files.enter_context(_partial_path(self.out).open("wb"))
            columns = SCORE_COLUMNS if self.policy is None else (*SCORE_COLUMNS, *POLICY_COLUMNS)
            self._scores.write(_header(columns).encode())
            # The detail of a rejection may contain surrogates of bytes that are not UTF-8. They are
            # escaped.
            path, encoding_errors = _partial_path(self.rejected_out), "backslashreplace"
            file = path.open("w", encoding="utf-8", errors=encoding_errors, newline="")
            rejected_file = self._files.enter_context(file)
            rejected_file.write(_header(REJECTED_COLUMNS))
            self._rejected_writer = csv.writer(rejected_file, lineterminator="\n")
        except OSError as error:
            self._files.close()
            raise DataError(f"{error.filename} cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._files.close()
        for path in (self.out, self.rejected_out):
            if error_type is None:
                _partial_path(path).replace(path)
            else:
                _partial_path(path).unlink(missing_ok=True)

    def write(self, outcome: Outcome) -> None:
        """Write one line for each reading and each rejection."""
        readings, detections = outcome.readings, outcome.detections
        # The csv module is not used, because it takes longer to write a row than the detector takes
        # to score it.
        index, episode = number_texts([readings.index, detections.episode])
        anomaly_score, raw_score = number_texts([detections.anomaly_score, detections.raw_score])
        cells = [
            index,
            time_texts(readings.event_time),
            choice_texts(_csv_cells(readings.sensor_ids), readings.sensor),
            anomaly_score,
            raw_score,
            choice_texts(_FLAG_TEXTS, detections.is_anomaly.astype(np.int8)),
            choice_texts(_STATUS_CELLS, detections.status),
            episode.blank_other_rows(detections.episode >= 0),
            choice_texts(_SEVERITY_CELLS, detections.severity),
            *self._policy_cells(outcome),
        ]
        commas = [b","] * (len(cells) - 1)
        lines = join_texts(cells, [b"", *commas, b"\n"]).data
        self._scores.write(lines.data)
        self.scored += len(readings)
        self.anomalies += int(detections.is_anomaly.sum())
        status_counts = np.bincount(detections.status, minlength=len(STATUS_TEXTS)).tolist()
        self.statuses += Counter(dict(zip(STATUS_TEXTS, status_counts, strict=True)))
        self.write_rejected(outcome.rejections)

    def _policy_cells(self, outcome: Outcome) -> Iterator[TextColumn]:
        """Yield the columns POLICY_COLUMNS; none without a policy. Count suppressed alarms."""
        policy, detections = self.policy, outcome.detections
        if policy is None:
            return
        counts = suppressed_alarms(detections, outcome.closed, self._alarm_rates)
        self.suppressed.update({policy.name_of(rule): count for rule, count in counts.items()})
        choices = row_choices(policy, detections, np.arange(len(detections)))
        for name in POLICY_COLUMNS:
            texts, positions = choices[name]
            column = choice_texts([text.encode() for text in texts], positions)
            yield column.blank_other_rows(detections.is_anomaly)

    def write_rejected(self, rejections: Iterable[Rejection]) -> None:
        """Write one line for each rejection."""
        for rejection in rejections:
            line = (rejection.index, rejection.reason.value, rejection.field, rejection.detail)
            self._rejected_writer.writerow(line)
            self.rejected[rejection.reason.value] += 1


def _header(columns: tuple[str, ...]) -> str:
    return ",".join(columns) + "\n"


def _csv_cells(texts: Sequence[str]) -> list[bytes]:
    """Return texts as CSV cells, quoted if necessary; a lone surrogate becomes an escape."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\0").writerows([text] for text in texts)
    # A sensor id cannot contain a zero byte, because ids must be printable.
    cells = buffer.getvalue().split("\0")[:-1]
    return [cell.encode(errors="backslashreplace") for cell in cells]


_FLAG_TEXTS = (b"0", b"1")
_STATUS_CELLS, _SEVERITY_CELLS = (
    [text.encode() for text in texts] for texts in (STATUS_TEXTS, SEVERITY_TEXTS)
)


def _partial_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def rejected_path(out: Path) -> Path:
    """Return the path for rejected rows: `scores.rejected.csv` for `scores.csv`."""
    return out.with_name(f"{out.stem}.rejected.csv")
