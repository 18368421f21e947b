"""What scoring a partition again says that must be there."""

from common.detection.emit import Emit
from tests.builders import ANOMALOUS, NORMAL, a_detector
from tests.checker.history import Ending
from tests.checker.rescoring import rescore
from tests.messaging.records import StoredRecord, a_payload

ROWS = (NORMAL, ANOMALOUS, ANOMALOUS, NORMAL)
RECORDS = [
    StoredRecord(a_payload(values, timestamp=f"2025-01-01T00:00:0{number}Z"), number)
    for number, values in enumerate(ROWS)
]


def test_every_anomaly_has_its_event_unless_only_episodes_are_told() -> None:
    detectors = {"default-0001-00000000": a_detector()}
    every = rescore(RECORDS, None, [], detectors)
    fewer = rescore(RECORDS, None, [], detectors, Emit.EPISODES)

    for found, told in ((every, [True, True]), (fewer, [True, False])):
        anomalies = [one for one in found.expected if one.ending is Ending.ANOMALY]
        assert [one.offset for one in anomalies] == [1, 2]
        assert [one.told for one in anomalies] == told
        assert [(one.value is not None) for one in anomalies] == told
    assert every.closings == fewer.closings
    (closing,) = every.closings
    assert (closing.episode, closing.offset, closing.key) == (1, 3, b"pump-7")
