"""Drain a topic with a hand-written loop that commits each batch in one transaction."""

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from drain_clock import DrainClock
from drain_job import required_setting

BATCH_ROWS = 10_000


def tuned_consumer() -> Consumer:
    """Return a consumer with tuned settings that is subscribed to the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": required_setting("ADDRESS"),
            "group.id": required_setting("GROUP"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.subscribe([required_setting("TOPIC")])
    return consumer


def transactional_producer() -> Producer:
    """Return a transactional producer after its initialisation."""
    producer = Producer(
        {
            "bootstrap.servers": required_setting("ADDRESS"),
            "transactional.id": required_setting("GROUP"),
            "linger.ms": 5,
            "compression.type": "lz4",
        }
    )
    producer.init_transactions(30)
    return producer


def next_batch(source: Consumer) -> list[Message]:
    """Return about BATCH_ROWS messages, or fewer if the topic has no more messages yet."""
    batch: list[Message] = []
    while len(batch) < BATCH_ROWS:
        messages = source.consume(1000, 0.2)
        batch += messages
        if not messages and batch:
            break
    return batch


def commit(source: Consumer, sink: Producer, batch: list[Message]) -> None:
    """Commit the transaction together with the offsets that follow the batch."""
    next_offsets: dict[tuple[str, int], int] = {}
    for message in batch:
        next_offsets[message.topic(), message.partition()] = message.offset() + 1
    offsets = [
        TopicPartition(topic, partition, next_offset)
        for (topic, partition), next_offset in next_offsets.items()
    ]
    sink.send_offsets_to_transaction(offsets, source.consumer_group_metadata(), 30)
    sink.commit_transaction(30)


def drain(decide) -> None:
    """Drain the topic; `decide` returns the events and the dead letters of payloads."""
    target_rows, events_topic, letters_topic = (
        int(required_setting("ROWS")),
        required_setting("EVENTS"),
        required_setting("LETTERS"),
    )
    source, sink, clock = tuned_consumer(), transactional_producer(), DrainClock()
    while clock.rows < target_rows:
        batch = next_batch(source)
        clock.start()
        sources = [f"{m.topic()}-{m.partition()}-{m.offset()}" for m in batch]
        events, letters = decide([message.value() for message in batch], sources)
        sink.begin_transaction()
        for key, value in events:
            sink.produce(events_topic, value, key)
        for value, headers in letters:
            sink.produce(letters_topic, value, headers=headers)
        commit(source, sink, batch)
        clock.count_done(len(batch), len(events), len(letters))
    clock.print()
    source.close()
