"""Old snapshots are deleted if the broker allows the deletion; a refusal is logged once."""

from concurrent.futures import Future
from typing import cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter


class FakeAdmin:
    """A fake admin client that answers its requests with `answers`, in order.

    An answer is an error code, None for success, or NO_ANSWER.
    """

    def __init__(self, *answers: int | None) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[int, int]] = []

    def delete_records(
        self, partitions: list[TopicPartition]
    ) -> "dict[TopicPartition, Future[None]]":
        (topic_partition,) = partitions
        self.requests.append((topic_partition.partition, topic_partition.offset))
        answer: Future[None] = Future()
        error_code = self._answers.pop(0)
        if error_code is None:
            answer.set_result(None)
        elif error_code:
            answer.set_exception(KafkaException(KafkaError(error_code)))
        return {topic_partition: answer}


NO_ANSWER = 0


def warnings_after(*answers: int | None) -> list[str]:
    """Return the warnings of a deleter.

    Its requests get `answers`; one more request gets no answer.
    """
    warnings: list[str] = []
    admin = FakeAdmin(*answers, NO_ANSWER)
    deleter = OldSnapshotDeleter(cast("AdminClient", admin), "g.state", warn=warnings.append)
    for offset in range(len(answers) + 1):
        deleter.delete_before(1, offset)
    assert admin.requests == [(1, offset) for offset in range(len(answers) + 1)]
    return warnings


def test_a_refusal_is_logged_once_with_its_consequence() -> None:
    refusal = KafkaError.TOPIC_AUTHORIZATION_FAILED

    (warning,) = warnings_after(refusal, None, refusal, refusal)

    assert 'old snapshots in "g.state" cannot be deleted' in warning
    assert "grows" in warning


def test_transient_errors_and_unsupported_requests_cause_no_warning() -> None:
    assert warnings_after(None, KafkaError._TIMED_OUT, KafkaError._UNSUPPORTED_FEATURE) == []


def test_the_deleter_does_not_wait_for_an_answer() -> None:
    assert warnings_after(NO_ANSWER, NO_ANSWER) == []
