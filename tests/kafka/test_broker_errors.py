"""Each error of a broker causes the expected reaction.

tests/publishing tests the same errors with the real client.
"""

import pytest
from confluent_kafka import KafkaError

from sensorwatch.common.kafka.broker_errors import ClientOperation, Reaction, is_transient, reaction


def an_error(code: int, *, retriable: bool = False, requires_abort: bool = False) -> KafkaError:
    return KafkaError(code, "injected by a test", False, retriable, requires_abort)


@pytest.mark.parametrize(
    ("operation", "code", "expected_reaction"),
    [
        (
            ClientOperation.PRODUCE,
            KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
            Reaction.RENEW_BROKEN_PRODUCER,
        ),
        (
            ClientOperation.PRODUCE,
            KafkaError.INVALID_PRODUCER_EPOCH,
            Reaction.RENEW_BROKEN_PRODUCER,
        ),
        (ClientOperation.PRODUCE, KafkaError.UNKNOWN_PRODUCER_ID, Reaction.ABORT_AND_REWIND),
        (ClientOperation.SEND_OFFSETS, KafkaError.PRODUCER_FENCED, Reaction.EXIT_FENCED),
        (ClientOperation.SEND_OFFSETS, KafkaError._FENCED, Reaction.EXIT_FENCED),
        (ClientOperation.COMMIT, KafkaError._FENCED, Reaction.EXIT_FENCED),
        (ClientOperation.SEND_OFFSETS, KafkaError.ILLEGAL_GENERATION, Reaction.ABORT_AND_REWIND),
        (ClientOperation.SEND_OFFSETS, KafkaError.UNKNOWN_MEMBER_ID, Reaction.ABORT_AND_REWIND),
        (ClientOperation.SEND_OFFSETS, 113, Reaction.ABORT_AND_REWIND),
        (ClientOperation.SEND_OFFSETS, KafkaError.REBALANCE_IN_PROGRESS, Reaction.ABORT_AND_REWIND),
        (ClientOperation.COMMIT, KafkaError.INVALID_TXN_STATE, Reaction.RENEW_BROKEN_PRODUCER),
        (ClientOperation.SEND_OFFSETS, KafkaError.INVALID_TXN_STATE, Reaction.CRASH),
        (ClientOperation.INIT, KafkaError._FAIL, Reaction.CRASH),
        # The next errors are transient, although the client sets none of its retry flags for them.
        (ClientOperation.INIT, KafkaError._DESTROY_BROKER, Reaction.RETRY),
        (ClientOperation.INIT, KafkaError.COORDINATOR_NOT_AVAILABLE, Reaction.RETRY),
        (ClientOperation.PRODUCE, KafkaError._DESTROY_BROKER, Reaction.RENEW_PRODUCER),
        (ClientOperation.SEND_OFFSETS, KafkaError._TRANSPORT, Reaction.RENEW_PRODUCER),
        (ClientOperation.COMMIT, KafkaError.NOT_ENOUGH_REPLICAS, Reaction.RENEW_PRODUCER),
        (ClientOperation.ABORT, KafkaError._TIMED_OUT, Reaction.RENEW_PRODUCER),
    ],
)
def test_each_error_causes_the_expected_reaction(
    operation: ClientOperation, code: int, expected_reaction: Reaction
) -> None:
    assert reaction(an_error(code), operation) is expected_reaction


@pytest.mark.parametrize("operation", ClientOperation)
def test_the_flags_of_an_unknown_error_determine_the_reaction(operation: ClientOperation) -> None:
    code = KafkaError._FAIL

    assert reaction(an_error(code, retriable=True), operation) is Reaction.RETRY
    assert reaction(an_error(code, requires_abort=True), operation) is Reaction.ABORT_AND_REWIND
    assert reaction(an_error(code), operation) is Reaction.CRASH


@pytest.mark.parametrize("operation", ClientOperation)
@pytest.mark.parametrize("retriable", [True, False])
def test_a_fenced_producer_exits_for_any_flags_of_the_error(
    operation: ClientOperation, retriable: bool
) -> None:
    error = an_error(KafkaError._FENCED, retriable=retriable, requires_abort=retriable)

    assert reaction(error, operation) is Reaction.EXIT_FENCED


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.OFFSET_METADATA_TOO_LARGE,
    ],
)
def test_an_error_that_the_same_micro_batch_would_cause_again_ends_the_worker(code: int) -> None:
    """If the worker aborted and rewound, it would do so forever without a log line of the error."""
    assert reaction(an_error(code, requires_abort=True), ClientOperation.COMMIT) is Reaction.CRASH


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    ],
)
def test_an_error_with_a_transient_code_is_transient_unless_it_is_fatal(code: int) -> None:
    """The flag `retriable` does not decide: the client sets it only in transactional calls."""
    assert not KafkaError(code).retriable()
    assert is_transient(KafkaError(code))
    assert not is_transient(KafkaError(code, "injected by a test", True))


def test_an_authorization_error_is_not_transient() -> None:
    assert not is_transient(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
