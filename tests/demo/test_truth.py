"""Labels against outcomes: episodes, recall and precision counted by hand."""

from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.demonstration.truth import KindScore, Truth, score


def at(offset: int) -> Coordinates:
    return Coordinates("sensors", 0, offset)


def truth_of(*rows: tuple[bytes, str]) -> Truth:
    """The records of one partition: key and label, offsets from 0 on."""
    truth = Truth()
    for offset, (key, label) in enumerate(rows):
        truth.record(at(offset), key, label)
    return truth


def test_an_episode_is_a_sensors_labelled_rows_in_a_row_whatever_lies_between_them() -> None:
    truth = truth_of((b"a", "drift"), (b"b", ""), (b"a", "drift"), (b"a", ""), (b"a", "drift"))

    assert truth.episodes == ["drift", "drift"]
    assert [truth.labels[at(offset)] for offset in (0, 2, 4)] == [0, 0, 1]


def test_two_sensors_with_the_same_fault_have_an_episode_each() -> None:
    assert truth_of((b"a", "drift"), (b"b", "drift")).episodes == ["drift", "drift"]


def test_rows_and_episodes_found_are_counted_by_kind() -> None:
    truth = truth_of((b"a", "drift"), (b"a", "drift"), (b"b", "drift"), (b"c", "spike"))
    truth.events |= {at(1), at(3)}

    assert score(truth).kinds == (
        KindScore("spike", rows=1, rows_found=1, episodes=1, episodes_found=1),
        KindScore("drift", rows=3, rows_found=1, episodes=2, episodes_found=1),
    )


def test_an_event_of_a_healthy_row_is_a_false_alarm() -> None:
    truth = truth_of((b"a", ""), (b"a", "spike"), (b"a", ""))
    truth.events |= {at(0), at(1)}

    found = score(truth)

    assert (found.true_alarms, found.false_alarms, found.healthy_rows) == (1, 1, 2)


def test_a_malformed_row_is_found_by_its_dead_letter_and_is_no_alarm() -> None:
    truth = truth_of((b"a", "malformed"), (b"b", "malformed"))
    truth.letters |= {at(0)}

    found = score(truth)

    assert found.kinds == (KindScore("malformed", 2, 1, 2, 1),)
    assert (found.true_alarms, found.false_alarms, found.alarmed_episodes) == (0, 0, 0)
