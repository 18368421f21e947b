"""Drain a topic with an empty loop, which only fetches messages and reads their values."""

from confluent_kafka import Consumer
from drain_clock import DrainClock
from drain_job import required_setting


def main() -> None:
    """Drain the topic."""
    target_rows, backoff = int(required_setting("ROWS")), required_setting("BACKOFF")
    config = {
        "bootstrap.servers": required_setting("ADDRESS"),
        "group.id": required_setting("GROUP"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(config | ({"fetch.queue.backoff.ms": int(backoff)} if backoff else {}))
    consumer.subscribe([required_setting("TOPIC")])
    clock = DrainClock()
    while clock.rows < target_rows:
        messages = consumer.consume(1000, 1.0)
        if not messages:
            continue
        clock.start()
        for message in messages:
            message.value()
        clock.count_done(len(messages))
    clock.print()
    consumer.close()


main()
