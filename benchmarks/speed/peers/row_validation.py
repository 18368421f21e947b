"""Strict validation of rows of the default schema, by msgspec or by pydantic."""

import os
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any


def msgspec_decoder() -> Callable[[bytes], Any]:
    """Return a function that decodes a payload to a row, or raises MsgspecError."""
    import msgspec

    signal = Annotated[float, msgspec.Meta(ge=-1000.0, le=1000.0)]
    sensor = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    fields = [("timestamp", datetime), *((name, signal) for name in ("x1", "x2", "x3"))]
    row = msgspec.defstruct("Row", [*fields, ("sensor_id", sensor, "default")])
    return msgspec.json.Decoder(row).decode


def pydantic_decoder() -> Callable[[bytes], Any]:
    """Return a function that decodes a payload to a row, or raises ValueError."""
    from pydantic import BaseModel, ConfigDict, Field

    signal = Annotated[float, Field(ge=-1000, le=1000, strict=True, allow_inf_nan=False)]

    class Row(BaseModel):
        model_config = ConfigDict(extra="ignore")

        timestamp: datetime
        x1: signal
        x2: signal
        x3: signal
        sensor_id: Annotated[str, Field(min_length=1, max_length=200)] = "default"

    return Row.model_validate_json


def row_decoder() -> Callable[[bytes], Any]:
    """Return the decoder whose name is in the environment variable BENCH_VALIDATION."""
    decoders = {"msgspec": msgspec_decoder, "pydantic": pydantic_decoder}
    return decoders[os.environ["BENCH_VALIDATION"]]()
