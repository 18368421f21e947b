"""Prints a summary of rows, and warns about likely mistakes in the data or the schema."""

from sensorwatch.common.rows.row_summary import (
    RowOrderUse,
    RowSummary,
    held_lines,
    summary_lines,
    summary_warnings,
)
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.printing import print_line, print_note


def print_row_summary(
    summary: RowSummary, schema: Schema, order_use: RowOrderUse = RowOrderUse.SCORES_IN_GIVEN_ORDER
) -> None:
    """Print the lines on standard output, and the warnings on standard error."""
    for line in (*summary_lines(summary), *held_lines(summary, schema)):
        print_line(line)
    for warning in summary_warnings(summary, schema, order_use):
        print_note(f"warning: {warning}")
