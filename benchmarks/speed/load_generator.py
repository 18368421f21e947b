"""`python -m benchmarks.speed.load_generator`: produce rows at a constant rate.

The only argument is a JSON object with the arguments of `main`. The program prints the largest
delay of a batch in seconds.
"""

import json
import sys
import time

from confluent_kafka import Producer

from benchmarks.speed.json_payloads import Stream, chunks, payloads
from sensorwatch.common.kafka.client_config import producer_config

BATCH_SECONDS = 0.002


def main(address: str, topic: str, partitions: int, rate: int, stream: Stream) -> None:
    """Produce a stream's rows at `rate` rows per second, in one batch per two milliseconds."""
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
    batch_rows = max(1, round(rate * BATCH_SECONDS))
    start_time, max_delay = time.perf_counter(), 0.0
    for first in range(0, len(rows), batch_rows):
        send_time = start_time + first / rate
        now = time.perf_counter()
        if now < send_time:
            time.sleep(send_time - now)
        max_delay = max(max_delay, now - send_time)
        for sensor, payload in rows[first : first + batch_rows]:
            producer.produce(topic, payload, b"sensor-%06d" % sensor, sensor % partitions)
        producer.poll(0)
    unsent_rows = producer.flush(60)
    print(json.dumps({"late_seconds": max_delay, "left": unsent_rows}))


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    main(stream=Stream(**arguments.pop("stream")), **arguments)
