"""Drain a topic with Bytewax: 1,000 rows per batch, at-least-once delivery, no recovery."""

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main
from drain_clock import DrainClock
from drain_job import Forest, decide, required_setting

BATCH_ROWS = 1_000
FETCH_CONFIG = {"fetch.queue.backoff.ms": "10"}


def main() -> None:
    """Drain the topic to its end."""
    clock, forest, brokers = (
        DrainClock(),
        Forest(required_setting("TRAINING")),
        [required_setting("ADDRESS")],
    )
    events_topic, letters_topic = required_setting("EVENTS"), required_setting("LETTERS")

    def score(messages):
        clock.start()
        sources = [f"{m.topic}-{m.partition}-{m.offset}" for m in messages]
        events, letters = decide(forest, [m.value for m in messages], sources)
        messages = [(True, KafkaSinkMessage(key, value)) for key, value in events]
        messages += [
            (False, KafkaSinkMessage(None, value, headers=headers)) for value, headers in letters
        ]
        clock.count_done(len(messages), len(events), len(letters))
        return messages

    flow = Dataflow("drain")
    source = KafkaSource(
        brokers,
        [required_setting("TOPIC")],
        tail=False,
        batch_size=BATCH_ROWS,
        add_config=FETCH_CONFIG,
    )
    rows = op.input("rows", flow, source)
    results = op.flat_map_batch("score", rows, score)
    branches = op.branch("kinds", results, lambda result: result[0])
    events = op.map("event", branches.trues, lambda result: result[1])
    letters = op.map("letter", branches.falses, lambda result: result[1])
    op.output("events", events, KafkaSink(brokers, events_topic))
    op.output("letters", letters, KafkaSink(brokers, letters_topic))
    cluster_main(flow, [], 0)
    clock.print()


main()
