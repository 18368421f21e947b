"""A run of `backtest`: score the rows of a file and write the scores to another file."""

from collections.abc import Sequence
from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.registry.policy_choice import chosen_policy
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.batches import Batch, first_day, split_batches
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.row_summary import RowSummaryBuilder
from sensorwatch.common.rows.schema import Schema, load_schema
from sensorwatch.common.runtime.allocator import keep_freed_memory
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.common.runtime.row_summary_output import print_row_summary
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import schema_file
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.trainer.backtest import score_batches
from sensorwatch.trainer.rejected_text import rejected_text
from sensorwatch.trainer.score_table import ScoreTable

log = logger("trainer")


def run_backtest(
    settings: Settings,
    data: Path,
    *,
    schema: Path | None,
    train_rows: int | None,
    model: str | None,
    as_of: int,
    policy: str,
    out: Path,
) -> None:
    """Score the rows of `data`, write the scores to `out` and print a summary.

    `policy`: see `chosen_policy`.

    If `model` is None, a model is fitted on the first `train_rows` rows, and the remaining rows are
    scored. If `model` is a version, it scores all rows.
    """
    if model is None:
        row_schema = load_schema(schema_file(settings))
        train_batches, batches = split_batches(
            read_batches(data, row_schema, as_of=as_of), train_rows or 0
        )
        detector, memory, rejections = _fit_on_first_batches(
            train_batches, row_schema, settings, data
        )
    else:
        detector = Registry(settings.registry.path).load(settings.registry.model, model).detector
        row_schema = (
            detector.schema
            if schema is None
            else _require_same_schema(load_schema(schema), detector)
        )
        batches = read_batches(data, row_schema, as_of=as_of)
        memory, rejections = detector.empty_memory(), []
    first_batch_day, batches = first_day(batches)
    policies = PolicyRegistry(settings.registry.path, settings.registry.model)
    detector = detector.under(chosen_policy(policy, policies, first_day=first_batch_day))
    keep_freed_memory()
    summary_builder = RowSummaryBuilder()
    with ScoreTable(out, detector) as score_table:
        score_table.write_rejected(rejections)
        for outcome in score_batches(batches, detector, memory, first_row=train_rows or 0):
            score_table.write(outcome)
            summary_builder.add(outcome.readings)
    _print_summary(score_table)
    print_row_summary(summary_builder.summary(), row_schema)


def _fit_on_first_batches(
    train_batches: Sequence[Batch], schema: Schema, settings: Settings, data: Path
) -> tuple[Detector, Memory, list[Rejection]]:
    # Imported here, because only training needs scikit-learn, which takes a second to import.
    from sensorwatch.trainer.training import few_rows_warning
    from sensorwatch.trainer.unregistered_model import fit_on_first_batches

    detector, memory, rejections = fit_on_first_batches(
        train_batches, schema, settings.training, uri=str(data)
    )
    calibration = detector.calibration
    warning_text = few_rows_warning(
        len(calibration.scores),
        calibration.target_alert_rate,
        extrapolates=detector.decision is not None,
    )
    if warning_text:
        log.warning(warning_text)
    return detector, memory, rejections


def _require_same_schema(schema: Schema, detector: Detector) -> Schema:
    """Return `schema` if it equals the detector's, except for name, units and CSV format.

    Raises UsageError if the fingerprints differ.
    """
    if schema.fingerprint != detector.schema.fingerprint:
        raise UsageError(
            f"the schema has fingerprint {schema.fingerprint}, but {detector.version} was trained "
            f"with {detector.schema.fingerprint}: omit --schema, or choose a version that was "
            "trained with this schema"
        )
    return schema


def _print_summary(score_table: ScoreTable) -> None:
    rejected = rejected_text(score_table.rejected)
    print_line(
        f"scored     {score_table.scored} rows, {score_table.anomalies} anomalous, "
        f"to {score_table.out}"
    )
    print_line(
        f"rejected   {score_table.rejected.total()} rows{f' ({rejected})' if rejected else ''}"
        f", to {score_table.rejected_out}"
    )
    if score_table.scored:
        print_line(f"status     {_status_text(score_table)}")
    if score_table.policy is not None:
        counts = score_table.suppressed
        by_rule = f" ({rejected_text(counts)})" if counts else ""
        print_line(
            f"policy     {score_table.policy.id}, {counts.total()} alarms suppressed{by_rule}"
        )


def _status_text(score_table: ScoreTable) -> str:
    """Return the share of rows of each status, the most frequent status first."""
    return ", ".join(
        f"{count / score_table.scored:.1%} {status}"
        for status, count in score_table.statuses.most_common()
    )
