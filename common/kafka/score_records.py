"""Record format of the scores topic: the aggregates of a partition's rows in a micro-batch.

A record has these parts, one directly after the other:

1. 4 bytes: the length of the header in bytes, an unsigned integer, little-endian;
2. the header: a JSON object in UTF-8 with the fields of `_Header`, padded with spaces so that the
   columns start at a multiple of 8;
3. the columns of SENSOR_COLUMNS, in this order, each with one number per sensor;
4. the columns of SIGNAL_COLUMNS, in this order, each with one number per sensor and signal; the
   numbers of a sensor are consecutive.

All numbers are little-endian. The numbers are in the order of the sensors and signals in the
header. There is nothing between the columns.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.scoring.detections import SEVERITIES
from sensorwatch.common.scoring.score_aggregates import (
    SENSOR_COLUMNS,
    SIGNAL_COLUMNS,
    ScoreAggregates,
)

SCORES_VERSION = 1
MAX_RECORD_BYTES = 900_000
"""Largest size of a record. It is below 1,000,000 bytes, the default message limit of client and
broker."""
_LENGTH = struct.Struct("<I")
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """The aggregates of scored rows of one input partition, with their origin."""

    group: str
    """The consumer group that scored the rows."""
    partition: Partition
    """The input partition."""
    model_version: str
    """The model version that scored the rows."""
    aggregates: ScoreAggregates


class _Header(msgspec.Struct, frozen=True):
    """The header of a record; `topic` and `partition` are those of the input."""

    scores_version: int
    group: str
    topic: str
    partition: int
    model_version: str
    signals: tuple[str, ...]
    sensors: tuple[str, ...]


class _VersionField(msgspec.Struct, frozen=True):
    scores_version: int


def encode_scores(record: ScoreRecord) -> bytes:
    """Return the bytes of a record."""
    aggregates = record.aggregates
    header = msgspec.json.encode(
        _Header(
            SCORES_VERSION,
            record.group,
            record.partition.topic,
            record.partition.number,
            record.model_version,
            aggregates.signal_names,
            aggregates.sensor_ids,
        )
    )
    header += b" " * (-(_LENGTH.size + len(header)) % _ALIGNMENT)
    parts = [_LENGTH.pack(len(header)), header]
    for columns in (SENSOR_COLUMNS, SIGNAL_COLUMNS):
        for name, dtype in columns.items():
            parts.append(getattr(aggregates, name).astype(_stored_type(dtype)).tobytes())
    return b"".join(parts)


def decode_scores(value: bytes | None) -> ScoreRecord:
    """Return the record that `encode_scores` wrote.

    Raises ValueError if the value is not such a record, and DataError if a newer version of this
    program wrote it.
    """
    header, columns_start = _decode_header(value or b"")
    columns = _decode_columns(value or b"", columns_start, header)
    is_possible = (
        len(set(header.sensors)) == len(header.sensors)
        and np.all(columns["rows"] >= 1)
        and np.all((columns["severity"] >= 0) & (columns["severity"] < len(SEVERITIES)))
        and np.all(columns["first_time"] <= columns["last_time"])
        and np.all(columns["first_offset"] <= columns["last_offset"])
        and np.all(columns["values"] >= 0)
        and not np.any(np.isnan(columns["worst_score"]))
    )
    if not is_possible:
        raise ValueError("the numbers of the score record are impossible")
    return ScoreRecord(
        header.group,
        Partition(header.topic, header.partition),
        header.model_version,
        ScoreAggregates(header.signals, header.sensors, **columns),
    )


def score_messages(
    record: ScoreRecord, topic: str, *, max_bytes: int = MAX_RECORD_BYTES
) -> Iterator[OutgoingMessage]:
    """Yield the messages of a record; the key is the input partition. No sensors: no message.

    A record of more than `max_bytes` is divided into records of fewer sensors. A sensor whose
    record alone is larger is left out, because the broker would refuse the transaction.
    """
    sensors = len(record.aggregates)
    if sensors == 0:
        return
    value = encode_scores(record)
    if len(value) <= max_bytes:
        yield OutgoingMessage(topic, str(record.partition).encode(), value, [])
        return
    if sensors == 1:
        return
    for positions in np.array_split(np.arange(sensors), -(-len(value) // max_bytes)):
        part = replace(record, aggregates=record.aggregates.take(positions))
        yield from score_messages(part, topic, max_bytes=max_bytes)


def _decode_header(value: bytes) -> tuple[_Header, int]:
    """Return the header of a record and the position of its columns."""
    if len(value) < _LENGTH.size:
        raise ValueError(f"not a score record: {len(value)} bytes are too few")
    (header_length,) = _LENGTH.unpack_from(value)
    columns_start = _LENGTH.size + header_length
    if columns_start > len(value):
        raise ValueError(
            f"not a score record: its header has {header_length} bytes, but the record has "
            f"{len(value)}"
        )
    text = value[_LENGTH.size : columns_start]
    try:
        # Read only the version first, because a newer version may have other fields.
        version = msgspec.json.decode(text, type=_VersionField).scores_version
        if version > SCORES_VERSION:
            raise DataError(
                f"the scores topic contains a record of version {version}, but this program reads "
                f"versions up to {SCORES_VERSION}: run the newer sensorwatch that wrote it"
            )
        return msgspec.json.decode(text, type=_Header), columns_start
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a score record: {error}") from error


def _decode_columns(value: bytes, start: int, header: _Header) -> dict[str, NDArray[Any]]:
    sensors, signals = len(header.sensors), len(header.signals)
    sizes = dict.fromkeys(SENSOR_COLUMNS, sensors)
    sizes |= dict.fromkeys(SIGNAL_COLUMNS, sensors * signals)
    dtypes = {**SENSOR_COLUMNS, **SIGNAL_COLUMNS}
    wanted_bytes = sum(size * np.dtype(dtypes[name]).itemsize for name, size in sizes.items())
    if len(value) - start != wanted_bytes:
        raise ValueError(
            f"damaged score record: its columns have {len(value) - start} bytes, wanted "
            f"{wanted_bytes} for {sensors} sensors and {signals} signals"
        )
    columns: dict[str, NDArray[Any]] = {}
    for name, size in sizes.items():
        stored = np.frombuffer(value, _stored_type(dtypes[name]), size, start)
        start += stored.nbytes
        column = stored.astype(dtypes[name])
        columns[name] = column.reshape(sensors, signals) if name in SIGNAL_COLUMNS else column
    return columns


def _stored_type(dtype: type[np.generic]) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")
