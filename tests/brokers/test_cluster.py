"""The plan of a cluster gives its brokers the correct properties and ports."""

from pathlib import Path

import pytest

from sensorwatch.common.kafka.records import Partition
from tests.brokers.cluster import OFFSETS_TOPIC, partition_of_name
from tests.brokers.cluster_plan import cluster_plan


@pytest.mark.parametrize(
    ("name", "partition"),
    # In Java, "group".hashCode() is 98629247 and "sensorwatch.0.0".hashCode() is -1304648231.
    [("group", 98629247 % 50), ("sensorwatch.0.0", (-1304648231 & 0x7FFFFFFF) % 50)],
)
def test_a_name_has_the_same_partition_as_in_kafka(name: str, partition: int) -> None:
    assert partition_of_name(OFFSETS_TOPIC, name, 50) == Partition(OFFSETS_TOPIC, partition)


def test_every_broker_knows_all_voters_and_waits_for_all_but_one_replica() -> None:
    plan = cluster_plan(3)

    properties_files = [plan.server_properties(node, data=Path("data")) for node in plan.nodes]

    voters = [f"{node.number}@127.0.0.1:{node.controller_port}" for node in plan.nodes]
    for node, server_properties in zip(plan.nodes, properties_files, strict=True):
        lines = server_properties.splitlines()
        assert f"node.id={node.number}" in lines
        assert f"controller.quorum.voters={','.join(voters)}" in lines
        assert "offsets.topic.replication.factor=3" in lines
        assert "transaction.state.log.replication.factor=3" in lines
        assert "transaction.state.log.min.isr=2" in lines
        assert "min.insync.replicas=2" in lines
    ports = {port for node in plan.nodes for port in (node.port, node.controller_port)}
    assert len(ports) == 6


def test_a_single_broker_keeps_one_replica() -> None:
    plan = cluster_plan()
    (node,) = plan.nodes

    lines = plan.server_properties(node, data=Path("data"), advertised_port=7).splitlines()

    assert "min.insync.replicas=1" in lines
    assert "offsets.topic.replication.factor=1" in lines
    assert "advertised.listeners=B://127.0.0.1:7" in lines
