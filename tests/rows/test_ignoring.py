"""Records that the schema ignores are absorbed, and are not rejected."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from sensorwatch.common.files.rows_of_file import read_batches, read_numbered_rows
from sensorwatch.common.rows.absorption import ABSORBED_REASONS
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.ignoring import find_absorbed
from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.scoring.processing import OutcomeKind, process
from sensorwatch.trainer.row_serialization import cells_of, payloads_of
from tests.reading_builders import a_detector, a_schema, some_readings

IGNORE = {"type": ["heartbeat", "join"], "meta.code": 7, "test": True}


def ignoring_schema(**parts: Any) -> Schema:
    return schema_from_plain({"signals": [{"name": "x"}], "ignore": IGNORE} | parts)


def reasons_of(payloads: list[bytes | None], schema: Schema) -> dict[int, str]:
    absorbed = find_absorbed(payloads, schema)
    reasons = [ABSORBED_REASONS[number - 1].value for number in absorbed.reason.tolist()]
    return dict(zip(absorbed.index.tolist(), reasons, strict=True))


@pytest.mark.parametrize(
    ("record", "is_ignored"),
    [
        ({"type": "heartbeat"}, True),
        ({"type": "join", "x": 1}, True),
        ({"type": "heartbeats"}, False),
        ({"note": "heartbeat"}, False),
        ({"meta": {"code": 7}}, True),
        ({"meta": {"code": "7"}}, True),
        ({"meta": {"code": 77}}, False),
        ({"meta.code": 7}, True),
        ({"test": True}, True),
        ({"test": 1}, False),
        ({"type": ["heartbeat"]}, False),
        ({"type": None}, False),
    ],
)
def test_a_record_is_ignored_if_a_field_has_a_declared_value(
    record: dict[str, Any], is_ignored: bool
) -> None:
    payloads: list[bytes | None] = [b"{}", json.dumps(record).encode()]

    assert reasons_of(payloads, ignoring_schema()) == ({1: "filtered"} if is_ignored else {})


def test_escapes_and_broken_payloads_are_no_way_around() -> None:
    payloads: list[bytes | None] = [
        rb'{"type": "heart\u0062eat"}',
        rb'{"ty\u0070e": "heartbeat"}',
        b'{"type": "heartbeat"',
        b"heartbeat",
        b"",
        None,
    ]

    assert reasons_of(payloads, ignoring_schema()) == {0: "filtered", 1: "filtered"}


def test_tombstones_are_absorbed_only_if_the_schema_says_so() -> None:
    payloads: list[bytes | None] = [None, b"", b"{}"]
    schema = schema_from_plain({"signals": [{"name": "x"}], "tombstones": "ignore"})

    assert reasons_of(payloads, schema) == {0: "tombstone"}
    assert reasons_of(payloads, ignoring_schema()) == {}


def test_the_other_records_keep_their_outcomes() -> None:
    schema = schema_from_plain(a_schema().to_plain() | {"ignore": IGNORE, "tombstones": "ignore"})
    detector = a_detector()
    ignoring_detector = type(detector)(
        **{name: getattr(detector, name) for name in detector.__dataclass_fields__}
        | {"schema": schema}
    )
    rows: list[bytes | None] = list(payloads_of(cells_of(some_readings(12), schema), schema))
    payloads: list[bytes | None] = [None, b'{"type": "join"}', *rows, b"not JSON", None]
    received = np.asarray([NO_TIME] * len(payloads))

    outcome = process(
        payloads, ignoring_detector, ignoring_detector.empty_memory(), received=received
    )
    expected = process([*rows, b"not JSON"], detector, detector.empty_memory())
    assert outcome.kinds[[0, 1, -1]].tolist() == [OutcomeKind.ABSORBED] * 3
    assert outcome.kinds[2:-1].tolist() == expected.kinds.tolist()
    assert outcome.score_bits[2:-1].tolist() == expected.score_bits.tolist()
    assert outcome.records == len(payloads)


def test_ignored_rows_of_files_are_skipped(tmp_path: Path) -> None:
    rows = [
        {"timestamp": f"2025-01-01T00:0{minute}:00Z", "x": minute, "type": kind}
        for minute, kind in enumerate(["data", "heartbeat", "data", "join"])
    ]
    frame = pandas.DataFrame(rows)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    for path in tmp_path.iterdir():
        readings, rejections = join_batches(
            read_batches(path, ignoring_schema()), ignoring_schema()
        )

        assert readings.values.ravel().tolist() == [0.0, 2.0]
        assert readings.index.tolist() == [0, 1]
        assert rejections == []
        assert len(list(read_numbered_rows(path, ignoring_schema()))) == 2


def test_the_field_of_a_rule_is_known() -> None:
    schema = ignoring_schema(unknown_fields="reject")
    row = {"timestamp": "2025-01-01T00:00:00Z", "x": 1, "type": "data", "meta": {"code": 1}}

    readings, _ = parse([json.dumps(row).encode()] * 5, schema)
    _, rejections = parse([json.dumps(row | {"kind": 1}).encode()], schema)

    assert len(readings) == 5
    assert rejections[0].field == "kind"


def test_a_rule_without_values_is_refused() -> None:
    with pytest.raises(Exception, match="at least 1 item"):
        ignoring_schema(ignore={"type": []})
