"""A builder of micro-batches for tests."""

from collections.abc import Sequence

from sensorwatch.common.kafka.records import Record
from sensorwatch.consumer.micro_batch import BatchBuilder, MicroBatch


def micro_batch_of(records: Sequence[Record], topic: str) -> MicroBatch:
    """Return a micro-batch of these records, with an empty group membership."""
    builder = BatchBuilder()
    builder.extend(records, [record.timestamp() for record in records])
    return MicroBatch(builder.partition_batches(topic), b"")
