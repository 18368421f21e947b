"""Commit accounts for a consumer group while its consumers are stopped."""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import (
    BrokerUnavailable,
    MicroBatchAborted,
    OutcomeUnknown,
    UsageError,
)
from sensorwatch.common.kafka.client_config import client_config, consumer_config
from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.setting_choices import Delivery
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.consumer.connection import create_outbox
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlan, Outbox

CALL_TIMEOUT_SECONDS = 30.0
_STATES_WITHOUT_MEMBERS = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


def commit_accounts(
    settings: Settings,
    accounts: Mapping[Partition, Account],
    ledger_entries: Sequence[tuple[Partition, Cause, Account]] = (),
) -> None:
    """Commit accounts with their offsets, and write ledger records, in one transaction.

    The function uses the transactional ids of the workers, so the broker fences (shuts out) workers
    of this [consumer] instance that still hang. Hanging workers of other instances cannot commit,
    because they are no longer members of the group. Raises UsageError if the group has members, and
    BrokerUnavailable if the commit was not confirmed.
    """
    group, ledger_topic = settings.consumer.group, settings.ledger_topic
    is_transactional = settings.consumer.delivery is Delivery.EXACTLY_ONCE

    def plan_commit(_manifests: Mapping[Partition, int]) -> CommitPlan:
        require_no_members(settings)
        return CommitPlan(
            [
                ledger_message(ledger_topic, group, partition, account, cause)
                for partition, cause, account in ledger_entries
            ],
            [
                Commit(partition, account.next_offset, to_metadata(account))
                for partition, account in accounts.items()
            ],
        )

    consumer = Consumer(consumer_config(settings.kafka, group=group), logger=silent_logger())
    outboxes: list[Outbox] = []
    try:
        require_no_members(settings)
        worker_numbers = range(settings.consumer.workers if is_transactional else 1)
        outboxes.extend(
            create_outbox(settings, worker_number, consumer) for worker_number in worker_numbers
        )
        outboxes[0].publish([], plan_commit, consumer.consumer_group_metadata())
    except (KafkaException, MicroBatchAborted, OutcomeUnknown) as error:
        raise BrokerUnavailable(
            f"the commit of the offsets of {group} was not confirmed: {error}. Stop all its "
            "consumers, then try again"
        ) from error
    finally:
        for outbox in outboxes:
            outbox.close()
        consumer.close()


def require_no_members(settings: Settings) -> None:
    """Raise UsageError if the group has members, BrokerUnavailable if the broker does not answer.

    The state of the group comes from the list of groups, which contains it for both group
    protocols. With at-least-once delivery, this function checks nothing: the broker itself refuses
    a commit outside a transaction while the group has members.
    """
    if settings.consumer.delivery is not Delivery.EXACTLY_ONCE:
        return
    admin = AdminClient(client_config(settings.kafka), logger=silent_logger())
    try:
        group_list = admin.list_consumer_groups(request_timeout=CALL_TIMEOUT_SECONDS).result()
    except KafkaException as error:
        raise BrokerUnavailable(f"no answer from the broker: {error.args[0].str()}") from error
    group = settings.consumer.group
    for listed_group in group_list.valid:
        if listed_group.group_id == group and listed_group.state not in _STATES_WITHOUT_MEMBERS:
            raise UsageError(
                f'the group "{group}" has members ({listed_group.state.name.lower()}). Nothing was '
                "committed. Stop its consumers first; a killed consumer is a member until its "
                "session times out"
            )
