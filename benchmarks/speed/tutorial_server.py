"""A simple prediction server with FastAPI, pydantic and scikit-learn, as in a tutorial.

Command: `python -m benchmarks.speed.tutorial_server MODEL PORT`; MODEL is a forest written with
joblib. Two things are faster than in a tutorial: the forest is called once per request, and the
handler is an `async def`.
"""

import sys
from datetime import datetime

import joblib
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field


class Row(BaseModel):
    """A row of the default schema."""

    timestamp: datetime
    sensor_id: str = "default"
    x1: float = Field(ge=-1000, le=1000, allow_inf_nan=False)
    x2: float = Field(ge=-1000, le=1000, allow_inf_nan=False)
    x3: float = Field(ge=-1000, le=1000, allow_inf_nan=False)


class PredictRequest(BaseModel):
    """The body of a prediction request."""

    rows: list[Row]


class RowResult(BaseModel):
    """The result of a row; it has fewer fields than a result of sensorwatch."""

    index: int
    sensor_id: str
    anomaly_score: float
    is_anomaly: bool


class PredictResponse(BaseModel):
    """The body of a prediction response."""

    rows: list[RowResult]


def create_app(model: str) -> FastAPI:
    """Return the application; `model` is a fitted IsolationForest of x1, x2, x3, hour, weekday."""
    app, forest = FastAPI(), joblib.load(model)

    @app.post("/predict")
    async def predict(body: PredictRequest) -> PredictResponse:
        matrix = np.array(
            [
                (row.x1, row.x2, row.x3, row.timestamp.hour, row.timestamp.weekday())
                for row in body.rows
            ]
        )
        scores = -forest.score_samples(matrix)
        return PredictResponse(
            rows=[
                RowResult(
                    index=index,
                    sensor_id=row.sensor_id,
                    anomaly_score=score,
                    is_anomaly=score > -forest.offset_,
                )
                for index, (row, score) in enumerate(zip(body.rows, scores.tolist(), strict=True))
            ]
        )

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
