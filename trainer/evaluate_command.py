"""The command `evaluate`: check a model version and write the report."""

from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.common.runtime.time_option import NOW, parse_time_option
from sensorwatch.trainer.evaluation_check import failed_checks, require_passed, undetectable_faults
from sensorwatch.trainer.rejected_text import rejected_text
from sensorwatch.trainer.trainer_options import (
    AsOfOption,
    DataOption,
    NameOption,
    RegistryOption,
    RowsOption,
    VerdictsOption,
    settings_for,
)

log = logger("trainer")


def evaluate(
    data: DataOption,
    model: Annotated[
        str, typer.Option("--model", help="The version: an id, champion or previous.")
    ] = "champion",
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with code 1 if a check fails.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="JSON file for the report.")] = Path(
        "report.json"
    ),
    rows: RowsOption = None,
    as_of: AsOfOption = NOW,
    verdicts: VerdictsOption = None,
    name: NameOption = None,
    registry: RegistryOption = None,
    config: ConfigOption = None,
) -> None:
    """Check the alert rates, the correctness and the fault detection of a version."""
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.trainer.evaluation import EvaluatedVersion, evaluate_version
    from sensorwatch.trainer.judged_rows import read_judged_data
    from sensorwatch.trainer.report_output import print_report, write_report

    settings = settings_for(config, model=name, registry=registry)
    store, model_name = Registry(settings.registry.path), settings.registry.model
    version = store.load(model_name, model)
    dataset = read_judged_data(
        settings,
        data,
        version.detector.schema,
        rows=rows,
        as_of=parse_time_option("--as-of", as_of),
        verdicts=verdicts,
    )
    log.info("evaluation started", version=version.manifest.id, data=data, rows=dataset.rows)
    evaluated_version = EvaluatedVersion(
        version, lambda: store.load(model_name, version.manifest.id)
    )
    report = evaluate_version(
        evaluated_version, dataset, on_step=lambda step: log.info("evaluating", step=step)
    )
    write_report(out, report)
    store.attach_report(model_name, version.manifest.id, report)
    print_report(report)
    rejected = rejected_text(dataset.rejected)
    print_line(
        f"rows       {dataset.rows} read, {len(dataset.rejections)} rejected"
        f"{f' ({rejected})' if rejected else ''}"
    )
    for sentence in undetectable_faults(report):
        log.warning(sentence)
    failed_names = failed_checks(report)
    print_line(f"checks     {_result_text(len(report['checks']), failed_names)}; report in {out}")
    if gate:
        require_passed(report)


def _result_text(checks: int, failed_names: list[str]) -> str:
    return f"failed: {', '.join(failed_names)}" if failed_names else f"all {checks} passed"
