"""Drain a topic with Flink's Table API and a vectorised Python function, exactly once."""

import sys
import time
from pathlib import Path

from drain_clock import print_run_totals
from drain_job import cached_forest, decide, required_setting
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

BUNDLE_ROWS = 10_000
EVENT, LETTER = "E", "D"
SETTINGS = {
    "parallelism.default": "1",
    "python.executable": sys.executable,
    "python.client.executable": sys.executable,
    "python.fn-execution.bundle.size": str(BUNDLE_ROWS),
    "python.fn-execution.arrow.batch.size": str(BUNDLE_ROWS),
    "execution.checkpointing.interval": "1s",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
}


@udf(result_type=DataTypes.STRING(), func_type="pandas")
def score(values, offsets):
    """Return, for each row, its event or its rejection reason; an empty text for a normal row."""
    import pandas as pd

    sources = [f"{required_setting('TOPIC')}-0-{row_offset}" for row_offset in offsets]
    position_by_source = {source: position for position, source in enumerate(sources)}
    events, letters = decide(cached_forest(), [bytes(value) for value in values], sources)
    results = [""] * len(sources)
    for _, value in events:
        text = value.decode()
        results[position_by_source[text.split('"', 4)[3]]] = EVENT + text
    for _, headers in letters:
        header_values = dict(headers)
        results[position_by_source[header_values["source"].decode()]] = (
            LETTER + header_values["reason"].decode()
        )
    return pd.Series(results)


def sink(name: str, topic: str, columns: str) -> str:
    """Return the SQL statement that declares a transactional sink."""
    return f"""
        CREATE TABLE {name} ({columns}) WITH (
            'connector' = 'kafka', 'topic' = '{topic}', 'format' = 'raw',
            'properties.bootstrap.servers' = '{required_setting("ADDRESS")}',
            'properties.transaction.timeout.ms' = '600000',
            'sink.delivery-guarantee' = 'exactly-once',
            'sink.transactional-id-prefix' = '{topic}')"""


def main() -> None:
    """Drain the topic to its end."""
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for name, value in SETTINGS.items():
        tables.get_config().set(name, value)
    jars = ";".join(
        path.absolute().as_uri() for path in Path(required_setting("JARS")).glob("*.jar")
    )
    tables.get_config().set("pipeline.jars", jars)
    tables.create_temporary_function("score", score)
    tables.execute_sql(f"""
        CREATE TABLE readings (
            `value` BYTES, `offset` BIGINT METADATA VIRTUAL
        ) WITH (
            'connector' = 'kafka', 'topic' = '{required_setting("TOPIC")}', 'format' = 'raw',
            'properties.bootstrap.servers' = '{required_setting("ADDRESS")}',
            'properties.group.id' = '{required_setting("GROUP")}',
            'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset')""")
    tables.execute_sql(sink("events", required_setting("EVENTS"), "`value` STRING"))
    headers = "`value` BYTES, `headers` MAP<STRING, BYTES> METADATA"
    tables.execute_sql(sink("letters", required_setting("LETTERS"), headers))
    tables.execute_sql(
        "CREATE TEMPORARY VIEW results AS"
        " SELECT `value`, score(`value`, `offset`) AS found FROM readings"
    )
    start_time = time.perf_counter()
    statements = tables.create_statement_set()
    statements.add_insert_sql(
        "INSERT INTO events SELECT SUBSTRING(found FROM 2) FROM results"
        f" WHERE SUBSTRING(found FROM 1 FOR 1) = '{EVENT}'"
    )
    statements.add_insert_sql(
        "INSERT INTO letters SELECT `value`, MAP['reason', CAST(SUBSTRING(found FROM 2) AS BYTES)]"
        f" FROM results WHERE SUBSTRING(found FROM 1 FOR 1) = '{LETTER}'"
    )
    statements.execute().wait()
    print_run_totals(int(required_setting("ROWS")), time.perf_counter() - start_time)


if __name__ == "__main__":
    main()
