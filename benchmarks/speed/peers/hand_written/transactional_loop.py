"""Drain a topic with a hand-written loop: one transaction for each batch and its offsets."""

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from drain_clock import DrainClock
from drain_job import required_setting

BATCH_ROWS = 10_000


def consumer() -> Consumer:
    """Return a tuned consumer that is subscribed to the topic."""
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


def producer() -> Producer:
    """Return an initialised transactional producer."""
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
    """Return up to BATCH_ROWS messages, fetched a thousand per call."""
    batch: list[Message] = []
    while len(batch) < BATCH_ROWS:
        messages = source.consume(1000, 0.2)
        batch += messages
        if not messages and batch:
            break
    return batch


def commit(source: Consumer, sink: Producer, batch: list[Message]) -> None:
    """Commit the batch's next offsets and the transaction."""
    next_offsets: dict[tuple[str, int], int] = {}
    for message in batch:
        next_offsets[message.topic(), message.partition()] = message.offset() + 1
    offsets = [TopicPartition(topic, number, end) for (topic, number), end in next_offsets.items()]
    sink.send_offsets_to_transaction(offsets, source.consumer_group_metadata(), 30)
    sink.commit_transaction(30)


def drain(decide) -> None:
    """Drain the topic; `decide` turns payloads and sources into events and dead letters."""
    target_rows, events_topic, letters_topic = (
        int(required_setting("ROWS")),
        required_setting("EVENTS"),
        required_setting("LETTERS"),
    )
    source, sink, clock = consumer(), producer(), DrainClock()
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
