"""When too large a share of the records is rejected, so that somebody should look first."""

from collections.abc import Mapping

from common.detection.ledger import Account
from common.messaging.records import Partition
from common.runtime.keys import BreakerSettings


def tripped(
    accounts: Mapping[Partition, Account],
    held: Mapping[Partition, Account],
    settings: BreakerSettings,
    accepted_until: Mapping[Partition, int],
) -> str | None:
    """Say why these accounts must not be committed after those `held`, or None.

    Each partition is judged by its own window (in its account, so a restart does not forget it).
    One that brings no rejections, or only accepted ones, passes: what it finds in the window was
    committed before, and only the good records that it slides over are gone.
    """
    for partition, account in accounts.items():
        if account.dead_letters == held[partition].dead_letters:
            continue
        if account.next_offset <= accepted_until.get(partition, 0):
            continue
        rows, rejected = account.window
        if rows >= settings.min_rows and rejected > settings.max_rejected_ratio * rows:
            return (
                f"{rejected} of the last {rows} records of {partition} were rejected, more than "
                f"[consumer.breaker] max_rejected_ratio = {settings.max_rejected_ratio:g}. Nothing "
                "of this micro-batch was committed. Look at the records with `sensorwatch schema "
                "check`, mend the producer or the schema; or let them pass deliberately with "
                f"`sensorwatch consume --accept-rejections-until {partition.number}:"
                f"{account.next_offset}`"
            )
    return None
