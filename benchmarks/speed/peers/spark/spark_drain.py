"""Drain a topic with Spark's Structured Streaming and mapInPandas, with at-least-once delivery."""

import os
import sys
import tempfile
import time
from pathlib import Path

from drain_clock import print_run_totals
from drain_job import cached_forest, decide, optional_setting, required_setting
from pyspark.sql import SparkSession

TRIGGER_ROWS = 100_000
# "0 seconds": in an endless run, each micro-batch starts when the previous one is done.
TRIGGER = (
    {"processingTime": "0 seconds"} if optional_setting("ENDLESS", "") else {"availableNow": True}
)
RESULT_SCHEMA = (
    "topic string, key binary, value binary, headers array<struct<key:string,value:binary>>"
)
JARS = ",".join(map(str, Path(required_setting("JARS")).glob("*.jar")))
# The JVM starts Python workers with this interpreter.
os.environ["PYSPARK_PYTHON"] = sys.executable


def score(frames):
    """Yield one frame of result rows (topic, key, value, headers) per batch of messages."""
    import pandas as pd

    for frame in frames:
        positions = zip(frame["partition"], frame["offset"], strict=True)
        sources = [
            f"{required_setting('TOPIC')}-{partition}-{offset}" for partition, offset in positions
        ]
        events, letters = decide(
            cached_forest(), [bytes(value) for value in frame["value"]], sources
        )
        rows = [(required_setting("EVENTS"), key, value, None) for key, value in events]
        for value, headers in letters:
            header_rows = [{"key": name, "value": content} for name, content in headers]
            rows.append((required_setting("LETTERS"), None, value, header_rows))
        yield pd.DataFrame(rows, columns=["topic", "key", "value", "headers"])


def main() -> None:
    """Drain the topic to its end."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", JARS)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    kafka = {"kafka.bootstrap.servers": required_setting("ADDRESS")}
    start_time = time.perf_counter()
    rows = (
        spark.readStream.format("kafka")
        .options(**kafka, subscribe=required_setting("TOPIC"), startingOffsets="earliest")
        .option("maxOffsetsPerTrigger", TRIGGER_ROWS)
        .load()
        .select("value", "partition", "offset")
    )
    query = (
        rows.mapInPandas(score, RESULT_SCHEMA)
        .writeStream.format("kafka")
        .options(**kafka, includeHeaders="true")
        .option("asyncProgressTrackingEnabled", optional_setting("ASYNC", "false"))
        .option("checkpointLocation", tempfile.mkdtemp(prefix="spark-"))
        .trigger(**TRIGGER)
        .start()
    )
    query.awaitTermination()
    if query.exception() is not None:
        raise RuntimeError(str(query.exception()))
    print_run_totals(int(required_setting("ROWS")), time.perf_counter() - start_time)
    spark.stop()


if __name__ == "__main__":
    main()
