"""What to do about each error of the broker: the table, in one place."""

from enum import StrEnum

from confluent_kafka import KafkaError


class Stage(StrEnum):
    """What was being done when the error came."""

    INIT = "init transactions"
    PRODUCE = "produce"
    SEND_OFFSETS = "send offsets"
    COMMIT = "commit transaction"
    ABORT = "abort transaction"
    CONSUME = "consume"


class Reaction(StrEnum):
    """What is done about it."""

    RETRY = "retry until the deadline"
    ABORT_AND_REWIND = "abort, rewind to the committed offsets, go on"
    RENEW_PRODUCER = "new producer, rewind to the committed offsets, go on"
    EXIT_FENCED = "exit: another process has our transactional id"
    CRASH = "exit non-zero; a restart resumes"


_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.FENCED_INSTANCE_ID}  # noqa: SLF001 - that is the client's name for it
_BROKEN_PRODUCER = {
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
}
_LOST_MEMBERSHIP = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    113,  # STALE_MEMBER_EPOCH (KIP-848); the client has no name for it yet
}


def reaction(error: KafkaError, stage: Stage) -> Reaction:
    """Look the reaction up; an error without a flag is fatal.

    RETRY past the deadline is the caller's to turn into RENEW_PRODUCER: while a commit is
    pending nobody can say whether it happened.
    """
    code = error.code()
    if code in _FENCED:
        return Reaction.EXIT_FENCED
    if code in _BROKEN_PRODUCER:
        return Reaction.RENEW_PRODUCER
    if code in _LOST_MEMBERSHIP or code == KafkaError.UNKNOWN_PRODUCER_ID:
        return Reaction.ABORT_AND_REWIND
    if code == KafkaError.INVALID_TXN_STATE and stage in (Stage.COMMIT, Stage.ABORT):
        return Reaction.RENEW_PRODUCER
    if error.txn_requires_abort():
        return Reaction.ABORT_AND_REWIND
    if error.retriable():
        return Reaction.RETRY
    return Reaction.CRASH
