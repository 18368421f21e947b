"""The rows of files or of a topic, with a digest and the name of their source."""

import glob
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.kafka.topic_uri import TOPIC_PREFIX
from sensorwatch.common.registry.candidate import DataSource
from sensorwatch.common.rows.batches import Batch, join_batches, split_batches
from sensorwatch.common.rows.limits import LATEST_TIME
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.records import parse_rows
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.trainer.rejected_text import rejected_text
from sensorwatch.trainer.topic_rows import TopicRecord, oldest_records

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of one source. Each row is a reading or a rejection, numbered in source order."""

    uri: str
    """The value of `--data`: a file, a folder, a glob, or `kafka:TOPIC`."""
    sha256: str
    """SHA-256 digest of the concatenated files, or of the payloads of the topic's records."""
    readings: Readings
    rejections: list[Rejection]
    as_of: int | None = None
    """Latest accepted time in microseconds UTC; file rows with later times were rejected. None for
    a topic."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of valid rows that are not in `readings`, by the id of the episode with the verdict
    `true`."""

    @property
    def rows(self) -> int:
        """Return the number of rows, rejected rows and rows that were left out included."""
        return len(self.readings) + len(self.rejections) + sum(self.left_out.values())

    @property
    def rejected(self) -> dict[str, int]:
        """Return the number of rejected rows for each reason, the most frequent reason first."""
        reasons = Counter(rejection.reason.value for rejection in self.rejections)
        return dict(reasons.most_common())

    @property
    def source(self) -> DataSource:
        """Return the description of these rows for a model manifest.

        Raises DataError if no row is valid.
        """
        if len(self.readings) == 0:
            raise DataError(
                f"{self.uri} has no valid row ({rejected_text(self.rejected) or 'it is empty'}): "
                "`sensorwatch schema check SCHEMA --data FILE` shows why"
            )
        times = self.readings.event_time
        return DataSource(
            uri=self.uri,
            sha256=self.sha256,
            first_time=int(times.min()),
            last_time=int(times.max()),
            as_of=self.as_of,
            rows=len(self.readings),
            rejected=self.rejected,
            left_out_true_faults=dict(self.left_out),
        )


def read_data(
    data: str,
    schema: Schema,
    *,
    rows: int | None = None,
    as_of: int | None = None,
    kafka: Mapping[str, Any],
) -> Dataset:
    """Read a file, a folder, all files that match a glob, or a topic.

    Several files are read in the order of their first times. `rows`: maximum number of rows. The
    first rows of the files or the oldest records of the topic are read; None reads all. `as_of`:
    see `read_batches`. `kafka`: settings of librdkafka. Raises DataError if there is no file or
    topic to read, and BrokerUnavailable if the topic cannot be reached.
    """
    if data.startswith(TOPIC_PREFIX):
        records = oldest_records(data.removeprefix(TOPIC_PREFIX), schema, rows=rows, kafka=kafka)
        return _topic_dataset(data, records, schema)
    paths = _sorted_by_first_time(find_files(data), schema)
    batches: Iterable[Batch] = chain.from_iterable(
        read_batches(path, schema, as_of=as_of) for path in paths
    )
    if rows is not None:
        batches, _ = split_batches(batches, rows)
    readings, rejections = join_batches(batches, schema)
    return Dataset(data, _digest_of_files(paths), readings, rejections, as_of)


def find_files(data: str) -> list[Path]:
    """Return the file with this path, the files of this folder, or the files that match this glob.

    Hidden files of a folder are left out. The files are sorted by path. Raises DataError if there
    is no file.
    """
    path = Path(data)
    if path.is_file():
        return [path]
    if path.is_dir():
        paths = [file for file in path.iterdir() if not file.name.startswith(".")]
    else:
        paths = [Path(name) for name in glob.glob(data, recursive=True)]  # noqa: PTH207 - the pattern may be absolute
    files = sorted(path for path in paths if path.is_file())
    if not files:
        raise DataError(
            f"no file {data}: wanted a file, a folder with files, a glob in quotes, or kafka:TOPIC"
        )
    return files


def _sorted_by_first_time(paths: list[Path], schema: Schema) -> list[Path]:
    """Return the paths in the order of the first valid time of each file, then by path."""
    if len(paths) == 1:
        return paths
    return sorted(paths, key=lambda path: (_first_time(path, schema), path))


def _first_time(path: Path, schema: Schema) -> int:
    for readings, _ in read_batches(path, schema):
        if len(readings):
            return int(readings.event_time[0])
    return LATEST_TIME


def sort_by_time(readings: Readings) -> Readings:
    """Sort readings by event time, sensor id and input order, and number the rows from 0.

    With this order, the same rows give the same model whether they come from a file or a topic.
    """
    rank_of_sensor = np.empty(len(readings.sensor_ids), dtype=np.int64)
    rank_of_sensor[np.argsort(np.asarray(readings.sensor_ids, dtype=object))] = np.arange(
        len(rank_of_sensor)
    )
    order = np.lexsort((readings.index, rank_of_sensor[readings.sensor], readings.event_time))
    return replace(readings.take(order), index=np.arange(len(order), dtype=np.int64))


def _topic_dataset(uri: str, records: Sequence[TopicRecord], schema: Schema) -> Dataset:
    payloads = [record.payload for record in records]
    readings, rejections = parse_rows(
        payloads,
        schema,
        received=[record.received for record in records],
        sources=[record.sources for record in records] if schema.source_names else None,
    )
    return Dataset(uri, _digest_of_records(records), readings, rejections)


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


def _digest_of_records(records: Iterable[TopicRecord]) -> str:
    digest = hashlib.sha256()
    for record in records:
        for content in (record.payload, *map(_bytes_of_source, record.sources.values())):
            # Because of the length prefix, the digest depends on the boundaries between records.
            length = -1 if content is None else len(content)
            digest.update(length.to_bytes(8, "big", signed=True))
            digest.update(content or b"")
    return digest.hexdigest()


def _bytes_of_source(value: object) -> bytes | None:
    if isinstance(value, bytes):
        return value
    return str(value).encode() if isinstance(value, str | int) else None
