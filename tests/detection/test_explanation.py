import numpy as np

from common.detection.explanation import Direction, SignalReading, signals_of_rows
from tests.builders import a_detector


def test_a_value_outside_of_the_training_band_is_low_or_high_and_the_ends_are_within() -> None:
    detector = a_detector()
    low, high = detector.ranges.low, detector.ranges.high
    values = np.stack([low, high, np.nextafter(low, -np.inf), np.nextafter(high, np.inf)])

    described = signals_of_rows(detector, values)

    assert [[signal.direction for signal in row] for row in described] == [
        [Direction.WITHIN] * 3,
        [Direction.WITHIN] * 3,
        [Direction.LOW] * 3,
        [Direction.HIGH] * 3,
    ]


def test_each_signal_stands_with_its_own_range_in_the_schema_s_order() -> None:
    detector = a_detector()
    ranges = detector.ranges

    (described,) = signals_of_rows(detector, np.asarray([[1.0, 2.0, 3.0]]))

    assert described[1] == SignalReading(
        "x2", 2.0, ranges.expected[1], ranges.low[1], ranges.high[1], Direction.WITHIN
    )
    assert [signal.name for signal in described] == ["x1", "x2", "x3"]
    assert [signal.actual for signal in described] == [1.0, 2.0, 3.0]


def test_no_rows_have_no_descriptions() -> None:
    assert signals_of_rows(a_detector(), np.empty((0, 3))) == []
