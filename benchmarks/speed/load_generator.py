"""`python -m benchmarks.speed.load_generator`: rows at an even pace, from a process of its own.

It reads the number of rows, rows a second, and everything else from its arguments; it prints how
many seconds it was late at the most.
"""

import json
import sys
import time

from confluent_kafka import Producer

from benchmarks.speed.json_payloads import Stream, chunks, payloads
from sensorwatch.common.kafka.client_config import producer_config

SLICE_SECONDS = 0.002


def main(address: str, topic: str, partitions: int, rate: int, stream: Stream) -> None:
    """Produce a stream's rows, a slice every two milliseconds."""
    rows = [
        (sensor, payload)
        for chunk in chunks(stream)
        for sensor, payload in zip(chunk.sensor.tolist(), payloads(chunk), strict=True)
    ]
    producer = Producer(
        producer_config(
            {
                "bootstrap.servers": address,
                "linger.ms": 1,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
    )
    producer.list_topics(topic, timeout=10)
    size = max(1, round(rate * SLICE_SECONDS))
    began, max_delay = time.perf_counter(), 0.0
    for first in range(0, len(rows), size):
        due = began + first / rate
        now = time.perf_counter()
        if now < due:
            time.sleep(due - now)
        max_delay = max(max_delay, now - due)
        for sensor, payload in rows[first : first + size]:
            producer.produce(topic, payload, b"sensor-%06d" % sensor, sensor % partitions)
        producer.poll(0)
    left = producer.flush(60)
    print(json.dumps({"late_seconds": max_delay, "left": left}))


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    main(stream=Stream(**arguments.pop("stream")), **arguments)
