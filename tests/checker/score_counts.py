"""Checks that the score records of a group count each scored row exactly once."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.score_records import ScoreRecord, decode_scores
from sensorwatch.common.ledger.account import Account
from tests.checker.topic_reader import read_committed


def committed_score_records(address: str, topic: str) -> list[ScoreRecord]:
    """Return the score records of all committed transactions."""
    return [decode_scores(message.value()) for message in read_committed(address, topic)]


def check_score_counts(records: list[ScoreRecord], accounts: Mapping[Partition, Account]) -> None:
    """Check that the records have as many rows as the accounts, and each record other rows.

    Each input record must be a single row. Rows below the first offset of an account do not count,
    because `sensorwatch state reset` starts a new account.
    """
    assert {record.partition for record in records} <= accounts.keys()
    for partition, account in accounts.items():
        parts = [
            record.aggregates.take(
                np.flatnonzero(record.aggregates.first_offset >= account.first_offset)
            )
            for record in records
            if record.partition == partition
        ]
        assert sum(part.rows.sum() for part in parts) == account.rows, partition
        assert sum(part.anomalous_rows.sum() for part in parts) == account.anomalies, partition
        spans: dict[str, list[tuple[int, int]]] = {}
        for part in parts:
            offsets = zip(part.first_offset.tolist(), part.last_offset.tolist(), strict=True)
            for sensor_id, span in zip(part.sensor_ids, offsets, strict=True):
                spans.setdefault(sensor_id, []).append(span)
        for sensor_id, sensor_spans in spans.items():
            for (_, last), (first, _) in pairwise(sorted(sensor_spans)):
                assert last < first, f"{sensor_id} in {partition}: offsets are counted twice"
