"""The plot of an alarm plan: the share of faults found by budget, with one panel per kind."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from sensorwatch.common.svg import (
    BACKGROUND_COLOUR,
    GRID_COLOUR,
    MUTED_COLOUR,
    OUR_COLOUR,
    PLAIN_COLOUR,
    PUBLISHED_COLOUR,
    TEXT_COLOUR,
    Drawing,
)
from sensorwatch.trainer.alarm_plan import AlarmPlan, PlannedCase
from sensorwatch.trainer.alarm_text import budget_names

_COLUMNS, _PANEL_WIDTH, _PANEL_HEIGHT = 2, 400.0, 190.0
_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 46.0, 76.0, 280.0, 118.0
_COLOURS = (PUBLISHED_COLOUR, PLAIN_COLOUR, OUR_COLOUR)
_HIGHEST_BUDGET, _LOWEST_BUDGET = 10.0, 0.0001
_POINTS = 120


def plan_drawing(plan: AlarmPlan) -> str:
    """Return the plot as SVG text."""
    panels = [
        list(cases) for _, cases in groupby(plan.cases, lambda planned_case: planned_case.case.name)
    ]
    title = "Faults found, by the budget of false alarms per sensor-day"
    height = _TOP + _PANEL_HEIGHT * math.ceil(len(panels) / _COLUMNS)
    drawing = Drawing(_COLUMNS * _PANEL_WIDTH, height, title)
    drawing.text(16, 24, title, size=15, bold=True)
    drawing.text(
        16,
        44,
        "lines: sizes in spreads; dashed: the budgets of warning (w), major (m), critical (c)",
        size=11,
        colour=MUTED_COLOUR,
    )
    for number, cases in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        left, top = column * _PANEL_WIDTH + _LEFT, row * _PANEL_HEIGHT + _TOP
        _draw_panel(drawing, cases, plan.severity_budgets, left=left, top=top)
    return drawing.to_text()


def _draw_panel(
    drawing: Drawing,
    cases: Sequence[PlannedCase],
    severity_budgets: Sequence[float],
    *,
    left: float,
    top: float,
) -> None:
    drawing.text(left, top - 6, cases[0].case.name.replace("_", " "), bold=True)
    drawing.rect(left, top, _PLOT_WIDTH, _PLOT_HEIGHT, BACKGROUND_COLOUR)
    bottom = top + _PLOT_HEIGHT
    for share in (0.0, 0.5, 1.0):
        y = bottom - _PLOT_HEIGHT * share
        drawing.line(left, y, left + _PLOT_WIDTH, y)
        drawing.text(left - 6, y + 4, f"{share:.0%}", size=10, colour=MUTED_COLOUR, anchor="end")
    for budget in (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001):
        x = left + _PLOT_WIDTH * _position(budget)
        drawing.line(x, top, x, bottom, GRID_COLOUR)
        drawing.text(x, bottom + 14, f"{budget:g}", size=10, colour=MUTED_COLOUR, anchor="middle")
    for budget, name in budget_names(severity_budgets).items():
        x = left + _PLOT_WIDTH * _position(budget)
        drawing.line(x, top, x, bottom, TEXT_COLOUR, dashes="3 3")
        drawing.text(x + 3, bottom - 4, name[:1], size=9, colour=TEXT_COLOUR)
    budgets = np.geomspace(_HIGHEST_BUDGET, _LOWEST_BUDGET, _POINTS).tolist()
    for number, planned_case in enumerate(cases):
        colour = OUR_COLOUR if len(cases) == 1 else _COLOURS[number % len(_COLOURS)]
        points = [
            (
                left + _PLOT_WIDTH * _position(budget),
                bottom - _PLOT_HEIGHT * planned_case.share_found(budget),
            )
            for budget in budgets
        ]
        drawing.path(points, colour, width=2)
        if planned_case.case.size:
            drawing.text(
                left + _PLOT_WIDTH + 6,
                top + 14 + 16 * number,
                f"{planned_case.case.size:g}",
                size=11,
                colour=colour,
                bold=True,
            )


def _position(budget: float) -> float:
    """Return the position of a budget on the logarithmic axis, from 0 (left) to 1 (right)."""
    clipped_budget = min(max(budget, _LOWEST_BUDGET), _HIGHEST_BUDGET)
    share = math.log(_HIGHEST_BUDGET / clipped_budget) / math.log(_HIGHEST_BUDGET / _LOWEST_BUDGET)
    return min(max(share, 0.0), 1.0)
