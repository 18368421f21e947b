"""Accounts and findings as they are printed: a table for people, JSON for programs."""

from collections.abc import Mapping
from typing import Any

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.kafka.ledger_text import account_text
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.proof.ledger_intervals import COUNTS, Finding
from sensorwatch.state.committed_accounts import Standing


def plain(partition: Partition, cause: str, standing: Standing) -> dict[str, Any]:
    """Return an account with where it was found, as plain values."""
    account = {} if standing.account is None else account_text(standing.account)
    where = {"topic": partition.topic, "partition": partition.number, "record": cause}
    return where | {"committed": standing.offset} | account


def print_accounts(
    rows: list[tuple[Partition, str, Standing]], standings: Mapping[Partition, Standing]
) -> None:
    """Print accounts as a table, and the sum of the committed ones."""
    columns = ("partition", "record", "offset", *(name.replace("_", " ") for name in COUNTS))
    lines = [_cells(str(partition), cause, standing) for partition, cause, standing in rows]
    # Without the digests, which are for programs: `--json` has them.
    print_table((*columns, "model"), lines, whole="partition")
    accounts = [s.account for s in standings.values() if s.account is not None]
    total = [sum(getattr(a, name) for a in accounts) for name in COUNTS]
    print_line("records in {} = normal {} + anomalies {} + dead letters {}".format(*total))


def _cells(partition: str, cause: str, standing: Standing) -> list[str]:
    account = standing.account
    counts = [str(getattr(account, name, "?")) for name in COUNTS]
    model = "no account" if account is None else account.model_version
    return [partition, cause, str(standing.offset), *counts, model]


def plain_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values."""
    stretch = finding.stretch
    return {
        "partition": str(stretch.partition),
        "from": stretch.begin.next_offset,
        "to": stretch.end.next_offset,
        "records": stretch.records,
        "model_version": stretch.version,
        "verdict": finding.verdict.value,
        "detail": finding.detail,
    }


def line(finding: Finding) -> str:
    """Return a finding as a line."""
    told = plain_finding(finding)
    detail = f"  ({finding.detail})" if finding.detail else ""
    return (
        f"{told['partition']}  {told['from']}..{told['to']}  {told['records']} records  "
        f"{told['model_version']}  {told['verdict']}{detail}"
    )
