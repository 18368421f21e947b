"""The results of fault detection: the injected faults that a detector found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from sensorwatch.common.scoring.detections import Detections
from sensorwatch.trainer.fault_injection import FaultCase, InjectedFaults
from sensorwatch.trainer.fault_sizes import FaultSizes


@dataclass(frozen=True, slots=True)
class SignalResult:
    """The detection results of the episodes that change one signal."""

    spread: float
    """One spread, in the signal's unit."""
    episodes: int
    recall_events: float
    """Share of episodes with at least one anomalous row."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The detection results of a case. A value is None if it cannot be measured."""

    kind: str
    size: float
    """Size in spreads of the signal; 0 if the kind has no size."""
    episodes: int
    rows: int
    faulty_rows: int
    recall_events: float | None
    """Share of episodes with at least one anomalous row."""
    recall_rows: float | None
    precision: float | None
    """Share of faulty rows among the rows that were detected as anomalous.

    This share depends on the number of injected faults."""
    delay_rows: float | None
    """Median detection delay of the detected episodes, in rows of the sensor.

    The delay is the number of rows between the start of the episode and its first alarm."""
    roc_auc: float | None
    average_precision: float | None
    signals: dict[str, SignalResult] | None
    """The results of each changed signal by its name, if each episode changes one signal."""


def case_result(
    case: FaultCase, injection_runs: list[tuple[InjectedFaults, Detections]], sizes: FaultSizes
) -> CaseResult:
    """Return the results of a case from the faults and the detections of each round."""
    is_faulty = np.concatenate([injected.faulty for injected, _ in injection_runs])
    score = np.concatenate([detections.raw_score for _, detections in injection_runs])
    is_anomaly = np.concatenate([detections.is_anomaly for _, detections in injection_runs])
    detection_delays = [
        delay
        for injected, detections in injection_runs
        for delay in _detection_delays(injected, detections.is_anomaly)
    ]
    known_delays = [delay for delay in detection_delays if delay is not None]
    true_positives = int((is_anomaly & is_faulty).sum())
    return CaseResult(
        kind=case.name,
        size=case.size,
        episodes=len(detection_delays),
        rows=len(is_faulty),
        faulty_rows=int(is_faulty.sum()),
        recall_events=len(known_delays) / len(detection_delays),
        recall_rows=true_positives / int(is_faulty.sum()),
        precision=true_positives / int(is_anomaly.sum()) if is_anomaly.any() else None,
        delay_rows=float(np.median(known_delays)) if known_delays else None,
        roc_auc=float(roc_auc_score(is_faulty, score)),
        average_precision=float(average_precision_score(is_faulty, score)),
        signals=_signal_results(injection_runs, detection_delays, sizes)
        if case.one_signal
        else None,
    )


def _signal_results(
    injection_runs: list[tuple[InjectedFaults, Detections]],
    detection_delays: list[int | None],
    sizes: FaultSizes,
) -> dict[str, SignalResult]:
    """Return the results of each changed signal, in the order of the schema."""
    changed_signals = [
        int(signal) for injected, _ in injection_runs for (signal,) in injected.signals
    ]
    results = {}
    for signal in sorted(set(changed_signals)):
        is_found = [
            delay is not None
            for changed_signal, delay in zip(changed_signals, detection_delays, strict=True)
            if changed_signal == signal
        ]
        results[sizes.columns[signal].name] = SignalResult(
            float(sizes.spread[signal]), len(is_found), sum(is_found) / len(is_found)
        )
    return results


def _detection_delays(injected: InjectedFaults, is_anomaly: NDArray[np.bool_]) -> list[int | None]:
    """Return each episode's number of rows before its first alarm, or None without an alarm."""
    return [
        int(np.argmax(is_anomaly[rows])) if is_anomaly[rows].any() else None
        for rows in injected.episodes
    ]


def empty_result(case: FaultCase, rows: int) -> CaseResult:
    """Return the results of a case without injected faults."""
    return CaseResult(case.name, case.size, 0, rows, 0, None, None, None, None, None, None, None)
