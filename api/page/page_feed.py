"""The parts of the page as HTML, each with the revision at which it changed last."""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sensorwatch.api.page.incident_board import IncidentBoard, incident_board
from sensorwatch.api.page.lane_feed import LaneFeed, LanesDocument
from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import render
from sensorwatch.common.alarms.incidents import Incident

Parts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Delta:
    """The parts that changed after a revision."""

    id: str
    """Id of the newest revision, for the next request."""
    parts: Parts
    """HTML of the changed parts, by the id of the element."""
    order: tuple[str, ...]
    """Ids of all open incidents that the page shows, in order."""
    board: IncidentBoard = field(repr=False)
    lanes: LanesDocument | None = None
    """The changed cells of the lanes; None if there are no scores."""


class PageFeed:
    """Renders the parts of the page after each change of the state. Methods may run in threads.

    A part is the status of the service, a list, or one open incident. A client that knows revision
    n gets the parts that changed after n. So it does not matter how many deltas the client missed.
    """

    def __init__(self, state: PageState, other_parts: Callable[[], Parts]) -> None:
        """Create the feed; `other_parts` renders the parts that do not come from the topic."""
        self._state, self._other_parts = state, other_parts
        self._start_id = secrets.token_hex(4)
        """Distinguishes the revisions of this process from those of an earlier process."""
        self._lane_feed = LaneFeed(state)
        self._lock = threading.Lock()
        self._revision = 0
        self._rendered_revision = -1
        self._parts: dict[str, tuple[int, str]] = {}
        self._board = incident_board([])

    def delta_since(self, known_id: str) -> Delta:
        """Return the parts that changed after the revision `known_id`; all for an unknown id."""
        with self._lock:
            self._refresh()
            known_revision, known_scores = self._known_revisions(known_id)
            return Delta(
                id=f"{self._start_id}-{self._revision}-{self._lane_feed.revision}",
                parts={
                    name: html
                    for name, (revision, html) in self._parts.items()
                    if revision > known_revision
                },
                order=tuple(part_id(incident.id) for incident in self._board.shown),
                board=self._board,
                lanes=self._lane_feed.changes_since(known_scores),
            )

    def _known_revisions(self, known_id: str) -> tuple[int, int]:
        """Return the revisions of the parts and of the scores; -1 for an unknown id."""
        start_id, *numbers = known_id.split("-")
        is_known = start_id == self._start_id and len(numbers) == 2
        if not is_known or not all(text.isdecimal() and len(text) < 16 for text in numbers):
            return -1, -1
        return int(numbers[0]), int(numbers[1])

    def _refresh(self) -> None:
        self._lane_feed.refresh()
        state_revision = self._state.revision
        parts = self._other_parts()
        if state_revision != self._rendered_revision:
            earlier_incidents = {incident.id: incident for incident in self._board.shown}
            self._board = incident_board(self._state.episodes())
            parts |= _incident_parts(self._board, earlier_incidents)
            self._rendered_revision = state_revision
            shown_ids = {part_id(incident.id) for incident in self._board.shown}
            for name in [name for name in self._parts if name.startswith("incident-")]:
                if name not in shown_ids:
                    del self._parts[name]
        next_revision = self._revision + 1
        for name, html in parts.items():
            if name not in self._parts or self._parts[name][1] != html:
                self._parts[name] = (next_revision, html)
                self._revision = next_revision


def part_id(incident_id: str) -> str:
    """Return the id of the HTML element of an incident."""
    return f"incident-{incident_id.encode(errors='backslashreplace').hex()}"


def _incident_parts(board: IncidentBoard, earlier_incidents: Mapping[str, Incident]) -> Parts:
    """Return the parts of a board, without the incidents that are the same as before."""
    cards = {
        part_id(incident.id): render("incident.html", incident=incident)
        for incident in board.shown
        if earlier_incidents.get(incident.id) != incident
    }
    return {
        "summary": render("summary.html", board=board),
        "hidden-incidents": render("hidden_incidents.html", board=board),
        "closed-incidents": render("closed_incidents.html", board=board),
        **cards,
    }
