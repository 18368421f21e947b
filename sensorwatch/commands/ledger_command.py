"""The command `sensorwatch ledger`: show accounts, verify them, and restore lost offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.commands.group_options import GroupOption, JsonOption, YesOption, group_settings
from sensorwatch.common.errors import CheckFailed, UsageError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note

if TYPE_CHECKING:
    from sensorwatch.common.kafka.committed_accounts import CommittedAccount
    from sensorwatch.common.kafka.ledger_text import LedgerRecord
    from sensorwatch.common.kafka.records import Partition
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.proof.ledger_intervals import Finding
    from sensorwatch.proof.replay_proof import ProofInputs


app = typer_app(help="Show the accounts of all records, and verify them.", no_args_is_help=True)


@app.command()
def show(
    config: ConfigOption = None,
    group: GroupOption = None,
    as_json: JsonOption = False,
    history: Annotated[
        bool, typer.Option("--history", help="Also show every record of the ledger topic.")
    ] = False,
) -> None:
    """Show each partition's committed account; exit with 1 if an account does not add up."""
    from sensorwatch.proof.ledger_output import account_values, print_accounts

    settings = group_settings(config, group)
    group_accounts = _committed_accounts(settings)
    ledger = _ledger_records(settings) if history else {}
    if not group_accounts:
        raise UsageError(f"{_no_account_message(settings)}: correct --group or [topics] readings")
    rows = [(partition, "committed", account) for partition, account in group_accounts.items()]
    for partition, records in ledger.items():
        rows += [(partition, *_cause_and_account(record)) for record in records]
    if as_json:
        for partition, cause, account in rows:
            print_json(account_values(partition, cause, account))
    else:
        print_accounts(rows, group_accounts)
    _require_balanced(group_accounts)


@app.command(name="verify")
def verify_command(
    config: ConfigOption = None,
    group: GroupOption = None,
    as_json: JsonOption = False,
    partition: Annotated[
        int | None, typer.Option(help="Verify only this partition of the readings' topic.")
    ] = None,
    since_restart: Annotated[
        bool,
        typer.Option(
            "--since-restart",
            help="Verify each account only from its last opening. An account is opened for a new "
            "group, or after an offset was moved.",
        ),
    ] = False,
) -> None:
    """Score the input again; exit with 1 if a record was lost, doubled or scored differently.

    The input must be retained, and the registry must contain the versions that scored it. The
    verification starts at the opening of an account, or at a snapshot that still exists.
    """
    from sensorwatch.proof.ledger_intervals import Verdict, since_last_opening
    from sensorwatch.proof.proof_inputs import connect_proof_inputs

    settings = group_settings(config, group)
    group_accounts = _committed_accounts(settings)
    inputs = connect_proof_inputs(settings)
    findings: list[Finding] = []
    for ledger_partition, ledger in _ledger_records(settings).items():
        if partition in (None, ledger_partition.number):
            records = since_last_opening(ledger) if since_restart else ledger
            findings += _verify_partition(records, group_accounts.get(ledger_partition), inputs)
    if not findings:
        scope = "" if partition is None else f" in partition {partition}"
        raise UsageError(f"{_no_account_message(settings)}{scope}: there is nothing to verify")
    _print_findings(findings, as_json=as_json)
    failed_findings = [
        finding
        for finding in findings
        if finding.verdict in (Verdict.DIFFERENT, Verdict.ACCOUNT_RESTARTED)
    ]
    if failed_findings:
        raise CheckFailed(
            f"{len(failed_findings)} of {len(findings)} ledger intervals differ or begin after a "
            "restart of the account: see the output above"
        )


def _verify_partition(
    records: Sequence[LedgerRecord], committed_account: CommittedAccount | None, inputs: ProofInputs
) -> Iterator[Finding]:
    from sensorwatch.proof.ledger_intervals import restarted_accounts, split_ledger
    from sensorwatch.proof.replay_proof import ReplayProof

    yield from restarted_accounts(records)
    replay_proof = ReplayProof(inputs)
    for interval in split_ledger(
        records, None if committed_account is None else committed_account.account
    ):
        yield replay_proof.verify(interval)


def _print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    from sensorwatch.proof.ledger_intervals import Verdict
    from sensorwatch.proof.ledger_output import finding_line, finding_values

    for finding in findings:
        if as_json:
            print_json(finding_values(finding))
        else:
            print_line(finding_line(finding))
    proven_findings = [finding for finding in findings if finding.verdict is Verdict.PROVEN]
    records = sum(finding.interval.records for finding in proven_findings)
    # With --json, standard output must contain JSON lines only.
    print_total = print_note if as_json else print_line
    print_total(
        f"{records} records proven in {len(proven_findings)} of {len(findings)} ledger intervals"
    )


@app.command()
def restore(
    config: ConfigOption = None,
    group: GroupOption = None,
    yes: YesOption = False,
) -> None:
    """Commit lost offsets again. Each offset comes from the partition's newest ledger record.

    Records that were scored after that ledger record are scored again: their events and dead
    letters are published a second time, with the same ids. Stop the consumers first.
    """
    from sensorwatch.state.account_commit import commit_accounts

    settings = group_settings(config, group)
    group_accounts = _committed_accounts(settings)
    lost_accounts = {
        partition: records[-1].account
        for partition, records in _ledger_records(settings).items()
        if partition not in group_accounts
    }
    if not lost_accounts:
        print_line("no partition has lost its offset; nothing to do")
        return
    for partition, account in lost_accounts.items():
        print_line(f"{partition}: offset {account.next_offset} (after {account.consumed} records)")
    if not yes:
        raise UsageError("nothing was committed; add --yes to commit these offsets")
    commit_accounts(settings, lost_accounts)
    print_line(f"committed {len(lost_accounts)} offsets for group {settings.consumer.group}")


def _committed_accounts(settings: Settings) -> dict[Partition, CommittedAccount]:
    from sensorwatch.common.kafka.committed_accounts import committed_accounts

    return committed_accounts(
        settings.kafka, settings.topics.readings, group=settings.consumer.group
    )


def _ledger_records(settings: Settings) -> dict[Partition, list[LedgerRecord]]:
    from sensorwatch.common.kafka.ledger_topic import group_by_partition, read_ledger

    return group_by_partition(
        read_ledger(settings.kafka, settings.ledger_topic, group=settings.consumer.group)
    )


def _cause_and_account(record: LedgerRecord) -> tuple[str, CommittedAccount]:
    from sensorwatch.common.kafka.committed_accounts import CommittedAccount

    return record.cause.value, CommittedAccount(record.account.next_offset, record.account)


def _no_account_message(settings: Settings) -> str:
    group, topic = settings.consumer.group, settings.topics.readings
    return f'the group "{group}" has no account of the topic "{topic}"'


def _require_balanced(group_accounts: Mapping[Partition, CommittedAccount]) -> None:
    unbalanced_partitions = [
        str(partition)
        for partition, committed_account in group_accounts.items()
        if committed_account.account is not None and not committed_account.account.adds_up
    ]
    if unbalanced_partitions:
        raise CheckFailed(f"the ledger does not add up for {', '.join(unbalanced_partitions)}")
