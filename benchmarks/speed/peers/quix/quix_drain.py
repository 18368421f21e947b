"""Drain a topic with Quix Streams and a batching sink: at least once."""

from confluent_kafka import Producer
from drain_clock import DrainClock
from drain_job import Forest, decide, optional_setting, required_setting
from quixstreams import Application
from quixstreams.sinks import BatchingSink

BATCH_ROWS = 10_000
FETCH = {"fetch.queue.backoff.ms": 10}


class Scoring(BatchingSink):
    """A sink that scores the rows since the last checkpoint, and sends the results."""

    def __init__(self, app: Application) -> None:
        super().__init__()
        self.app = app
        self.clock = DrainClock()
        self.forest = Forest(required_setting("TRAINING"))
        self.producer = Producer(
            {"bootstrap.servers": required_setting("ADDRESS"), "compression.type": "lz4"}
        )
        self.target_rows, self.events, self.letters = (
            int(required_setting("ROWS")),
            required_setting("EVENTS"),
            required_setting("LETTERS"),
        )

    def add(self, **record) -> None:
        """Add a row to the batch."""
        self.clock.start()
        super().add(**record)

    def write(self, batch) -> None:
        """Score the batch of one partition at a checkpoint."""
        items = list(batch)
        sources = [f"{batch.topic}-{batch.partition}-{item.offset}" for item in items]
        events, letters = decide(self.forest, [item.value for item in items], sources)
        for key, value in events:
            self.producer.produce(self.events, value, key)
        for value, headers in letters:
            self.producer.produce(self.letters, value, headers=headers)
        self.producer.flush()
        self.clock.count_done(len(items), len(events), len(letters))
        if self.clock.rows >= self.target_rows:
            self.app.stop()


def main() -> None:
    """Drain the topic."""
    app = Application(
        broker_address=required_setting("ADDRESS"),
        consumer_group=required_setting("GROUP"),
        auto_offset_reset="earliest",
        commit_every=BATCH_ROWS,
        commit_interval=float(optional_setting("COMMIT_SECONDS", "1.0")),
        consumer_poll_timeout=float(optional_setting("POLL_SECONDS", "1.0")),
        consumer_extra_config=FETCH,
        loglevel="WARNING",
    )
    sink = Scoring(app)
    topic = app.topic(
        required_setting("TOPIC"), value_deserializer="bytes", key_deserializer="bytes"
    )
    app.dataframe(topic).sink(sink)
    app.run()
    sink.clock.print()


main()
