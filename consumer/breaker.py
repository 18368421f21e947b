"""The breaker: stops commits if too large a share of a partition's records is rejected."""

from collections.abc import Mapping

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.ledger.rejection_window import find_first_excess
from sensorwatch.common.runtime.setting_keys import BreakerSettings
from sensorwatch.consumer.settlement import Settlement


def breaker_reason(
    settlement: Settlement, current_accounts: Mapping[Partition, Account], settings: BreakerSettings
) -> str | None:
    """Return the reason why a micro-batch must not be committed, or None if it may be committed.

    Each partition has its own window of recent records, which is part of its account and survives a
    restart. `current_accounts` are the accounts before the micro-batch. A partition without new
    rejections passes, even if its window contains many; accepted rejections do not count as new.
    """
    for partition, rejection_mask in settlement.rejection_masks.items():
        excess = find_first_excess(
            current_accounts[partition],
            rejection_mask,
            min_rows=settings.min_rows,
            max_ratio=settings.max_rejected_ratio,
        )
        if excess is not None:
            return (
                f"{excess.rejected} of the last {excess.rows} records of {partition} were "
                "rejected, more than [consumer.breaker] max_rejected_ratio = "
                f"{settings.max_rejected_ratio:g}. This micro-batch was not committed, and all "
                "partitions of this worker are paused. Look at the records with `sensorwatch "
                "topics check` and correct the producer or the schema. To accept the rejections, "
                "start with `sensorwatch consume --accept-rejections-until "
                f"{partition.number}:{settlement.accounts[partition].next_offset}`. That offset "
                "is the end of this micro-batch; more rejections may follow after it"
            )
    return None
