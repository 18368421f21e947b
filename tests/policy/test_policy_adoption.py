"""A worker adopts a policy between two micro-batches, and the ledger can be verified."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sensorwatch.common.errors import ModelRefused, StateRefused
from sensorwatch.common.kafka.ledger_text import (
    LEDGER_VERSION,
    Cause,
    LedgerRecord,
    ledger_record,
)
from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import SnapshotRef, open_account
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.learned import LearnedPart, LearnedSignal, LearnedSuppression
from sensorwatch.common.policy.rules import Direction
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.proof.ledger_intervals import LedgerInterval, Verdict, split_ledger
from sensorwatch.proof.replay_proof import ProofInputs, ReplayProof
from tests.brokers.child_processes import wait_until
from tests.checker.rescoring import rescore
from tests.commands.command_runner import sensorwatch
from tests.consumer.fakes import TOPIC
from tests.consumer.rig import OLD_VERSION, PARTITION_0, LoopRig, batch_steps, stored_records
from tests.consumer.sandbox import MODEL_NAME, PARTITION_COUNT, Sandbox
from tests.kafka.record_builders import a_payload
from tests.policy.policy_builders import a_policy
from tests.publishing.test_events import decode_event
from tests.reading_builders import ANOMALOUS_VALUES, a_detector

VALUES = [
    a_payload(
        ANOMALOUS_VALUES if number % 4 in (1, 2) else (0.0, 0.0, 0.0),
        timestamp=f"2024-12-31T23:{number:02}:00Z",
    )
    for number in range(12)
]
POLICY_TEXT = '[[rule]]\nname = "huge"\nmin_deviation = 1000'


@cache
def the_policy() -> AlarmPolicy:
    return a_policy(POLICY_TEXT)


def run_rig(policy: AlarmPolicy | None = None) -> LoopRig:
    """Run a worker that adopts a policy after the first of two micro-batches."""
    steps = [*batch_steps(*VALUES[:6]), *batch_steps(*VALUES[6:], first_offset=6)]
    rig = LoopRig(*steps, policies=(None, None, policy or the_policy()), clock_step_seconds=2.0)
    rig.with_opened_account().run()
    return rig


def ledger_of(rig: LoopRig) -> list[LedgerRecord]:
    opened = open_account(0, model_version=OLD_VERSION, fingerprint="f", window_rows=100)
    messages = [m for batch, _ in rig.outbox.published_batches for m in batch]
    return [
        LedgerRecord(LEDGER_VERSION, "g", TOPIC, 0, Cause.OPENED, opened),
        *(ledger_record(m.value) for m in messages if m.topic == "g.ledger"),
    ]


def verdicts(rig: LoopRig, *, known: AlarmPolicy) -> list[Verdict]:
    """Return the verdicts on the rig's ledger; only the policy `known` is in the registry."""
    return verdicts_under(rig, known, wanted_id=known.id)


def verdicts_under(rig: LoopRig, known: AlarmPolicy, *, wanted_id: str = "") -> list[Verdict]:
    """Return the verdicts on the rig's ledger if `known` scores the intervals with a policy.

    `wanted_id`: the only policy id in the registry; if empty, `known` replaces every policy.
    """

    def records(interval: LedgerInterval) -> Iterator[Record]:
        first, end = interval.begin.next_offset, interval.end.next_offset
        return iter(stored_records(*VALUES[first:end], first_offset=first))

    def detector(version: str, policy: str) -> Detector:
        if policy and policy != (wanted_id or policy):
            raise ModelRefused(f"no policy {policy}")
        return a_detector(version).under(known if policy else None)

    def snapshot(_partition: Partition, reference: SnapshotRef) -> Snapshot:
        if reference not in rig.state_topic.snapshots:
            raise StateRefused("no snapshot")
        return rig.state_topic.snapshots[reference]

    proof = ReplayProof(ProofInputs("f", lambda _: 0, records, detector, snapshot))
    account = rig.accounts.by_partition[PARTITION_0]
    return [proof.verify(interval).verdict for interval in split_ledger(ledger_of(rig), account)]


def events_of(rig: LoopRig) -> list[dict[str, object]]:
    messages = [m for batch, _ in rig.outbox.published_batches for m in batch]
    return [decode_event(m.value) for m in messages if m.topic == "anomalies"]


def test_a_policy_is_adopted_between_micro_batches_with_a_ledger_record_and_a_snapshot() -> None:
    rig = run_rig()

    (record,) = [record for record in ledger_of(rig) if record.cause is Cause.POLICY]
    assert (record.account.next_offset, record.account.policy) == (6, "")
    assert record.account.snapshot in rig.state_topic.snapshots
    snapshot = rig.state_topic.snapshots[record.account.snapshot]
    assert snapshot.account.policy == the_policy().id
    account = rig.accounts.by_partition[PARTITION_0]
    assert (account.policy, account.next_offset) == (the_policy().id, 12)


def test_events_name_the_rule_that_suppresses_them_and_metrics_count_them() -> None:
    rig = run_rig()

    events_by_id = {event["event_id"]: event for event in events_of(rig)}
    first, last = events_by_id[f"{TOPIC}-0-1"], events_by_id[f"{TOPIC}-0-9"]
    closed = events_by_id[f"{TOPIC}-0-9-closed"]
    assert "suppressed_by" not in first
    assert (last["suppressed"], last["suppressed_by"], last["severity"]) == ("rule", "huge", "info")
    assert (last["cause"], last["limit_rule"], last["window"]) == ("model", "", "")
    assert (closed["suppressed"], closed["suppressed_by"]) == ("rule", "huge")
    assert rig.metric("suppressed_total", rule="huge") == 1


def test_each_interval_is_verified_under_the_policy_in_force() -> None:
    rig = run_rig()

    assert verdicts(rig, known=the_policy()) == [Verdict.PROVEN, Verdict.PROVEN]
    assert verdicts(rig, known=a_policy("")) == [Verdict.PROVEN, Verdict.NO_MODEL]


def test_an_interval_under_learned_suppressions_is_verified() -> None:
    sensor_id = str(events_of(run_rig())[0]["sensor_id"])
    signals = tuple(LearnedSignal(n, Direction.HIGH, 1.0, 20.0) for n in ("x1", "x2", "x3"))
    suppression = LearnedSuppression(
        "sensors-0-1", "false", sensor_id, "", signals, ("unusual",), 9, 2**60
    )
    policy = a_policy(POLICY_TEXT).with_learned(LearnedPart((suppression,)))
    learned_only = a_policy("").with_learned(LearnedPart((suppression,)))

    for tested_policy, name in ((policy, "huge"), (learned_only, "verdict:sensors-0-1")):
        rig = run_rig(tested_policy)
        names = {event["suppressed_by"] for event in events_of(rig) if "suppressed_by" in event}
        assert names - {""} == {name}
        assert verdicts(rig, known=tested_policy) == [Verdict.PROVEN, Verdict.PROVEN]
    assert rig.metric("suppressed_total", rule="(verdicts)") == 1
    # The digest covers the suppression: another policy does not give the same digest.
    assert Verdict.PROVEN not in verdicts_under(rig, a_policy(POLICY_TEXT))[1:]


def test_the_checker_scores_each_part_again_under_its_policy() -> None:
    rig = run_rig()
    account, policies = rig.accounts.by_partition[PARTITION_0], {the_policy().id: the_policy()}

    expected = rescore(
        stored_records(*VALUES),
        account,
        ledger_of(rig),
        {OLD_VERSION: a_detector(OLD_VERSION)},
        policies=policies,
    )

    assert expected.digest == account.digest
    values = {outcome.value for outcome in expected.expected_outcomes if outcome.value}
    messages = [m for batch, _ in rig.outbox.published_batches for m in batch]
    assert values <= {m.value for m in messages}


def test_a_restart_restores_the_memory_under_the_policy_of_its_account() -> None:
    first = run_rig()
    records = stored_records(*VALUES)
    second = LoopRig(
        *batch_steps(*VALUES[:1], first_offset=12),
        consumer=first.consumer,
        state_topic=first.state_topic,
        policies=(the_policy(),),
    )
    second.consumer.steps = batch_steps(VALUES[0], first_offset=12)
    second.input_records = records
    second.consumer.assign_partitions(0)

    second.run()

    assert second.replays == [(PARTITION_0, 6, 12)]
    assert second.accounts.by_partition[PARTITION_0].policy == the_policy().id


@pytest.mark.embedded
@pytest.mark.slow
def test_a_running_worker_adopts_a_policy_and_ledger_verify_proves_every_interval(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    sandbox = Sandbox(embedded_broker.address, tmp_path)
    for topic in sandbox.topics:
        embedded_broker.create_topic(topic)
    sandbox.with_model().send_payloads(VALUES)
    with sandbox.start(consumer__delivery="at_least_once") as worker:
        worker.wait_ready()
        sandbox.wait_consumed(len(VALUES), worker)
        policies = PolicyRegistry(tmp_path / "registry", MODEL_NAME)
        policies.apply(the_policy(), who="test", why="test")
        wait_until(
            lambda: {a.policy for a in sandbox.accounts().values()} == {the_policy().id},
            deadline=30,
            what="the policy to be adopted",
        )
        sandbox.send_payloads(VALUES)
        sandbox.wait_consumed(2 * len(VALUES), worker)
        assert worker.metric(f'sensorwatch_policy_info{{policy="{the_policy().id}"}}') == 1
        assert worker.process.terminate(deadline=10) == 0

    causes = [record.cause for record in sandbox.ledger_records()]
    assert causes.count(Cause.POLICY) == PARTITION_COUNT
    result = sensorwatch("ledger", "verify", environ=sandbox.environment(), folder=tmp_path)
    assert result.code == 0, result.err + result.out
    assert "24 records proven" in result.out
