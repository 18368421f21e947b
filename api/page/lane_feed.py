"""The changes of the swim lanes, for browsers that already have the earlier cells."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from sensorwatch.api.page.lanes import Lane
from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import visible_text

RANK_SECONDS = 1.0
"""The worst sensors are selected at most once in this time, for all browsers."""
SHOWN_SENSORS = 20

LanesDocument = dict[str, Any]


class LaneFeed:
    """The cells of the worst sensors that changed after a revision.

    There are changes only if there is a scores topic. Otherwise a browser loads all lanes again.
    """

    def __init__(self, state: PageState, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._state, self._clock = state, clock
        self._sensor_ids: list[str] = []
        self._ranked_at = -float("inf")
        self.revision = 0
        """Revision of the scores when the worst sensors were selected."""

    def refresh(self) -> None:
        """Select the worst sensors again, if the scores changed and `RANK_SECONDS` have passed."""
        history, now = self._state.scores.history, self._clock()
        if history.revision == self.revision or now < self._ranked_at + RANK_SECONDS:
            return
        self._ranked_at, self.revision = now, history.revision
        worst_lanes = history.ranked(*self._state.window, SHOWN_SENSORS)
        self._sensor_ids = [lane.sensor_id for lane in worst_lanes]

    def changes_since(self, revision: int) -> LanesDocument | None:
        """Return the cells of the worst sensors that changed after a revision of the scores."""
        if not self._state.scores.has_rows:
            return None
        lanes = self._state.scores.history.changed_lanes(self._sensor_ids, revision)
        return lanes_document(lanes, self._state.window, self._state.step_seconds)


def lanes_document(
    lanes: Iterable[Lane], span: tuple[float, float], step_seconds: int
) -> LanesDocument:
    """Return lanes as plain JSON values; `span`: begin and end, in seconds since 1970 UTC.

    Each cell is a list: begin in seconds since 1970 UTC, score, position of the severity.
    """
    return {
        "begin": span[0],
        "end": span[1],
        "step": step_seconds,
        "lanes": [
            {
                "sensor": visible_text(lane.sensor_id).unescape(),
                "cells": [[cell.begin, _json_score(cell.score), cell.rank] for cell in lane.cells],
            }
            for lane in lanes
        ],
    }


def _json_score(score: float) -> float:
    """Return a score with three decimals; 0 for a score that JSON cannot represent."""
    return round(score, 3) if abs(score) < float("inf") else 0.0
