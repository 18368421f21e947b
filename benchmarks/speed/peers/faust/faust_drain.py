"""Drain a topic with Faust's `take`, with at-least-once delivery."""

import os
import sys
import tempfile

import faust
from drain_clock import DrainClock
from drain_job import Forest, decide, required_setting

BATCH_ROWS, BATCH_SECONDS = 1_000, 0.2

app = faust.App(
    required_setting("GROUP"),
    broker=f"kafka://{required_setting('ADDRESS')}",
    datadir=tempfile.mkdtemp(prefix="faust-"),
    web_enabled=False,
    topic_disable_leader=True,
    producer_linger=0.005,
    producer_compression_type="lz4",
    stream_buffer_maxsize=20_000,
    topic_partitions=1,
)
rows = app.topic(
    required_setting("TOPIC"), value_type=bytes, value_serializer="raw", key_type=bytes
)
events_topic = app.topic(
    required_setting("EVENTS"), value_type=bytes, value_serializer="raw", key_type=bytes
)
letters_topic = app.topic(required_setting("LETTERS"), value_type=bytes, value_serializer="raw")
target_rows, clock, forest = (
    int(required_setting("ROWS")),
    DrainClock(),
    Forest(required_setting("TRAINING")),
)


@app.agent(rows)
async def score(stream) -> None:
    """Score the rows in batches of up to 1,000."""
    first_number = 0
    async for payloads in stream.take(BATCH_ROWS, within=BATCH_SECONDS):
        clock.start()
        # `take` returns no offsets. There is only one partition, so the number of a row is its
        # offset.
        sources = [
            f"{required_setting('TOPIC')}-0-{first_number + number}"
            for number in range(len(payloads))
        ]
        first_number += len(payloads)
        events, letters = decide(forest, payloads, sources)
        for key, value in events:
            await events_topic.send(key=key, value=value)
        for value, headers in letters:
            await letters_topic.send(value=value, headers=dict(headers))
        clock.count_done(len(payloads), len(events), len(letters))
        if clock.rows >= target_rows:
            await app.producer.flush()
            clock.print()
            os._exit(0)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--without-web", "--loglevel", "warn"]
    app.main()
