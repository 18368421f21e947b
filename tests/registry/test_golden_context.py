"""Golden rows can have context and missing values, but no value that a reading cannot have."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.levels import no_levels
from sensorwatch.common.registry.archive import Arrays, pack, unpack
from sensorwatch.common.registry.golden_rows import check_golden_rows, golden_arrays
from sensorwatch.common.rows.field_declarations import MissingPolicy, NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from tests.reading_builders import a_candidate, a_detector

SCHEMA = Schema(
    signals=(
        NumericColumn(name="x1"),
        NumericColumn(name="x2"),
        NumericColumn(name="x3", missing=MissingPolicy.HOLD_LAST),
    ),
    context=(
        NumericColumn(name="load", missing=MissingPolicy.HOLD_LAST),
        NumericColumn(name="speed"),
    ),
)


def detector_and_readings_with_context() -> tuple[Detector, Readings]:
    detector = replace(a_detector(), schema=SCHEMA, levels=no_levels(np.zeros(len(SCHEMA.columns))))
    readings = a_candidate().golden
    values, context = readings.values.copy(), np.zeros((len(readings), 2))
    values[4, 2] = context[7, 0] = np.nan
    return detector, replace(readings, values=values, context=context)


def detector_and_golden_rows() -> tuple[Detector, Arrays]:
    detector, readings = detector_and_readings_with_context()
    return detector, unpack(pack(golden_arrays(detector, readings)), "golden.npz")


def test_context_and_missing_values_are_stored_and_scored_again() -> None:
    detector, golden = detector_and_golden_rows()

    assert np.argwhere(np.isnan(golden["values"])).tolist() == [[4, 2]]
    assert np.argwhere(np.isnan(golden["context"])).tolist() == [[7, 0]]
    check_golden_rows(detector, golden)


def test_golden_rows_of_a_schema_without_context_store_no_context() -> None:
    golden = golden_arrays(a_detector(), a_candidate().golden)

    assert "context" not in golden
    check_golden_rows(a_detector(), golden)


def test_golden_rows_without_the_context_of_the_schema_are_refused() -> None:
    detector, golden = detector_and_golden_rows()
    del golden["context"]

    with pytest.raises(ModelRefused, match=r"context is not <f8 of shape \(50, 2\)"):
        check_golden_rows(detector, golden)


@pytest.mark.parametrize(
    ("array", "column", "value"),
    [("values", 0, np.nan), ("values", 2, np.inf), ("context", 1, np.nan), ("context", 0, -np.inf)],
)
def test_values_that_no_reading_can_have_are_refused(array: str, column: int, value: float) -> None:
    detector, golden = detector_and_golden_rows()
    golden[array][0, column] = value

    with pytest.raises(ModelRefused, match="contain values that no reading can have"):
        check_golden_rows(detector, golden)
