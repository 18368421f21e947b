"""Labels against alarms: recall and precision, counted by hand."""

from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.demo.score import KindScore, Observations, Ratio, score


def at(offset: int) -> Coordinates:
    return Coordinates("sensors", 0, offset)


def observed(*rows: tuple[bytes, str], **alarms: tuple[int, ...]) -> Observations:
    """The records of one partition (key, label), and the alarm episodes with their offsets."""
    seen = Observations()
    for offset, (key, label) in enumerate(rows):
        seen.add_record(at(offset), key, label)
    for episode, offsets in alarms.items():
        seen.alarms |= {at(offset): episode for offset in offsets}
    return seen


def test_a_fault_episode_is_a_sensors_consecutive_rows_with_one_label() -> None:
    seen = observed((b"a", "drift"), (b"b", ""), (b"a", "drift"), (b"a", ""), (b"a", "drift"))

    assert seen.fault_episodes == ["drift", "drift"]
    assert [seen.labels[at(offset)] for offset in (0, 2, 4)] == [0, 0, 1]


def test_another_label_begins_another_fault_episode() -> None:
    assert observed((b"a", "drift"), (b"a", "spike")).fault_episodes == ["drift", "spike"]


def test_two_sensors_with_the_same_fault_have_an_episode_each() -> None:
    assert observed((b"a", "drift"), (b"b", "drift")).fault_episodes == ["drift", "drift"]


def test_detected_rows_and_episodes_are_counted_by_kind() -> None:
    seen = observed(
        (b"a", "drift"), (b"a", "drift"), (b"b", "drift"), (b"c", "spike"), one=(1,), two=(3,)
    )

    assert score(seen).kinds == (
        KindScore("spike", rows=1, rows_detected=1, episodes=1, episodes_detected=1),
        KindScore("drift", rows=3, rows_detected=1, episodes=2, episodes_detected=1),
    )
    assert score(seen).row_recall == Ratio(2, 4)
    assert score(seen).episode_recall == Ratio(2, 3)


def test_row_precision_counts_alarms_of_labelled_rows() -> None:
    seen = observed((b"a", ""), (b"a", "spike"), (b"a", ""), one=(0, 1))

    assert score(seen).row_precision == Ratio(1, 2)
    assert score(seen).false_alarms == Ratio(1, 2)


def test_an_alarm_episode_is_true_if_one_of_its_rows_is_labelled() -> None:
    seen = observed((b"a", ""), (b"a", "drift"), (b"a", ""), (b"a", ""), one=(0, 1, 2, 3))

    assert score(seen).row_precision == Ratio(1, 4)
    assert score(seen).false_alarms_beside_faults == 3
    assert score(seen).episode_precision == Ratio(1, 1)


def test_an_alarm_episode_is_false_once_however_many_rows_it_has() -> None:
    seen = observed((b"a", "drift"), *[(b"b", "")] * 5, true=(0,), false=(1, 2, 3, 4, 5))

    assert score(seen).row_precision == Ratio(1, 6)
    assert score(seen).false_alarms_beside_faults == 0
    assert score(seen).episode_precision == Ratio(1, 2)


def test_two_alarm_episodes_in_one_fault_episode_are_both_true() -> None:
    seen = observed(*[(b"a", "drift")] * 4, one=(0,), two=(2, 3))

    assert score(seen).episode_precision == Ratio(2, 2)
    assert score(seen).episode_recall == Ratio(1, 1)


def test_an_alarm_episode_beside_a_fault_is_false() -> None:
    seen = observed((b"a", ""), (b"a", "spike"), (b"a", ""), one=(0, 2))

    assert score(seen).episode_precision == Ratio(0, 1)
    assert score(seen).episode_recall == Ratio(0, 1)


def test_a_malformed_row_is_detected_by_its_dead_letter_and_is_no_alarm() -> None:
    seen = observed((b"a", "malformed"), (b"b", "malformed"))
    seen.dead_letters |= {at(0)}

    result = score(seen)

    assert result.kinds == (KindScore("malformed", 2, 1, 2, 1),)
    assert result.row_precision == result.episode_precision == Ratio(0, 0)
    assert result.episode_recall == Ratio(1, 2)
