"""The empty loop: fetch, look at every value, do nothing; `fetch.queue.backoff.ms` as told."""

from drain_clock import Clock
from confluent_kafka import Consumer
from drain_job import told


def main() -> None:
    """Drain the topic."""
    wanted, backoff = int(told("ROWS")), told("BACKOFF")
    config = {
        "bootstrap.servers": told("ADDRESS"),
        "group.id": told("GROUP"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(config | ({"fetch.queue.backoff.ms": int(backoff)} if backoff else {}))
    consumer.subscribe([told("TOPIC")])
    clock = Clock()
    while clock.rows < wanted:
        messages = consumer.consume(1000, 1.0)
        if not messages:
            continue
        clock.start()
        for message in messages:
            message.value()
        clock.done(len(messages))
    clock.print()
    consumer.close()


main()
