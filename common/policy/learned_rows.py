"""Finds the learned suppression of each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.learned import LearnedSignal, LearnedSuppression
from sensorwatch.common.policy.rules import Direction
from sensorwatch.common.policy.verdicts import UNUSUAL, RowEvidence, unusual_signals


@dataclass(frozen=True, slots=True)
class LearnedRows:
    """k anomalous rows, as learned suppressions judge them; each array has shape (k,)."""

    sensor_ids: Sequence[str]
    """Sensor of each row."""
    event_time: NDArray[np.int64]
    number: NDArray[np.int64]
    """Number of the row in its episode; the first row has number 1."""
    pattern: Sequence[str]
    """Pattern of the row's episode so far."""
    evidence: RowEvidence


def learned_rules(
    suppressions: Sequence[LearnedSuppression],
    rows: LearnedRows,
    signal_names: Sequence[str],
    group_of: Callable[[str], str] | None,
) -> NDArray[np.int64]:
    """Return the number of the first suppression that covers each row, shape (k,); 0 if none does.

    `group_of`: the group of a sensor id; None if the schema declares no group.
    """
    rule = np.zeros(len(rows.number), dtype=np.int64)
    is_unusual, _ = unusual_signals(rows.evidence.strength)
    patterns = np.asarray(rows.pattern, dtype=object)
    for suppression in suppressions:
        candidates = np.flatnonzero(
            (rule == 0)
            & _is_in_scope(suppression, rows.sensor_ids, group_of)
            & (rows.event_time < suppression.expires)
            & np.isin(patterns, suppression.patterns)
        )
        if suppression.max_rows is not None:
            candidates = candidates[rows.number[candidates] <= suppression.max_rows]
        if len(candidates):
            is_covered = _is_alike(suppression, rows, candidates, is_unusual, signal_names)
            rule[candidates[is_covered]] = suppression.key
    return rule


def _is_in_scope(
    suppression: LearnedSuppression,
    sensor_ids: Sequence[str],
    group_of: Callable[[str], str] | None,
) -> NDArray[np.bool_]:
    if not suppression.group:
        return np.asarray([sensor == suppression.sensor for sensor in sensor_ids], dtype=np.bool_)
    if group_of is None:
        return np.zeros(len(sensor_ids), dtype=np.bool_)
    return np.asarray([group_of(s) == suppression.group for s in sensor_ids], dtype=np.bool_)


def _is_alike(
    suppression: LearnedSuppression,
    rows: LearnedRows,
    candidates: NDArray[np.int64],
    is_unusual: NDArray[np.bool_],
    signal_names: Sequence[str],
) -> NDArray[np.bool_]:
    """Return whether each candidate row can be a row of an alike excursion.

    The suppression must cover every unusual signal. In the first row, the signal with the most
    evidence counts as unusual, and the leading signal of the suppression must be unusual. In a
    later row, a signal may have returned to its usual level.
    """
    evidence = rows.evidence
    strength = evidence.strength[candidates]
    is_first = rows.number[candidates] == 1
    counted = np.where(is_first[:, np.newaxis], is_unusual[candidates], np.abs(strength) > UNUSUAL)
    size = np.abs(evidence.deviation[:, candidates]).max(axis=0)
    is_exempt = evidence.is_exempt[candidates]
    is_covered = np.zeros(strength.shape, dtype=np.bool_)
    positions = {name: position for position, name in enumerate(signal_names)}
    for signal in suppression.signals:
        position = positions.get(signal.name)
        if position is not None:
            is_covered[:, position] = is_exempt[:, position] | (
                (size[:, position] <= signal.max_deviation)
                & _has_direction(signal, evidence, candidates, position, is_first)
            )
    leading = suppression.signals[0]
    begins_alike = np.zeros(len(candidates), dtype=np.bool_)
    if leading.name in positions:
        position = positions[leading.name]
        is_large = is_exempt[:, position] | (size[:, position] >= leading.min_start)
        begins_alike = counted[:, position] & is_large
    has_evidence = strength.any(axis=1)
    is_alike: NDArray[np.bool_] = (
        (is_covered | ~counted).all(axis=1) & has_evidence & (~is_first | begins_alike)
    )
    return is_alike


def _has_direction(
    signal: LearnedSignal,
    evidence: RowEvidence,
    candidates: NDArray[np.int64],
    position: int,
    is_first: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return whether the signal deviates in the learned direction.

    In a later row, it may be usual again.
    """
    if signal.direction is Direction.BOTH:
        return np.ones(len(candidates), dtype=np.bool_)
    sign = 1.0 if signal.direction is Direction.HIGH else -1.0
    has_direction: NDArray[np.bool_] = np.where(
        is_first,
        sign * evidence.strength[candidates, position] > 0.0,
        sign * evidence.level[candidates, position] >= -UNUSUAL,
    )
    return has_direction
