"""By hand, as usual: a pydantic model per row, scikit-learn per batch, the same transactions."""

from datetime import datetime
from typing import Annotated

from job import Forest, event, features, letter, told
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from transactions import drain

Signal = Annotated[float, Field(ge=-1000, le=1000, strict=True, allow_inf_nan=False)]


class Row(BaseModel):
    """The default schema's row."""

    model_config = ConfigDict(extra="ignore")

    timestamp: datetime
    x1: Signal
    x2: Signal
    x3: Signal
    sensor_id: Annotated[str, Field(min_length=1, max_length=200)] = "default"


def decide(forest, payloads, sources):
    """Give each payload its outcome."""
    rows, named, letters = [], [], []
    for payload, source in zip(payloads, sources, strict=True):
        try:
            rows.append(Row.model_validate_json(payload))
        except ValidationError as error:
            letters.append(letter(payload, str(error), source))
        else:
            named.append(source)
    scores = forest.score([features(row) for row in rows])
    events = [
        (row.sensor_id.encode(), event(row, score, forest.threshold, source))
        for row, score, source in zip(rows, scores, named, strict=True)
        if score > forest.threshold
    ]
    return events, letters


def main() -> None:
    """Drain the topic."""
    forest = Forest(told("TRAINING"))
    drain(lambda payloads, sources: decide(forest, payloads, sources))


main()
