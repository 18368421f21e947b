"""Quix Streams with a batching sink, its fastest way: at least once."""

from drain_clock import Clock
from confluent_kafka import Producer
from drain_job import Forest, asked, decide, told
from quixstreams import Application
from quixstreams.sinks import BatchingSink

BATCH_ROWS = 10_000
FETCH = {"fetch.queue.backoff.ms": 10}


class Scoring(BatchingSink):
    """Scores what came since the checkpoint before, and sends the results."""

    def __init__(self, app: Application) -> None:
        super().__init__()
        self.app = app
        self.clock = Clock()
        self.forest = Forest(told("TRAINING"))
        self.producer = Producer({"bootstrap.servers": told("ADDRESS"), "compression.type": "lz4"})
        self.wanted, self.events, self.letters = int(told("ROWS")), told("EVENTS"), told("LETTERS")

    def add(self, **record) -> None:
        """Take a row in."""
        self.clock.start()
        super().add(**record)

    def write(self, batch) -> None:
        """Score a batch: one for each partition, when the checkpoint is made."""
        items = list(batch)
        sources = [f"{batch.topic}-{batch.partition}-{item.offset}" for item in items]
        events, letters = decide(self.forest, [item.value for item in items], sources)
        for key, value in events:
            self.producer.produce(self.events, value, key)
        for value, headers in letters:
            self.producer.produce(self.letters, value, headers=headers)
        self.producer.flush()
        self.clock.done(len(items), len(events), len(letters))
        if self.clock.rows >= self.wanted:
            self.app.stop()


def main() -> None:
    """Drain the topic."""
    app = Application(
        broker_address=told("ADDRESS"),
        consumer_group=told("GROUP"),
        auto_offset_reset="earliest",
        commit_every=BATCH_ROWS,
        commit_interval=float(asked("COMMIT_SECONDS", "1.0")),
        consumer_poll_timeout=float(asked("POLL_SECONDS", "1.0")),
        consumer_extra_config=FETCH,
        loglevel="WARNING",
    )
    sink = Scoring(app)
    topic = app.topic(told("TOPIC"), value_deserializer="bytes", key_deserializer="bytes")
    app.dataframe(topic).sink(sink)
    app.run()
    sink.clock.print()


main()
