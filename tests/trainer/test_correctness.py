"""The consistency checks detect every difference between the scoring paths."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.path_consistency import (
    SCORING_PATHS,
    ScoringPath,
    SerializedRows,
    path_consistency_section,
    score_through_kafka,
    sklearn_agreement,
)
from sensorwatch.trainer.training import train
from tests.reading_builders import a_schema, some_readings
from tests.trainer.training_builders import (
    PLAIN_SETTINGS,
    TRAINER_SETTINGS,
    a_dataset,
    a_trained_candidate,
    simulated_readings,
)


def test_a_path_that_changes_one_bit_of_one_row_fails() -> None:
    def path_that_changes_a_bit(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
        cells = [list(row) for row in serialized.cells]
        value = cells[7][2]
        assert isinstance(value, float)
        cells[7][2] = float(np.nextafter(value, np.inf))
        return SCORING_PATHS["csv"](replace(serialized, cells=cells), detector)

    detector = a_trained_candidate(PLAIN_SETTINGS).detector("v")

    section = path_consistency_section(
        sort_by_time(simulated_readings()),
        detector,
        lambda: detector,
        scoring_paths={"csv": path_that_changes_a_bit},
    )

    (failed_check,) = [check for check in section.checks if not check.passed]
    assert failed_check.name == "correctness.kafka_and_csv"
    assert failed_check.observed == "1 of 4000 rows differ"


def path_that_clears_the_memory(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score the rows in two halves, each with an empty memory at the start."""
    half_length = len(serialized.payloads) // 2
    halves = (serialized.payloads[:half_length], serialized.payloads[half_length:])
    return [score_through_kafka(replace(serialized, payloads=rows), detector)[0] for rows in halves]


def path_without_closed_episodes(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
    return [replace(outcome, closed=[]) for outcome in score_through_kafka(serialized, detector)]


def path_with_shifted_episodes(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
    outcomes = score_through_kafka(serialized, detector)
    episodes = [
        np.where(outcome.detections.episode < 0, -1, outcome.detections.episode + 1)
        for outcome in outcomes
    ]
    return [
        replace(outcome, detections=replace(outcome.detections, episode=episode))
        for outcome, episode in zip(outcomes, episodes, strict=True)
    ]


@pytest.mark.parametrize(
    "scoring_path",
    [path_that_clears_the_memory, path_without_closed_episodes, path_with_shifted_episodes],
)
def test_a_path_that_loses_its_memory_or_an_episode_fails(scoring_path: ScoringPath) -> None:
    """The rows contain a level shift, so that an episode opens and closes."""
    readings = sort_by_time(simulated_readings()).take(slice(0, 900))
    values = readings.values.copy()
    values[(readings.sensor == 3) & (readings.index >= 300) & (readings.index < 600)] += 20.0
    detector = a_trained_candidate().detector("v")

    section = path_consistency_section(
        replace(readings, values=values),
        detector,
        lambda: detector,
        scoring_paths={"faulty": scoring_path},
    )

    assert [check.name for check in section.checks if not check.passed] == [
        "correctness.kafka_and_faulty"
    ]


def test_a_path_that_loses_a_row_fails() -> None:
    def path_that_loses_a_row(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
        return score_through_kafka(replace(serialized, payloads=serialized.payloads[:-1]), detector)

    detector = a_trained_candidate().detector("v")

    section = path_consistency_section(
        sort_by_time(simulated_readings()),
        detector,
        lambda: detector,
        scoring_paths={"rest": path_that_loses_a_row},
    )

    assert [check.name for check in section.checks if not check.passed] == [
        "correctness.kafka_and_rest"
    ]


def test_a_reloaded_model_that_differs_fails() -> None:
    detector = a_trained_candidate().detector("v")
    other_detector = a_trained_candidate(TRAINER_SETTINGS.model_copy(update={"seed": 1})).detector(
        "v"
    )

    section = path_consistency_section(
        sort_by_time(simulated_readings()), detector, lambda: other_detector
    )

    assert [check.name for check in section.checks if not check.passed] == [
        "correctness.reloaded",
        "correctness.reloaded_again",
    ]


def test_a_forest_that_differs_from_its_estimator_fails() -> None:
    candidate, other_candidate = (
        a_trained_candidate(),
        a_trained_candidate(TRAINER_SETTINGS.model_copy(update={"seed": 1})),
    )
    readings = sort_by_time(simulated_readings())

    assert sklearn_agreement(candidate.detector("v"), candidate.estimator, readings).passed
    assert not sklearn_agreement(
        candidate.detector("v"), other_candidate.estimator, readings
    ).passed


@pytest.mark.parametrize("time_format", ["epoch_ms", "epoch_s", "%d.%m.%Y %H:%M:%S.%f"])
def test_paths_agree_for_time_formats_nested_fields_and_unusual_sensor_ids(
    time_format: str,
) -> None:
    plain_schema = a_schema().to_plain()
    plain_schema["time"] |= {"format": time_format, "naive_zone": "Europe/Oslo"}
    plain_schema["key"]["field"] = "meta.id"
    plain_schema["signals"][1]["field"] = "payload.deep.x2"
    plain_schema["csv"]["delimiter"] = ";"
    schema = Schema.model_validate_json(json.dumps(plain_schema))
    readings = replace(
        some_readings(300),
        sensor_ids=(' a"b;c', "d'e,f "),
        event_time=some_readings(300).event_time + np.arange(300) * 137,
    )
    candidate = train(readings, schema, a_dataset(readings).source, TRAINER_SETTINGS)
    detector = candidate.detector("v")

    section = path_consistency_section(sort_by_time(readings), detector, lambda: detector)

    assert [check.name for check in section.checks if not check.passed] == []
