"""Pydantic models that describe the responses in the OpenAPI document.

Tests check that real responses match these models.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sensorwatch.api.predict_response import OnError, Signals
from sensorwatch.common.rows.absorption import AbsorbedReason
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.common.scoring.explanation import Direction
from sensorwatch.common.scoring.patterns import Pattern
from sensorwatch.common.scoring.policy_texts import Cause
from sensorwatch.common.scoring.status import Status
from sensorwatch.common.scoring.suppression import Suppression


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictQuery(_StrictModel):
    """The query parameters of /predict. A request with any other parameter is refused."""

    on_error: Annotated[
        OnError,
        Field(
            description="`skip`: list the errors of each bad row and score the others. "
            "A bad history row always refuses the request."
        ),
    ] = OnError.REJECT
    signals: Annotated[
        Signals, Field(description="`all`: list the signals of normal rows too.")
    ] = Signals.ANOMALOUS


class SignalModel(_StrictModel):
    """One signal of a row, with its expected value and band."""

    name: str
    actual: float
    expected: Annotated[
        float,
        Field(
            description="The forecast from the sensor's previous rows; the sensor's level if there "
            "is no memory; the training median for a plain model."
        ),
    ]
    expected_low: Annotated[
        float, Field(description="Lower end of the band with about 99 % of clean rows.")
    ]
    expected_high: Annotated[
        float, Field(description="Upper end of the band with about 99 % of clean rows.")
    ]
    direction: Direction
    attribution: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The signal's share of the anomaly: how much the score drops if the signal "
            "is replaced by its expected value. Signals are sorted from the highest share to the "
            "lowest; the sum is 1.",
        ),
    ]
    held: Annotated[bool, Field(description="True if the value was missing and carried forward.")]


_ROW_PLACE = (
    "Index of the row in the array of the item, from 0. For a joined row, its number among the "
    "joined rows with the same `index`. Absent if the item is one row."
)


class ScoredRow(_StrictModel):
    """A row with its score."""

    index: Annotated[
        int,
        Field(
            ge=0,
            description="Index of the row's item in `rows`, from 0. For a row that was joined from "
            "values in long form, the last item with one of these values.",
        ),
    ]
    row: Annotated[int | None, Field(ge=0, description=_ROW_PLACE)] = None
    items: Annotated[
        list[int] | None,
        Field(
            description="Only for a joined row: the indices of all items with its values. A "
            "negative index is an item of `history`."
        ),
    ] = None
    sensor_id: str
    event_time: datetime
    status: Annotated[
        Status,
        Field(
            description="How much of the memory could be used. Only `scored` rows use all of it."
        ),
    ]
    anomaly_score: Annotated[float, Field(ge=0, description="1.0 is the threshold.")]
    raw_score: Annotated[
        float, Field(description="Score before calibration. Its unit depends on the model.")
    ]
    is_anomaly: bool
    p_value: Annotated[
        float,
        Field(gt=0, le=1, description="Share of calibration rows with at least this score."),
    ]
    severity: Severity
    suppressed: Annotated[
        Suppression,
        Field(
            description="Why the row's episode shows no new fault, so that its severity is `info`; "
            "`none` for any other episode and for a normal row."
        ),
    ]
    pattern: Annotated[
        Pattern,
        Field(description="Kind of change that the row's episode shows; `none` for a normal row."),
    ]
    message: Annotated[
        str | None,
        Field(description="The pattern as a sentence. Absent for a normal row."),
    ] = None
    cause: Annotated[
        Cause | None,
        Field(
            description="What makes the row anomalous: its score (`model`), or a hard limit of the "
            "policy (`limit`). Only for an anomalous row under a policy."
        ),
    ] = None
    limit_rule: Annotated[
        str | None,
        Field(description="Name of the rule whose hard limit the row breaks; empty if none."),
    ] = None
    suppressed_by: Annotated[
        str | None,
        Field(description="Name of the rule or window that suppresses the row; empty if none."),
    ] = None
    window: Annotated[
        str | None,
        Field(description="Name of the calendar window that annotates the row; empty if none."),
    ] = None
    episode_start: Annotated[
        int | None,
        Field(
            description="The `index` of the first row of the anomalous row's episode, or null for "
            "a normal row. A negative index is an item of `history`: -1 is its last item."
        ),
    ]
    episode_start_row: Annotated[
        int | None, Field(ge=0, description="The `row` of the first row of the episode, if any.")
    ] = None
    signals: Annotated[
        list[SignalModel] | None,
        Field(description="Signals of an anomalous row; with `signals=all`, of every row."),
    ] = None


class RowError(_StrictModel):
    """One fault of a row."""

    pointer: Annotated[str, Field(description="JSON pointer to the fault in the request body.")]
    detail: str
    reason: Reason


class SkippedRow(_StrictModel):
    """A bad row that was skipped because of `on_error=skip`."""

    index: Annotated[int, Field(ge=0)]
    row: Annotated[
        int | None, Field(ge=0, description="Index of the bad element in the array of its item.")
    ] = None
    errors: list[RowError]


class IgnoredItem(_StrictModel):
    """An item without a row: a message of another kind, a tombstone, or an empty array."""

    index: Annotated[int, Field(ge=0)]
    ignored: Annotated[
        AbsorbedReason,
        Field(
            description="`filtered`: the schema ignores it. `tombstone`: it is null. `no_rows`: "
            "its array is empty."
        ),
    ]


class PredictAnswer(_StrictModel):
    """The response of /predict. One model version has scored all rows."""

    model_version: str
    policy: Annotated[
        str | None, Field(description="Id of the policy in force; absent without a policy.")
    ] = None
    threshold: Annotated[float, Field(description="The raw score whose anomaly score is 1.0.")]
    scored: int
    anomalies: int
    rejected: int
    ignored: Annotated[int, Field(description="Number of ignored items; absent if 0.")] = 0
    rows: Annotated[
        list[ScoredRow | SkippedRow | IgnoredItem],
        Field(description="An entry for each scored row, skipped row and ignored item."),
    ]


class ProblemError(_StrictModel):
    """One fault of a request."""

    pointer: str
    detail: str
    reason: Reason | None = None
    index: Annotated[int | None, Field(description="Index of the item in its list, from 0.")] = None
    row: Annotated[
        int | None, Field(description="Index of the bad element in the array of its item.")
    ] = None


class ProblemModel(_StrictModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError] = []


class ServiceStatus(StrEnum):
    """The status of the service."""

    OK = "ok"
    DEGRADED = "degraded"
    NO_MODEL = "no_model"


class Health(_StrictModel):
    """The response of /health."""

    status: Annotated[
        ServiceStatus,
        Field(
            description="`degraded`: the champion was refused; the last valid version is served."
        ),
    ]
    model_name: str
    model_version: str | None
    model_loaded_at: datetime | None
    version: Annotated[str, Field(description="Version of sensorwatch.")]


class Live(_StrictModel):
    """The response of a successful probe."""

    status: str = "ok"


ManifestDocument = dict[str, Any]
