"""Old snapshots are deleted if the broker allows it, and a refusal is reported once."""

from concurrent.futures import Future
from typing import cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter


class FakeAdmin:
    """Answers each request with the next of these errors; None: deleted; NOT_YET: no answer."""

    def __init__(self, *answers: int | None) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[int, int]] = []

    def delete_records(
        self, partitions: list[TopicPartition]
    ) -> "dict[TopicPartition, Future[None]]":
        (where,) = partitions
        self.asked.append((where.partition, where.offset))
        answer: Future[None] = Future()
        code = self._answers.pop(0)
        if code is None:
            answer.set_result(None)
        elif code:
            answer.set_exception(KafkaException(KafkaError(code)))
        return {where: answer}


NO_ANSWER = 0


def warned(*answers: int | None) -> list[str]:
    """The warnings after several requests for partition 1, without an answer to the last one."""
    warnings: list[str] = []
    admin = FakeAdmin(*answers, NO_ANSWER)
    old = OldSnapshotDeleter(cast("AdminClient", admin), "g.state", warn=warnings.append)
    for offset in range(len(answers) + 1):
        old.delete_before(1, offset)
    assert admin.asked == [(1, offset) for offset in range(len(answers) + 1)]
    return warnings


def test_a_refusal_is_told_once_with_what_follows() -> None:
    refused = KafkaError.TOPIC_AUTHORIZATION_FAILED

    (warning,) = warned(refused, None, refused, refused)

    assert 'old snapshots in "g.state" cannot be deleted' in warning
    assert "grows" in warning


def test_what_passes_and_what_a_broker_cannot_do_is_not_worth_a_word() -> None:
    assert warned(None, KafkaError._TIMED_OUT, KafkaError._UNSUPPORTED_FEATURE) == []


def test_an_answer_that_has_not_come_is_not_waited_for() -> None:
    assert warned(NO_ANSWER, NO_ANSWER) == []
