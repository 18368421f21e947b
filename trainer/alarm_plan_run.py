"""A run of `alarms plan`: fit or load a detector, inject faults, and print and draw the plan."""

import sys
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from sensorwatch.common.errors import DataError
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.console import SafeConsole, styled
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import schema_file
from sensorwatch.trainer.alarm_plan import AlarmPlan, plan_alarms
from sensorwatch.trainer.alarm_plan_plot import plan_drawing
from sensorwatch.trainer.alarm_text import budget_names
from sensorwatch.trainer.dataset import read_data
from sensorwatch.trainer.training import fit_unregistered, split_by_time

log = logger("trainer")
_WIDTH_WITHOUT_TERMINAL = 160


def run_alarm_plan(
    settings: Settings,
    data: str,
    *,
    model: str | None,
    rows: int | None,
    as_of: int,
    out: Path | None,
) -> None:
    """Print the plan of the alarms on `data`, and draw it to `out`.

    `model`: the version that scores all rows. If it is None, a model is fitted on the older part of
    the rows and scores the newer part. `rows`: maximum number of rows to use. `as_of`: see
    `read_data`. Raises DataError if there are too few rows.
    """
    stored_detector = (
        None
        if model is None
        else Registry(settings.registry.path).load(settings.registry.model, model).detector
    )
    schema = (
        load_schema(schema_file(settings)) if stored_detector is None else stored_detector.schema
    )
    dataset = read_data(data, schema, rows=rows, as_of=as_of, kafka=settings.kafka)
    readings, detector = dataset.readings, stored_detector
    if detector is None:
        split = split_by_time(readings, settings.trainer.calibration_share)
        readings = split.calibration
        detector = fit_unregistered(split.fit, schema, settings.training)
    log.info("faults are injected", rows=len(readings), version=detector.version)
    plan = plan_alarms(readings, detector, seed=settings.trainer.seed)
    _print_plan(plan)
    if out is not None:
        _write_plot(out, plan)
        print_line(f"plot       {out}")


def _print_plan(plan: AlarmPlan) -> None:
    out = SafeConsole(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    title = "share of injected faults found, by budget (false alarm episodes per sensor-day)"
    table = Table(title=styled(title), title_justify="left")
    table.add_column("fault")
    table.add_column("size", justify="right")
    names = budget_names(plan.severity_budgets)
    for budget in plan.budgets:
        name = f"\n{names[budget]}" if budget in names else ""
        table.add_column(f"{budget:.3g}{name}", justify="right")
    for planned_case in plan.cases:
        case = planned_case.case
        shares = (f"{planned_case.share_found(budget):.0%}" for budget in plan.budgets)
        table.add_row(styled(case.name), f"{case.size:g}" if case.size else "-", *shares)
    table.add_section()
    table.add_row("false alarms on clean rows", "", *_clean_cells(plan))
    out.print(table)
    print_line(
        f"clean rows {plan.clean.sensor_days:.3g} sensor-days that the model was not fitted on; "
        '"2 of 3": 2 episodes, 3 allowed by the budget'
    )


def _clean_cells(plan: AlarmPlan) -> Iterator[str]:
    for budget in plan.budgets:
        expected = budget * plan.clean.sensor_days
        text = f"{expected:.0f}" if expected >= 10 else f"{expected:.2g}"
        yield f"{plan.clean.episodes_within(budget)} of {text}"


def _write_plot(path: Path, plan: AlarmPlan) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plan_drawing(plan), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
