"""Training leaves out the rows of episodes with the verdict true, and keeps all others."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.common.verdicts.verdict import Verdict, VerdictRecord, VerdictSource, verdict_of
from sensorwatch.common.verdicts.verdict_topic import VerdictWriter
from sensorwatch.trainer.judged_rows import TrueFault, leave_out, true_faults
from tests.alarms.event_builders import an_alarm, an_end
from tests.commands.command_runner import run_in_process
from tests.episodes.episode_folder import ROWS, a_row, episode_folder
from tests.trainer.training_builders import a_dataset


def a_verdict(book: EpisodeBook, verdict: Verdict = Verdict.TRUE) -> dict[str, VerdictRecord]:
    state = book.get("sensors-0-1")
    assert state is not None
    record = verdict_of(state, verdict, when=0, who="w", note="", source=VerdictSource.COMMAND)
    return {record.episode_id: record}


def test_the_rows_of_a_fault_are_left_out_and_counted() -> None:
    dataset = a_dataset()
    readings, sensor_id = dataset.readings, dataset.readings.sensor_ids[3]
    begin, end = int(readings.event_time[1_000]), int(readings.event_time[1_500])
    faults = [
        TrueFault("a", sensor_id, begin, end),
        TrueFault("b", sensor_id, begin - 1, end),
        TrueFault("c", "another", begin, None),
    ]

    judged = leave_out(dataset, faults)

    is_covered = (readings.sensor == 3) & (readings.event_time >= begin)
    is_covered &= readings.event_time <= end
    assert judged.left_out == {"a": int(is_covered.sum())}
    assert 0 < is_covered.sum() < 100
    assert np.array_equal(judged.readings.values, readings.values[~is_covered])
    assert judged.rows == dataset.rows
    assert judged.source.left_out_true_faults == judged.left_out


def test_an_open_fault_has_no_end() -> None:
    dataset = a_dataset()
    begin = int(dataset.readings.event_time[2_000])

    judged = leave_out(dataset, [TrueFault("a", dataset.readings.sensor_ids[0], begin, None)])

    times = judged.readings.event_time[judged.readings.sensor == 0]
    assert len(times) > 0
    assert times.max() < begin


def test_the_topic_says_when_an_episode_ended_after_its_verdict() -> None:
    book = EpisodeBook()
    book.add(an_alarm("sensors-0-1", 3))
    records = a_verdict(book)
    (open_fault,) = true_faults(records, EpisodeBook())
    book.add(an_end("sensors-0-1", 10))

    (fault,) = true_faults(records, book)

    assert open_fault.end is None
    assert fault.end is not None
    assert [format_instant(time) for time in (fault.begin, fault.end)] == [
        "2025-01-01T00:03:00Z",
        "2025-01-01T00:09:00Z",
    ]


@pytest.mark.embedded
def test_a_version_says_which_rows_it_was_trained_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORWATCH__TRAINER__TREES", "5")
    monkeypatch.setenv("SENSORWATCH__TRAINER__FEATURES", "plain")
    with episode_folder(tmp_path, monkeypatch) as folder:
        (folder / "rows.jsonl").write_bytes(b"\n".join(a_row(row) for row in range(ROWS)))
        settings = load_settings(None).settings
        book = EpisodeBook()
        book.add(an_alarm("sensors-0-1", 40, sensor="pump-7", start_minute=40))
        book.add(an_end("sensors-0-1", 45, sensor="pump-7"))
        counts = []
        with closing(VerdictWriter(settings.kafka, settings.verdicts_topic)) as writer:
            for verdict in (Verdict.FALSE, Verdict.TRUE):
                for record in a_verdict(book, verdict).values():
                    writer.write(record)
                result = run_in_process(
                    "train", "--data", "rows.jsonl", "--verdicts", folder=folder
                )
                assert result.code == 0, result.err
                version = result.out.split("version    ")[1].split()[0]
                manifest = Registry(folder / "registry").manifest("default", version)
                counts.append(manifest.data_source.left_out_true_faults)
                assert manifest.data_source.rows == ROWS - sum(counts[-1].values())

    assert counts == [{}, {"sensors-0-1": 5}]
    assert "left out   5 rows of 1 episodes with the verdict true" in result.out
