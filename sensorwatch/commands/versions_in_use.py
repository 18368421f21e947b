"""The model versions that a group cannot do without: its accounts and its ledger name them."""

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.ledger_topic import read_ledger
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.state.committed_accounts import committed_accounts


def named_versions(settings: Settings) -> frozenset[str]:
    """Return every version that scored a record of the configured group, as far as is written.

    A memory is restored by the version of the committed account, and the ledger can only be proven
    by the versions it names; those of the snapshots are among them, as each swap is recorded.
    Raises BrokerUnavailable.
    """
    kafka, group = settings.kafka, settings.consumer.group
    try:
        committed = committed_accounts(kafka, settings.topics.readings, group=group).values()
        recorded = read_ledger(kafka, settings.ledger_topic, group=group)
    except BrokerUnavailable as error:
        raise BrokerUnavailable(
            f'which versions the group "{group}" needs is not known: {error}. Nothing was deleted. '
            "Try again when it can be asked, or say --offline to keep only champion, previous, "
            "--keep and --in-use"
        ) from error
    accounts = [
        committed_account.account
        for committed_account in committed
        if committed_account.account is not None
    ]
    accounts += [record.account for record in recorded]
    return frozenset(account.model_version for account in accounts if account.model_version)
