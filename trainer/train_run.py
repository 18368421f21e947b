"""A run of `train`: read rows, fit a model, register it as a version and evaluate it."""

from dataclasses import replace

from sensorwatch.common.errors import CheckFailed, ModelRefused
from sensorwatch.common.registry.candidate import Candidate
from sensorwatch.common.registry.model_names import current_user, require_model_name
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.row_summary import RowOrderUse, summarize
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.rows.set_points import set_point_texts
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.common.runtime.row_summary_output import print_row_summary
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import schema_file
from sensorwatch.trainer import training
from sensorwatch.trainer.alarm_text import expectation_text, extrapolation_warnings
from sensorwatch.trainer.blindness import blind_signals, blindness_warning
from sensorwatch.trainer.dataset import Dataset
from sensorwatch.trainer.evaluation import EvaluatedVersion, evaluate_version
from sensorwatch.trainer.evaluation_check import failed_checks, undetectable_faults
from sensorwatch.trainer.judged_rows import left_out_text, read_judged_data
from sensorwatch.trainer.rejected_text import rejected_text

log = logger("trainer")


def train_version(
    settings: Settings,
    data: str,
    *,
    rows: int | None,
    as_of: int,
    promote: bool,
    verdicts: bool | None = None,
) -> None:
    """Train a model on `data`, register it as a version and print a summary.

    `rows`: maximum number of rows to use; None uses all rows. `as_of`: see `read_data`. `promote`:
    also evaluate the version, and promote it if every check passes. `verdicts`: see
    `read_judged_data`. Raises CheckFailed if a check of the evaluation fails.
    """
    store = Registry(settings.registry.path)
    model_name = require_model_name(settings.registry.model)
    row_schema = load_schema(schema_file(settings))
    dataset = read_judged_data(
        settings, data, row_schema, rows=rows, as_of=as_of, verdicts=verdicts
    )
    log.info("rows read", data=data, rows=dataset.rows, rejected=len(dataset.rejections))
    candidate = training.train(dataset.readings, row_schema, dataset.source, settings.training)
    candidate = replace(candidate, blind_signals=blind_signals(candidate, dataset.readings))
    _warn_if_few_rows(candidate)
    if candidate.blind_signals:
        log.warning(blindness_warning(candidate.blind_signals))
    version = store.register(model_name, candidate, who=current_user(), why=f"trained on {data}")
    log.info("version registered", version=version, registry=settings.registry.path)
    _print_summary(dataset, candidate, version)
    if promote:
        _evaluate_and_promote(store, settings, dataset, version)
    champion = store.current_aliases(model_name).champion
    champion_text = "this version" if champion == version else f"still {champion}"
    print_line(
        f"champion   {champion_text} (model {model_name}, registry {settings.registry.path})"
    )
    _warn_if_champion_schema_differs(store, model_name, version)


def _warn_if_champion_schema_differs(store: Registry, name: str, version: str) -> None:
    """Log a warning if the champion's schema differs from the schema of `version`."""
    champion = store.current_aliases(name).champion
    if champion is None or champion == version:
        return
    try:
        champion_schema = store.manifest(name, champion).schema_fingerprint
    except ModelRefused:
        return  # the champion's files are damaged, which `models verify` reports
    if champion_schema != store.manifest(name, version).schema_fingerprint:
        log.warning(
            f"the champion {champion} has another schema: it would reject or misread these rows. "
            f"Run `sensorwatch models promote {version} --name {name}` to make this version the "
            "champion (evaluate it first, or add --force --reason). Or train under another model "
            "name with --name"
        )


def _evaluate_and_promote(
    store: Registry, settings: Settings, dataset: Dataset, version: str
) -> None:
    name = settings.registry.model
    log.info("evaluation started", version=version)
    evaluated_version = EvaluatedVersion(
        store.load(name, version), lambda: store.load(name, version)
    )
    report = evaluate_version(evaluated_version, dataset)
    store.attach_report(name, version, report)
    for sentence in undetectable_faults(report):
        log.warning(sentence)
    failed_names = failed_checks(report)
    is_first_champion = store.current_aliases(name).champion == version
    if failed_names:
        result_text = (
            "is the champion because it is the first version, but it failed"
            if is_first_champion
            else "was not promoted: failed"
        )
        raise CheckFailed(
            f"{version} was registered and {result_text} {', '.join(failed_names)}. "
            f"Run `sensorwatch evaluate --data {dataset.uri} --model {version}` "
            "to see the measurements"
        )
    if not is_first_champion:
        store.promote(name, version, who=current_user(), why="trained, every check passed")
    print_line(f"checks     all {len(report['checks'])} passed")


def _warn_if_few_rows(candidate: Candidate) -> None:
    calibration = candidate.calibration
    warning_text = training.few_rows_warning(
        candidate.split["calibration_rows"],
        calibration.target_alert_rate,
        extrapolates=candidate.decision is not None,
    )
    if warning_text:
        log.warning(warning_text)
    for warning_text in extrapolation_warnings(candidate.alarms):
        log.warning(warning_text)


def _print_summary(dataset: Dataset, candidate: Candidate, version: str) -> None:
    rejected = rejected_text(dataset.rejected)
    calibration = candidate.calibration
    print_line(f"rows       {dataset.rows} read, {len(dataset.readings)} accepted")
    print_line(f"rejected   {len(dataset.rejections)}{f' ({rejected})' if rejected else ''}")
    if dataset.left_out:
        print_line(f"left out   {left_out_text(dataset.left_out)}")
    print_row_summary(summarize(dataset.readings), candidate.schema, RowOrderUse.SORTS_BY_TIME)
    for name, text in set_point_texts(dataset.readings, candidate.schema):
        print_line(
            f"question   {text}; if it is a set-point or a command, declare {name!r} as "
            "[[context]] in the schema, so that it hides no fault of other signals"
        )
    print_line(f"fit        {candidate.split['fit_rows']} rows")
    print_line(f"calibrated {_calibration_text(candidate)}")
    print_line(
        f"threshold  raw score {calibration.threshold:.6f}"
        f" for a target alert rate of {calibration.target_alert_rate:g}"
    )
    print_line(f"alarms     {expectation_text(candidate.alarms)}")
    if candidate.forecast is not None:
        seasons = candidate.split["seasons"]
        print_line(f"season     {seasons['level']}")
        print_line(f"           in the forecast: {seasons['forecast']}")
    print_line(f"version    {version}")


def _calibration_text(candidate: Candidate) -> str:
    split = candidate.split
    rows = split["calibration_rows"]
    if candidate.decision is None:
        return f"on the newest {rows} rows, from {format_instant(split['boundary_time'])} on"
    return f"on {rows} rows, by cross-validation over {split['blocks']} blocks of time"
