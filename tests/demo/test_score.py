"""Recall and precision of alarms agree with counts made by hand."""

from sensorwatch.common.kafka.records import Coordinates
from sensorwatch.demo.score import KindScore, Observations, Ratio, SeverityScore, score


def coordinates_at(offset: int) -> Coordinates:
    return Coordinates("sensors", 0, offset)


def observations_of(*rows: tuple[bytes, str], **alarms: tuple[int, ...]) -> Observations:
    """Return observations of one partition.

    `rows`: key and label of each record; `alarms`: for each alarm episode, the offsets of its rows.
    """
    observations = Observations()
    for offset, (key, label) in enumerate(rows):
        observations.add_record(coordinates_at(offset), key, label)
    for episode_name, offsets in alarms.items():
        for offset in offsets:
            observations.add_alarm(coordinates_at(offset), episode_name, "warning")
    return observations


def test_consecutive_rows_of_a_sensor_with_one_label_are_a_fault_episode() -> None:
    observations = observations_of(
        (b"a", "drift"), (b"b", ""), (b"a", "drift"), (b"a", ""), (b"a", "drift")
    )

    assert observations.fault_episodes == ["drift", "drift"]
    assert [observations.labels[coordinates_at(offset)] for offset in (0, 2, 4)] == [0, 0, 1]


def test_another_label_begins_another_fault_episode() -> None:
    assert observations_of((b"a", "drift"), (b"a", "spike")).fault_episodes == ["drift", "spike"]


def test_each_of_two_sensors_with_the_same_fault_has_its_own_episode() -> None:
    assert observations_of((b"a", "drift"), (b"b", "drift")).fault_episodes == ["drift", "drift"]


def test_detected_rows_and_episodes_are_counted_by_kind() -> None:
    observations = observations_of(
        (b"a", "drift"), (b"a", "drift"), (b"b", "drift"), (b"c", "spike"), one=(1,), two=(3,)
    )

    assert score(observations).kinds == (
        KindScore("spike", rows=1, rows_detected=1, episodes=1, episodes_detected=1),
        KindScore("drift", rows=3, rows_detected=1, episodes=2, episodes_detected=1),
    )
    assert score(observations).row_recall == Ratio(2, 4)


def test_row_precision_counts_alarms_of_labelled_rows() -> None:
    observations = observations_of((b"a", ""), (b"a", "spike"), (b"a", ""), one=(0, 1))

    assert score(observations).row_precision == Ratio(1, 2)
    assert score(observations).false_alarms == Ratio(1, 2)


def test_an_alarm_episode_is_true_if_one_of_its_rows_is_labelled() -> None:
    observations = observations_of(
        (b"a", ""), (b"a", "drift"), (b"a", ""), (b"a", ""), one=(0, 1, 2, 3)
    )

    assert score(observations).row_precision == Ratio(1, 4)
    assert score(observations).false_alarms_beside_faults == 3
    assert score(observations).episode_precision == Ratio(1, 1)


def test_a_false_alarm_episode_of_several_rows_counts_once() -> None:
    observations = observations_of(
        (b"a", "drift"), *[(b"b", "")] * 5, true=(0,), false=(1, 2, 3, 4, 5)
    )

    assert score(observations).row_precision == Ratio(1, 6)
    assert score(observations).false_alarms_beside_faults == 0
    assert score(observations).episode_precision == Ratio(1, 2)


def test_two_alarm_episodes_in_one_fault_episode_are_both_true() -> None:
    observations = observations_of(*[(b"a", "drift")] * 4, one=(0,), two=(2, 3))

    assert score(observations).episode_precision == Ratio(2, 2)


def test_an_alarm_episode_without_a_labelled_row_is_false() -> None:
    observations = observations_of((b"a", ""), (b"a", "spike"), (b"a", ""), one=(0, 2))

    assert score(observations).episode_precision == Ratio(0, 1)


def test_each_severity_counts_its_alarm_episodes_and_the_faults_found_at_least_at_it() -> None:
    observations = observations_of(
        *[(b"a", "drift")] * 2, (b"b", "spike"), (b"c", ""), (b"d", "malformed"), (b"e", "noise")
    )
    observations.add_alarm(coordinates_at(0), "one", "warning")
    observations.add_alarm(coordinates_at(1), "one", "critical")
    observations.add_alarm(coordinates_at(2), "two", "info")
    observations.add_alarm(coordinates_at(3), "three", "info")

    critical, major, warning, info = score(observations).severities

    assert critical == SeverityScore("critical", precision=Ratio(1, 1), recall=Ratio(1, 3))
    assert major == SeverityScore("major", precision=Ratio(0, 0), recall=Ratio(1, 3))
    assert warning == SeverityScore("warning", precision=Ratio(0, 0), recall=Ratio(1, 3))
    assert info == SeverityScore("info", precision=Ratio(1, 2), recall=Ratio(2, 3))


def test_the_severity_of_an_alarm_episode_does_not_fall() -> None:
    observations = observations_of((b"a", "drift"), (b"a", "drift"))
    observations.add_alarm(coordinates_at(0), "one", "major")
    observations.add_alarm(coordinates_at(1), "one", "warning")

    assert observations.severities == {"one": "major"}


def test_a_malformed_row_is_detected_by_its_dead_letter_and_is_not_an_alarm() -> None:
    observations = observations_of((b"a", "malformed"), (b"b", "malformed"))
    observations.dead_letters |= {coordinates_at(0)}

    demo_score = score(observations)

    assert demo_score.kinds == (KindScore("malformed", 2, 1, 2, 1),)
    assert demo_score.row_precision == demo_score.episode_precision == Ratio(0, 0)
