"""Rows out of files or a topic, with what has to be known of where they came from."""

import glob
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sensorwatch.common.errors import DataError
from sensorwatch.common.registry.candidate import DataSource
from sensorwatch.common.rows.batches import Batch, join_batches, split_batches
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.tables import read_batches
from sensorwatch.trainer.topic_rows import TopicRecord, oldest_records

TOPIC_PREFIX = "kafka:"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of one source: each a reading or a rejection, numbered in the source's order."""

    uri: str
    """As it was asked for: a file, a glob, or `kafka:TOPIC`."""
    sha256: str
    """Over the files' bytes one after the other, or over the records' payloads."""
    readings: Readings
    rejections: list[Rejection]

    @property
    def rows(self) -> int:
        """How many rows there were, rejected ones included."""
        return len(self.readings) + len(self.rejections)

    @property
    def rejected(self) -> dict[str, int]:
        """Rejected rows by reason code, the most frequent first."""
        reasons = Counter(rejection.reason.value for rejection in self.rejections)
        return dict(reasons.most_common())

    @property
    def source(self) -> DataSource:
        """What a manifest says about these rows.

        Raises DataError where no row was accepted.
        """
        if len(self.readings) == 0:
            reason_counts = ", ".join(
                f"{count} {reason}" for reason, count in self.rejected.items()
            )
            raise DataError(
                f"{self.uri} has no valid row ({reason_counts or 'it is empty'}): "
                "`sensorwatch schema check SCHEMA --data FILE` shows what is wrong"
            )
        times = self.readings.event_time
        return DataSource(
            uri=self.uri,
            sha256=self.sha256,
            first_time=int(times.min()),
            last_time=int(times.max()),
            rows=len(self.readings),
            rejected=self.rejected,
        )


def read_data(
    data: str, schema: Schema, *, rows: int | None = None, kafka: Mapping[str, Any]
) -> Dataset:
    """Read a file, every file that a glob names (in the order of their paths) or a topic.

    `rows`: the first so many rows of the files, or the oldest so many records of the topic; None:
    all of them. `kafka`: librdkafka's settings.
    Raises DataError where there is nothing to read, BrokerUnavailable for a topic out of reach.
    """
    if data.startswith(TOPIC_PREFIX):
        records = oldest_records(data.removeprefix(TOPIC_PREFIX), rows=rows, kafka=kafka)
        return _topic_dataset(data, records, schema)
    paths = files_of(data)
    batches: Iterable[Batch] = chain.from_iterable(read_batches(path, schema) for path in paths)
    if rows is not None:
        batches, _ = split_batches(batches, rows)
    readings, rejections = join_batches(batches, schema)
    return Dataset(data, _digest_of_files(paths), readings, rejections)


def files_of(data: str) -> list[Path]:
    """Return the one file, or the files that a glob names, by path.

    Raises DataError where there is none.
    """
    if Path(data).is_file():
        return [Path(data)]
    if Path(data).is_dir():
        raise DataError(
            f"{data} is a directory: give its files as a glob in quotes, '{data}/*.csv'"
        )
    paths = sorted(Path(name) for name in glob.glob(data, recursive=True))  # noqa: PTH207 - absolute patterns too
    files = [path for path in paths if path.is_file()]
    if not files:
        raise DataError(
            f"no file {data}: wanted a CSV or Parquet file, a glob in quotes, or kafka:TOPIC"
        )
    return files


def by_time(readings: Readings) -> Readings:
    """Sort by event time, then sensor id, then the order they came in, and number them anew.

    So the same rows give the same model, whether they came from a file or from a topic.
    """
    id_rank = np.empty(len(readings.sensor_ids), dtype=np.int64)
    id_rank[np.argsort(np.asarray(readings.sensor_ids, dtype=object))] = np.arange(len(id_rank))
    order = np.lexsort((readings.index, id_rank[readings.sensor], readings.event_time))
    return replace(readings.take(order), index=np.arange(len(order), dtype=np.int64))


def _topic_dataset(uri: str, records: Sequence[TopicRecord], schema: Schema) -> Dataset:
    payloads = [record.payload for record in records]
    received = [record.received for record in records]
    readings, rejections = parse(payloads, schema, received=received)
    return Dataset(uri, _digest_of_payloads(payloads), readings, rejections)


def _digest_of_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(_READ_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _digest_of_payloads(payloads: Iterable[bytes | None]) -> str:
    digest = hashlib.sha256()
    for payload in payloads:
        # With the length in front, so that the same bytes cut into other records differ.
        digest.update((-1 if payload is None else len(payload)).to_bytes(8, "big", signed=True))
        digest.update(payload or b"")
    return digest.hexdigest()
