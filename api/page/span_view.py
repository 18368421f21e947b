"""A span of time that a person selected."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sensorwatch.api.page.lane_feed import SHOWN_SENSORS

MAX_SENSORS = 200


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
    limit = int(min(max(_number(query.get("limit"), SHOWN_SENSORS), 1), MAX_SENSORS))
    return Span(begin, end, limit)


def _number(text: str | None, default: float) -> float:
    try:
        number = float(text or default)
    except ValueError:
        return default
    return number if math.isfinite(number) else default
