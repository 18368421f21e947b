"""Processing that absorbs heartbeats, for detectors whose schema ignores no records."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.absorption import ABSORBED_REASONS, AbsorbedReason, AbsorbedRecords
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.strict_parsing import Times
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, score_readings

HEARTBEAT = b'{"type": "heartbeat"}'
"""The value of a record that is absorbed."""


def absorbed_records(reason_by_index: dict[int, AbsorbedReason]) -> AbsorbedRecords:
    """Return absorbed records, given the reason by the record's position in the micro-batch."""
    numbers = [ABSORBED_REASONS.index(reason) + 1 for reason in reason_by_index.values()]
    return AbsorbedRecords(
        np.asarray(list(reason_by_index), dtype=np.int64), np.asarray(numbers, dtype=np.uint8)
    )


def process_with_heartbeats(
    payloads: Sequence[bytes | None],
    detector: Detector,
    memory: Memory,
    *,
    positions: NDArray[np.int64] | None = None,
    received: Times | None = None,
    row_executor: RowExecutor = run_serially,
) -> Outcome:
    """Return the outcomes as `process` does, but absorb heartbeats."""
    absorbed = absorbed_records(
        {
            index: AbsorbedReason.FILTERED
            for index, payload in enumerate(payloads)
            if payload == HEARTBEAT
        }
    )
    kept = np.delete(np.arange(len(payloads)), absorbed.index)
    readings, rejections = parse(
        [payloads[index] for index in kept.tolist()],
        detector.schema,
        received=None if received is None else [received[index] for index in kept.tolist()],
    )
    return score_readings(
        replace(readings, index=kept[readings.index]),
        [replace(rejection, index=int(kept[rejection.index])) for rejection in rejections],
        detector,
        memory,
        absorbed=absorbed,
        positions=memory.next_positions(len(payloads)) if positions is None else positions,
        row_executor=row_executor,
    )
