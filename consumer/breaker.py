"""When too large a share of the records is rejected, so that somebody should look first."""

from collections.abc import Mapping

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.ledger.rejection_window import find_first_excess
from sensorwatch.common.runtime.setting_keys import BreakerSettings
from sensorwatch.consumer.settlement import Settlement


def breaker_reason(
    settlement: Settlement, current_accounts: Mapping[Partition, Account], settings: BreakerSettings
) -> str | None:
    """Say why a micro-batch must not be committed after the accounts `current_accounts`, or None.

    Each partition is judged by its own window (in its account, so a restart does not forget it),
    record by record. One that brings no rejections, or only accepted ones, passes: what it finds in
    the window was committed before, and only the good records that it slides over are gone.
    """
    for partition, rejected in settlement.rejected.items():
        excess = find_first_excess(
            current_accounts[partition],
            rejected,
            min_rows=settings.min_rows,
            max_ratio=settings.max_rejected_ratio,
        )
        if excess is not None:
            return (
                f"{excess.rejected} of the last {excess.rows} records of {partition} were rejected,"
                f" more than [consumer.breaker] max_rejected_ratio = "
                f"{settings.max_rejected_ratio:g}. Nothing of this micro-batch was committed, and "
                "all partitions of this worker wait. Look at the records with `sensorwatch topics "
                "check`, mend the producer or the schema; or let them pass deliberately with "
                f"`sensorwatch consume --accept-rejections-until {partition.number}:"
                f"{settlement.accounts[partition].next_offset}` (the end of this micro-batch: more "
                "of them may follow, so look how far they reach)"
            )
    return None
