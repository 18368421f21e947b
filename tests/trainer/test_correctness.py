import json
from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.trainer.dataset import by_time
from sensorwatch.trainer.path_consistency import (
    WAYS,
    Way,
    Written,
    agreement,
    correctness,
    through_kafka,
)
from sensorwatch.trainer.training import train
from tests.reading_builders import a_schema, some_readings
from tests.trainer.training_builders import HOW, PLAIN, a_dataset, a_trained, simulated


def test_a_way_that_changes_one_bit_of_one_row_is_caught() -> None:
    def through_a_lossy_file(written: Written, detector: Detector) -> list[Outcome]:
        cells = [list(row) for row in written.cells]
        value = cells[7][2]
        assert isinstance(value, float)
        cells[7][2] = float(np.nextafter(value, np.inf))
        return WAYS["csv"](replace(written, cells=cells), detector)

    detector = a_trained(PLAIN).detector("v")

    section = correctness(
        by_time(simulated()), detector, lambda: detector, ways={"csv": through_a_lossy_file}
    )

    (failed,) = [check for check in section.checks if not check.passed]
    assert failed.name == "correctness.kafka_and_csv"
    assert failed.observed == "1 of 4000 rows differ"


def through_a_short_memory(written: Written, detector: Detector) -> list[Outcome]:
    """Forget everything in the middle of the rows."""
    half = len(written.payloads) // 2
    parts = (written.payloads[:half], written.payloads[half:])
    return [through_kafka(replace(written, payloads=part), detector)[0] for part in parts]


def without_ends(written: Written, detector: Detector) -> list[Outcome]:
    return [replace(outcome, closed=[]) for outcome in through_kafka(written, detector)]


def with_other_episodes(written: Written, detector: Detector) -> list[Outcome]:
    outcomes = through_kafka(written, detector)
    later = [np.where(o.detections.episode < 0, -1, o.detections.episode + 1) for o in outcomes]
    return [
        replace(o, detections=replace(o.detections, episode=episode))
        for o, episode in zip(outcomes, later, strict=True)
    ]


@pytest.mark.parametrize("way", [through_a_short_memory, without_ends, with_other_episodes])
def test_a_way_that_loses_its_memory_or_an_episode_is_caught(way: Way) -> None:
    """The rows hold a level shift, so that there is an episode, and its end."""
    readings = by_time(simulated()).take(slice(0, 900))
    values = readings.values.copy()
    values[(readings.sensor == 3) & (readings.index >= 300) & (readings.index < 600)] += 20.0
    detector = a_trained().detector("v")

    section = correctness(
        replace(readings, values=values), detector, lambda: detector, ways={"way": way}
    )

    assert [c.name for c in section.checks if not c.passed] == ["correctness.kafka_and_way"]


def test_a_way_that_loses_a_row_is_caught() -> None:
    def through_a_hole(written: Written, detector: Detector) -> list[Outcome]:
        return through_kafka(replace(written, payloads=written.payloads[:-1]), detector)

    detector = a_trained().detector("v")

    section = correctness(
        by_time(simulated()), detector, lambda: detector, ways={"rest": through_a_hole}
    )

    assert [c.name for c in section.checks if not c.passed] == ["correctness.kafka_and_rest"]


def test_a_model_that_comes_back_different_from_the_disk_is_caught() -> None:
    detector = a_trained().detector("v")
    other = a_trained(HOW.model_copy(update={"seed": 1})).detector("v")

    section = correctness(by_time(simulated()), detector, lambda: other)

    assert [c.name for c in section.checks if not c.passed] == [
        "correctness.reloaded",
        "correctness.reloaded_again",
    ]


def test_a_forest_that_is_not_its_estimators_is_caught() -> None:
    candidate, other = a_trained(), a_trained(HOW.model_copy(update={"seed": 1}))
    readings = by_time(simulated())

    assert agreement(candidate.detector("v"), candidate.estimator, readings).passed
    assert not agreement(candidate.detector("v"), other.estimator, readings).passed


@pytest.mark.parametrize("time_format", ["epoch_ms", "epoch_s", "%d.%m.%Y %H:%M:%S.%f"])
def test_every_time_format_nested_fields_and_odd_sensor_names_keep_their_bits(
    time_format: str,
) -> None:
    plain = a_schema().to_plain()
    plain["time"] |= {"format": time_format, "naive_zone": "Europe/Oslo"}
    plain["key"]["field"] = "meta.id"
    plain["signals"][1]["field"] = "payload.deep.x2"
    plain["csv"]["delimiter"] = ";"
    schema = Schema.model_validate_json(json.dumps(plain))
    readings = replace(
        some_readings(300),
        sensor_ids=(' a"b;c', "d'e,f "),
        event_time=some_readings(300).event_time + np.arange(300) * 137,
    )
    candidate = train(readings, schema, a_dataset(readings).source, HOW)
    detector = candidate.detector("v")

    section = correctness(by_time(readings), detector, lambda: detector)

    assert [check.name for check in section.checks if not check.passed] == []
