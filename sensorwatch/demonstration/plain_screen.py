"""The demonstration without a terminal: one plain line every few seconds."""

import time
from contextlib import AbstractContextManager, nullcontext

from sensorwatch.demonstration.directions import addresses
from sensorwatch.demonstration.screen import State
from sensorwatch.demonstration.stage import Stage
from sensorwatch.event_line import line_of


class PlainScreen:
    """Prints to standard output."""

    every_seconds = 2.0

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._seen: object = None

    def step(self, text: str) -> None:
        """Print the step with the seconds since the start."""
        self.print(f"[{time.monotonic() - self._began:5.1f} s] {text} ...")

    def print(self, text: str, style: str = "") -> None:  # noqa: ARG002 - there are no styles here
        """Print a line."""
        print(text, flush=True)

    def show_addresses(self, stage: Stage) -> None:
        """Print each address with its commands."""
        for what, commands in addresses(stage):
            self.print(what)
            for command in commands:
                self.print(f"    {command}")

    def live(self) -> AbstractContextManager[object]:
        """Change nothing: lines need no preparation."""
        return nullcontext()

    def update(self, state: State) -> None:
        """Print the figures, and the newest event where there is a new one."""
        figures = state.figures
        self.print(
            f"{state.elapsed:5.1f} s  sent {state.sent}  scored {figures.records} "
            f"({figures.rows_per_second:.0f} rows/s)  anomalies {figures.anomalies} "
            f"({figures.anomaly_ratio:.1%})  dead letters {figures.dead_letters}  "
            f"model {figures.version}"
        )
        newest = state.latest[-1] if state.latest else None
        if newest is not None and newest is not self._seen:
            self._seen = newest
            self.print("         " + "".join(text for text, _ in line_of(newest)))
