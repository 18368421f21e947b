"""Finds the learned suppression of each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.learned import SIGNS, LearnedSignal, LearnedSuppression
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
    """Return whether each candidate row can be a row of an similar excursion.

    The suppression must cover every unusual signal. In the first row, the signal with the most
    evidence counts as unusual, and the signals with `min_start` must deviate. In a later row, they
    may have returned to their usual levels. Then smoothed residuals of any signal are still large
    for some rows, so only signals away from their level count.
    """
    evidence = rows.evidence
    strength = evidence.strength[candidates]
    is_first = rows.number[candidates] == 1
    is_away = np.abs(_later_strength(evidence, candidates)) > UNUSUAL
    counted = np.where(is_first[:, np.newaxis], is_unusual[candidates], is_away)
    size = np.abs(evidence.deviation[:, candidates]).max(axis=0)
    is_covered = np.zeros(strength.shape, dtype=np.bool_)
    begins_alike: NDArray[np.bool_] = np.ones(len(candidates), dtype=np.bool_)
    for rank, signal in enumerate(suppression.signals):
        if signal.name not in signal_names:
            begins_alike[:] &= rank > 0
            continue
        position = signal_names.index(signal.name)
        is_exempt = evidence.is_exempt[candidates, position]
        is_covered[:, position] = is_exempt | (
            (size[:, position] <= signal.max_deviation)
            & _has_direction(signal, evidence, candidates, position, is_first)
        )
        if signal.min_start > 0.0:
            deviation = evidence.deviation[:, candidates, position]
            is_large: NDArray[np.bool_] = _signed_size(signal, deviation) >= signal.min_start
            begins_alike &= is_exempt | is_large
        elif rank == 0:
            begins_alike &= counted[:, position]
    conditions = (
        (is_covered | ~counted).all(axis=1),
        strength.any(axis=1),  # without evidence, nothing is known about the row
        ~is_first | begins_alike,
    )
    is_alike: NDArray[np.bool_] = np.logical_and.reduce(conditions)
    return is_alike


def _later_strength(evidence: RowEvidence, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far each signal is from its level; the strength if it has no level."""
    level, strength = evidence.level[candidates], evidence.strength[candidates]
    return np.where((level == 0.0) | evidence.is_exempt[candidates], strength, level)


def _signed_size(signal: LearnedSignal, deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the larger of two deviations (2, k) in the direction of the signal."""
    if signal.direction is Direction.BOTH:
        signed = np.abs(deviation)
    else:
        signed = SIGNS[signal.direction] * deviation
    larger: NDArray[np.float64] = signed.max(axis=0)
    return larger


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
    sign = SIGNS[signal.direction]
    has_direction: NDArray[np.bool_] = np.where(
        is_first,
        sign * evidence.strength[candidates, position] > 0.0,
        sign * evidence.level[candidates, position] >= -UNUSUAL,
    )
    return has_direction
