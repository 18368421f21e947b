"""A signal that no row has had for some minutes is reported once, by its name."""

import numpy as np
from prometheus_client import CollectorRegistry

from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.runtime.metrics import MemoryMetrics
from sensorwatch.consumer.held_signals import HeldSignals, held_signals

NAMES = ["x1", "x2"]


class HeldRig:
    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.held = HeldSignals(MemoryMetrics(self.registry).held_values, lambda: self.now)

    def count(self, *rows: tuple[bool, bool], minutes: float = 1.0) -> list[str]:
        sentences = list(self.held.count(NAMES, np.asarray(rows).reshape(-1, 2)))
        self.now += 60 * minutes
        return sentences

    def held_values(self, signal: str) -> float | None:
        return self.registry.get_sample_value("sensorwatch_held_values_total", {"signal": signal})


def test_a_signal_without_a_value_for_five_minutes_is_named_once() -> None:
    rig = HeldRig()

    sentences = [rig.count(*[(False, True)] * 3) for _ in range(9)]

    assert [bool(texts) for texts in sentences] == [False] * 5 + [True] + [False] * 3
    (sentence,) = sentences[5]
    assert sentence == (
        "no row has had a value of 'x2' for 5 minutes (18 rows): its last values are used. Check "
        "whether its field was renamed"
    )


def test_one_value_starts_the_time_again_and_allows_another_report() -> None:
    rig = HeldRig()
    for _ in range(5):
        assert rig.count(*[(False, True)] * 5) == []
    assert rig.count((False, True), (False, False)) == []

    sentences = [rig.count(*[(False, True)] * 5) for _ in range(6)]

    assert [len(texts) for texts in sentences] == [0] * 5 + [1]


def test_few_rows_or_a_pause_without_rows_cause_no_report() -> None:
    rig = HeldRig()
    assert rig.count((False, True), minutes=30) == []
    assert rig.count(minutes=30) == []
    assert rig.count((False, True)) == []


def test_every_signal_that_may_be_missing_has_a_counter_from_the_first_rows_on() -> None:
    rig = HeldRig()

    rig.count((False, True), (False, True))

    assert (rig.held_values("x1"), rig.held_values("x2")) == (0.0, 2.0)


def test_only_signals_that_hold_values_are_watched_by_their_model_column() -> None:
    signals = [
        {"name": "direction", "wrap": 360, "min": 0, "max": 360},
        {"name": "speed", "missing": "hold_last"},
    ]
    assert held_signals(schema_from_plain({"signals": signals})) == {"speed": 2}
