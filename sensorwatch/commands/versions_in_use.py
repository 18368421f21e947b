"""Find the model versions and policies in the accounts or the ledger of a consumer group."""

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.committed_accounts import committed_accounts
from sensorwatch.common.kafka.ledger_topic import read_ledger
from sensorwatch.common.runtime.setting_keys import Settings


def named_versions(settings: Settings) -> tuple[frozenset[str], frozenset[str]]:
    """Return every model version and every policy in the accounts or the ledger of the group.

    To restore a memory, the version of the committed account is needed; to verify the ledger, all
    versions in the ledger are needed. The ledger also names the versions of all snapshots, because
    every change of the version is recorded in it. Raises BrokerUnavailable.
    """
    kafka, group = settings.kafka, settings.consumer.group
    try:
        group_accounts = committed_accounts(kafka, settings.topics.readings, group=group).values()
        ledger_records = read_ledger(kafka, settings.ledger_topic, group=group)
    except BrokerUnavailable as error:
        raise BrokerUnavailable(
            f'the versions that the group "{group}" needs are unknown: {error}. Nothing was '
            "deleted. Try again later, or add --offline to keep only champion, previous, "
            "--keep and --in-use"
        ) from error
    accounts = [
        committed_account.account
        for committed_account in group_accounts
        if committed_account.account is not None
    ]
    accounts += [record.account for record in ledger_records]
    return (
        frozenset(account.model_version for account in accounts if account.model_version),
        frozenset(account.policy for account in accounts if account.policy),
    )
