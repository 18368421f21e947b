"""A Kafka cluster of three brokers; a test may kill and restart each broker."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin._metadata import TopicMetadata

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from tests.brokers.child_processes import wait_until
from tests.brokers.cluster_plan import cluster_plan
from tests.brokers.jar_server import JarServer
from tests.brokers.kafka import Kafka

BROKER_COUNT = 3
JAVA_OPTIONS = ("-Xms128m", "-Xmx256m", "-XX:TieredStopAtLevel=1")
"""TieredStopAtLevel=1 disables Java's optimizing compiler, which saves a third of the CPU time that
a broker needs to start."""
IN_SYNC_SECONDS = 60.0
OFFSETS_TOPIC, TRANSACTIONS_TOPIC = "__consumer_offsets", "__transaction_state"


class ClusterServer:
    """Three brokers from jars; every partition has a replica on each broker.

    A write succeeds once two replicas have it.
    """

    kind = "jars"

    def __init__(self, data_folder: Path) -> None:
        """Format the storage of all brokers; raise BrokerMissing without Java or the jars."""
        plan = cluster_plan(BROKER_COUNT)

        def format_broker(number: int) -> JarServer:
            folder = data_folder / f"broker-{number}"
            folder.mkdir()
            return JarServer(folder, plan=plan, number=number, java_options=JAVA_OPTIONS)

        # Formatting starts a Java process per broker; running the processes in parallel takes a
        # third of the time.
        broker_numbers = range(1, BROKER_COUNT + 1)
        with ThreadPoolExecutor(BROKER_COUNT) as thread_pool:
            self.brokers = dict(
                zip(broker_numbers, thread_pool.map(format_broker, broker_numbers), strict=True)
            )
        self.address = ",".join(broker.address for broker in self.brokers.values())

    def start(self) -> None:
        """Start every broker that is not running."""
        for broker in self.brokers.values():
            if not broker.running:
                broker.start()

    def kill(self) -> None:
        """Kill every broker; the brokers' data remains."""
        for broker in self.brokers.values():
            broker.kill()

    def close(self) -> None:
        """Kill every broker; pytest removes the brokers' data later."""
        self.kill()

    @property
    def running(self) -> bool:
        """True if the process of every broker is running."""
        return all(broker.running for broker in self.brokers.values())

    def log_tail(self) -> str:
        """Return the last lines of each broker's log."""
        return "\n".join(broker.log_tail() for broker in self.brokers.values())


class KafkaCluster(Kafka):
    """A running cluster; its methods find leaders and coordinators, and kill and start brokers."""

    def __init__(self, server: ClusterServer) -> None:
        super().__init__(server, replica_count=BROKER_COUNT)
        self._brokers = server.brokers

    def kill_broker(self, number: int) -> None:
        """Kill one broker (SIGKILL); its data remains."""
        self._brokers[number].kill()

    def start_broker(self, number: int) -> None:
        """Start a killed broker again, without waiting until it is ready."""
        self._brokers[number].start()

    def wait_in_sync(self) -> None:
        """Wait until every replica of every partition is in sync with its leader."""
        wait_until(
            self._replicas_in_sync, deadline=IN_SYNC_SECONDS, what="replicas in sync", every=0.2
        )

    def leader(self, partition: Partition) -> int:
        """Return the number of the broker that is the leader of a partition; -1 means no leader."""
        return int(self._topic_metadata(partition.topic).partitions[partition.number].leader)

    def group_coordinator(self, group: str) -> int:
        """Return the number of the broker that coordinates a consumer group."""
        return self.leader(self._partition_of(OFFSETS_TOPIC, group))

    def transaction_coordinator(self, transactional_id: str) -> int:
        """Return the number of the broker that is the transaction coordinator of this id."""
        return self.leader(self._partition_of(TRANSACTIONS_TOPIC, transactional_id))

    def _partition_of(self, topic: str, name: str) -> Partition:
        return partition_of_name(topic, name, len(self._topic_metadata(topic).partitions))

    def _topic_metadata(self, topic: str) -> TopicMetadata:
        retry_policy = RetryPolicy(IN_SYNC_SECONDS)
        return retry_policy.ask(lambda: self._admin.list_topics(topic, timeout=10)).topics[topic]

    def _replicas_in_sync(self) -> bool:
        try:
            topics = self._admin.list_topics(timeout=5).topics.values()
        except KafkaException:
            return False
        partitions = [partition for topic in topics for partition in topic.partitions.values()]
        return all(len(partition.isrs) == len(partition.replicas) for partition in partitions)


def partition_of_name(topic: str, name: str, partition_count: int) -> Partition:
    """Return the partition of an internal topic that stores the records of a group or producer.

    `name` is the group or the transactional id; Kafka hashes it with Java's `String.hashCode`.
    """
    hash_code = 0
    for character in name:
        hash_code = (31 * hash_code + ord(character)) & 0xFFFFFFFF
    return Partition(topic, (hash_code & 0x7FFFFFFF) % partition_count)
