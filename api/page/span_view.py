"""A span of time that a person selected, and the lanes in it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import visible_text

DEFAULT_SENSORS, MAX_SENSORS = 20, 200


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the window; event times in seconds since 1970 UTC."""

    begin: float
    end: float
    limit: int
    """Largest number of sensors to show."""


def span_of(query: Mapping[str, str], window: tuple[float, float]) -> Span:
    """Return the span from `from` to `to` of a query, limited to the window; by default the window.

    A value that is not a number counts as missing.
    """
    first, last = window
    begin = min(max(_number(query.get("from"), first), first), last)
    end = min(max(_number(query.get("to"), last), begin), last)
    limit = int(min(max(_number(query.get("limit"), DEFAULT_SENSORS), 1), MAX_SENSORS))
    return Span(begin, end, limit)


def lanes_document(state: PageState, span: Span) -> dict[str, Any]:
    """Return the lanes of a span as plain JSON values.

    Each cell is a list: begin in seconds since 1970 UTC, score, position of the severity.
    """
    return {
        "begin": span.begin,
        "end": span.end,
        "step": state.step_seconds,
        "lanes": [
            {
                "sensor": visible_text(lane.sensor_id).unescape(),
                "cells": [[begin, _finite(cell.score), cell.rank] for begin, cell in lane.cells],
            }
            for lane in state.lanes(span.begin, span.end, span.limit)
        ],
    }


def _number(text: str | None, default: float) -> float:
    try:
        number = float(text or default)
    except ValueError:
        return default
    return number if math.isfinite(number) else default


def _finite(score: float) -> float:
    return score if math.isfinite(score) else 0.0
