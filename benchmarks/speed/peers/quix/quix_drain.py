"""Drain a topic with Quix Streams and a batching sink, with at-least-once delivery."""

from confluent_kafka import Producer
from drain_clock import DrainClock
from drain_job import Forest, decide, optional_setting, required_setting
from quixstreams import Application
from quixstreams.sinks import BatchingSink

BATCH_ROWS = 10_000
FETCH_CONFIG = {"fetch.queue.backoff.ms": 10}


class ScoringSink(BatchingSink):
    """A sink that scores all rows since the last checkpoint, and sends events and dead letters."""

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
        """Start the clock if needed, and add a row to the batch."""
        self.clock.start()
        super().add(**record)

    def write(self, batch) -> None:
        """Score a batch of rows of one partition; called at a checkpoint."""
        records = list(batch)
        sources = [
            f"{batch.topic}-{batch.partition}-{record_of_batch.offset}"
            for record_of_batch in records
        ]
        events, letters = decide(
            self.forest, [record_of_batch.value for record_of_batch in records], sources
        )
        for key, value in events:
            self.producer.produce(self.events, value, key)
        for value, headers in letters:
            self.producer.produce(self.letters, value, headers=headers)
        self.producer.flush()
        self.clock.count_done(len(records), len(events), len(letters))
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
        consumer_extra_config=FETCH_CONFIG,
        loglevel="WARNING",
    )
    sink = ScoringSink(app)
    topic = app.topic(
        required_setting("TOPIC"), value_deserializer="bytes", key_deserializer="bytes"
    )
    app.dataframe(topic).sink(sink)
    app.run()
    sink.clock.print()


main()
