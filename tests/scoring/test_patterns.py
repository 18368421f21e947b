"""Patterns: the kind of change of an episode, and its sentence."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from sensorwatch.common.scoring.explanation import BAND_SPREADS, rank_signals
from sensorwatch.common.scoring.pattern_sentences import sentences
from sensorwatch.common.scoring.patterns import PATTERNS, Pattern
from sensorwatch.common.simulation.faults import FaultKind
from tests.scoring.faulty import FAULT_SIZES, SENSORS, DetectedFaults, detect_faults

EXPECTED = {
    FaultKind.SPIKE: Pattern.SPIKE,
    FaultKind.LEVEL_SHIFT: Pattern.LEVEL_SHIFT,
    FaultKind.NOISE_BURST: Pattern.NOISE,
    FaultKind.STUCK: Pattern.STUCK,
    FaultKind.BROKEN_CORRELATION: Pattern.BROKEN_CORRELATION,
}
WORDS = {
    FaultKind.SPIKE: "jumped to",
    FaultKind.LEVEL_SHIFT: "its usual level since",
    FaultKind.NOISE_BURST: "varies much more than usual since",
    FaultKind.STUCK: "it normally changes every row",
    FaultKind.BROKEN_CORRELATION: "no longer move together since",
}


@cache
def _detected_faults(kind: FaultKind) -> DetectedFaults:
    return detect_faults("three", kind, size=FAULT_SIZES[kind], slots=3)


def _last_rows(detected: DetectedFaults) -> list[int]:
    rows = [detected.rows(fault) for fault in detected.faults]
    return [int(fault_rows[-1]) for fault_rows in rows if len(fault_rows)]


@pytest.mark.parametrize("kind", list(EXPECTED))
def test_the_last_row_of_a_fault_names_its_pattern(kind: FaultKind) -> None:
    detected = _detected_faults(kind)
    last_rows = _last_rows(detected)

    patterns = Counter(
        PATTERNS[number] for number in detected.outcome.detections.pattern[last_rows].tolist()
    )

    assert patterns[EXPECTED[kind]] >= 0.65 * len(last_rows), patterns


@pytest.mark.parametrize("kind", list(EXPECTED))
def test_the_sentence_says_the_pattern_and_names_a_signal(kind: FaultKind) -> None:
    detected = _detected_faults(kind)
    pattern = detected.outcome.detections.pattern
    last_rows = [row for row in _last_rows(detected) if PATTERNS[pattern[row]] == EXPECTED[kind]]
    rows = np.asarray(last_rows)

    ranked = rank_signals(detected.detector, detected.outcome, rows)

    for text in sentences(detected.detector, detected.outcome, rows, ranked):
        assert WORDS[kind] in text
        assert text.split()[0] in detected.detector.schema.signal_names


def test_normal_rows_have_no_pattern_and_anomalous_rows_have_one() -> None:
    detections = _detected_faults(FaultKind.LEVEL_SHIFT).outcome.detections

    assert ((detections.pattern > 0) == detections.is_anomaly).all()


def test_the_band_of_a_shifted_level_does_not_follow_the_fault() -> None:
    detected = _detected_faults(FaultKind.LEVEL_SHIFT)
    pattern = detected.outcome.detections.pattern
    rows = np.asarray(
        [row for row in _last_rows(detected) if PATTERNS[pattern[row]] is Pattern.LEVEL_SHIFT]
    )

    ranked = rank_signals(detected.detector, detected.outcome, rows)

    evidence = detected.outcome.detections.evidence
    lead = ranked.signal[:, 0]
    distance = ranked.expected[:, 0] - evidence.reference[rows, lead]
    assert (np.abs(distance) <= 2.0 * evidence.scale[rows, lead]).all()


@pytest.mark.parametrize("batch_rows", [SENSORS * 7 + 3])
def test_patterns_do_not_depend_on_the_cut_into_micro_batches(batch_rows: int) -> None:
    detected = _detected_faults(FaultKind.NOISE_BURST)
    detector, readings = detected.detector, detected.outcome.readings
    memory = detector.empty_memory()

    parts = [
        detector.detect(readings.take(slice(first, first + batch_rows)), memory).detections
        for first in range(0, len(readings), batch_rows)
    ]

    pattern = np.concatenate([part.pattern for part in parts])
    np.testing.assert_array_equal(pattern, detected.outcome.detections.pattern)


def test_the_sentence_of_a_value_that_has_returned_says_so() -> None:
    detected = _detected_faults(FaultKind.LEVEL_SHIFT)
    pattern = detected.outcome.detections.pattern
    rows = np.flatnonzero(pattern == PATTERNS.index(Pattern.LEVEL_SHIFT))
    ranked = rank_signals(detected.detector, detected.outcome, rows)
    sigma = (ranked.expected_high - ranked.expected_low)[:, 0] / (2.0 * BAND_SPREADS)
    has_returned = np.abs(ranked.actual - ranked.expected)[:, 0] < sigma

    texts = sentences(detected.detector, detected.outcome, rows, ranked)

    assert has_returned.any()
    assert ["is back at its usual level" in text for text in texts] == has_returned.tolist()
