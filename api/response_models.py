"""Models of the responses for the OpenAPI document; tests compare real responses with them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sensorwatch.api.predict_response import OnError, Signals
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.common.scoring.explanation import Direction
from sensorwatch.common.scoring.status import Status


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictQuery(_StrictModel):
    """The query parameters of /predict; unknown parameters are refused."""

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
    expected_high: Annotated[float, Field(description="Upper end of that band.")]
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


class ScoredRow(_StrictModel):
    """A row with its score."""

    index: Annotated[int, Field(ge=0, description="Its index in `rows`, from 0.")]
    sensor_id: str
    event_time: datetime
    status: Annotated[
        Status, Field(description="All but `scored`: judged by what needs no memory.")
    ]
    anomaly_score: Annotated[float, Field(ge=0, description="1.0 is the threshold.")]
    raw_score: Annotated[float, Field(description="Before calibration; its unit is the model's.")]
    is_anomaly: bool
    p_value: Annotated[
        float, Field(gt=0, le=1, description="Share of calibration rows scored as high.")
    ]
    severity: Severity
    episode_start: Annotated[
        int | None,
        Field(
            description="The `index` of the first row of the episode of anomalous rows that it "
            "belongs to; below 0 where that is a row of the history: -1 is its last."
        ),
    ]
    signals: Annotated[
        list[SignalModel] | None, Field(description="Of anomalous rows; `signals=all`: of each.")
    ] = None


class RowError(_StrictModel):
    """One fault of a row."""

    pointer: Annotated[str, Field(description="JSON pointer to the fault in the request body.")]
    detail: str
    reason: Reason


class SkippedRow(_StrictModel):
    """A bad row, at its index, for `on_error=skip`."""

    index: Annotated[int, Field(ge=0)]
    errors: list[RowError]


class PredictAnswer(_StrictModel):
    """The rows of a request in order, all scored by one version."""

    model_version: str
    threshold: Annotated[float, Field(description="The raw score whose anomaly score is 1.0.")]
    scored: int
    anomalies: int
    rejected: int
    rows: list[ScoredRow | SkippedRow]


class ProblemError(_StrictModel):
    """One fault of a request."""

    pointer: str
    detail: str
    reason: Reason | None = None
    index: Annotated[int | None, Field(description="The row's place in its list, from 0.")] = None


class ProblemModel(_StrictModel):
    """RFC 9457."""

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
    """A summary of the service's state."""

    status: Annotated[
        ServiceStatus,
        Field(description="`degraded`: the champion was refused, the last good version serves."),
    ]
    model_name: str
    model_version: str | None
    model_loaded_at: datetime | None
    version: Annotated[str, Field(description="Of sensorwatch.")]


class Live(_StrictModel):
    """The response of a successful probe."""

    status: str = "ok"


ManifestDocument = dict[str, Any]
