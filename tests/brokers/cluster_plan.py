"""A plan of a cluster: the ids, ports, replication and properties of its brokers."""

import base64
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.ports import free_ports

_PROPERTIES_TEMPLATE = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=B://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=B://127.0.0.1:{advertised}
listener.security.protocol.map=B:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=B
log.dirs={data}
auto.create.topics.enable=false
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
group.initial.rebalance.delay.ms=0
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.share.enable=false
"""


@dataclass(frozen=True, slots=True)
class BrokerNode:
    """A broker that is also a controller."""

    number: int
    port: int
    controller_port: int


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A plan of brokers 1 to n; every partition has a replica on each broker.

    A write succeeds once all replicas but one have it.
    """

    cluster_id: str
    nodes: tuple[BrokerNode, ...]

    @property
    def replicas(self) -> int:
        """The number of replicas of each partition."""
        return len(self.nodes)

    def server_properties(
        self, node: BrokerNode, *, data: Path, advertised_port: int | None = None
    ) -> str:
        """Return the content of the file `server.properties` of one broker."""
        voters = (f"{node.number}@127.0.0.1:{node.controller_port}" for node in self.nodes)
        return _PROPERTIES_TEMPLATE.format(
            number=node.number,
            voters=",".join(voters),
            port=node.port,
            controller=node.controller_port,
            advertised=advertised_port or node.port,
            data=data,
            replicas=self.replicas,
            in_sync=max(1, self.replicas - 1),
        )


def cluster_plan(broker_count: int = 1) -> ClusterPlan:
    """Plan a new cluster on free ports of this machine."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    ports = free_ports(2 * broker_count)
    nodes = [
        BrokerNode(number + 1, *ports[2 * number : 2 * number + 2])
        for number in range(broker_count)
    ]
    return ClusterPlan(cluster_id, tuple(nodes))
