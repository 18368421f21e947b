"""Decides how to react to an error of the Kafka client or the broker."""

from enum import StrEnum

from confluent_kafka import KafkaError


class ClientOperation(StrEnum):
    """A call of the Kafka client that can fail."""

    INIT = "init transactions"
    PRODUCE = "produce"
    SEND_OFFSETS = "send offsets"
    COMMIT = "commit transaction"
    ABORT = "abort transaction"
    CONSUME = "consume"


class Reaction(StrEnum):
    """How to react to an error of the Kafka client or the broker."""

    RETRY = "retry until the deadline"
    ABORT_AND_REWIND = "abort, rewind to the committed offsets, go on"
    RENEW_PRODUCER = "new producer, rewind to the committed offsets, go on"
    RENEW_BROKEN_PRODUCER = "new producer, rewind, go on; exit if this happens twice in a row"
    EXIT_FENCED = "exit: another process has our transactional id"
    CRASH = "exit non-zero; a restart resumes"


_FENCED_ERRORS = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.FENCED_INSTANCE_ID}  # noqa: SLF001 - the client's name
_BROKEN_PRODUCER_ERRORS = {
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
}
_LOST_MEMBERSHIP_ERRORS = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    113,  # STALE_MEMBER_EPOCH (KIP-848); the client has no constant for this code yet
}
_PERMANENT_ERRORS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_REQUIRED_ACKS,
    KafkaError.OFFSET_METADATA_TOO_LARGE,
}
"""Errors that every retry of the same micro-batch would cause again, so retries would never end."""


_TRANSIENT_ERRORS = {
    # Errors that the client itself raises; the names of these errors begin with an underscore.
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - also raised if the leader is down
    KafkaError._DESTROY_BROKER,  # noqa: SLF001 - the broker is no longer in the metadata
    # Errors of a broker that stops, starts, or does not know the newest leader yet.
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    # Errors while a coordinator moves to another broker.
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    # Errors while too few replicas are in sync, until a broker is up again.
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
}
"""Errors of a cluster while one of its brokers is killed, restarted or replaced."""


def reaction(error: KafkaError, operation: ClientOperation) -> Reaction:
    """Return the reaction to an error of a client operation.

    An error is fatal if the client sets no flag on it and this file does not list it. If an error
    with the reaction RETRY persists after the caller's deadline, the caller reacts with
    RENEW_PRODUCER, because the outcome of a pending commit is then unknown.
    """
    code = error.code()
    if code in _FENCED_ERRORS:
        return Reaction.EXIT_FENCED
    if code in _BROKEN_PRODUCER_ERRORS:
        return Reaction.RENEW_BROKEN_PRODUCER
    if code in _LOST_MEMBERSHIP_ERRORS or code == KafkaError.UNKNOWN_PRODUCER_ID:
        return Reaction.ABORT_AND_REWIND
    if code == KafkaError.INVALID_TXN_STATE and operation in (
        ClientOperation.COMMIT,
        ClientOperation.ABORT,
    ):
        return Reaction.RENEW_BROKEN_PRODUCER
    if code in _PERMANENT_ERRORS:
        return Reaction.CRASH
    if error.txn_requires_abort():
        return Reaction.ABORT_AND_REWIND
    if error.retriable():
        return Reaction.RETRY
    if is_transient(error):
        # The client did not mark the error as retriable, so only INIT may be repeated.
        return Reaction.RETRY if operation is ClientOperation.INIT else Reaction.RENEW_PRODUCER
    return Reaction.CRASH


def is_transient(error: KafkaError) -> bool:
    """Return whether a call that failed with this error may succeed when it is repeated.

    Outside a transaction the client does not set its retriable flag, so this function decides by
    the error code. The error codes for a missing topic or partition are the same as for a topic or
    partition whose broker is briefly down. A caller that must distinguish the two cases has to read
    the metadata.
    """
    return not error.fatal() and (error.retriable() or error.code() in _TRANSIENT_ERRORS)
