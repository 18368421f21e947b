"""librdkafka's mock cluster, which can return any error for any request."""

import ctypes
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.brokers.librdkafka import PRODUCER_TYPE, librdkafka
from tests.brokers.protocol import Api

_NO_ERROR = 0


class MockCluster:
    """A cluster of mock brokers 1 to n in this process; tests choose the errors that they return.

    The mock cluster has the limits of `sensorwatch.demo.embedded_broker.EmbeddedBroker`. Tests of
    error handling use the mock cluster; tests on a real broker check that no record is lost or
    doubled.
    """

    def __init__(self, brokers: int = 1) -> None:
        """Start the cluster; a group's first rebalance starts without the usual delay of 3 s."""
        self._library = librdkafka()
        self._client = self._new_client()
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, brokers)
        if not self._cluster:
            raise RuntimeError("librdkafka could not start a mock cluster")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.address: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create_topic(self, name: str, partitions: int = 1) -> str:
        """Create a topic and return its name."""
        function = self._library.rd_kafka_mock_topic_create
        _require_success(
            function(self._cluster, name.encode(), partitions, 1), f"create topic {name}"
        )
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        function = self._library.rd_kafka_mock_topic_delete
        _require_success(function(self._cluster, name.encode()), f"delete topic {name}")

    def set_topic_error(self, name: str, error: int) -> None:
        """Answer every metadata request about the topic with `error`; 0 removes the error."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, name.encode(), error)

    def delete_records(self, topic: str, partition: int, before_offset: int) -> None:
        """Delete the records below `before_offset`, as the broker's retention does."""
        function = self._library.rd_kafka_mock_partition_delete_records
        _require_success(
            function(self._cluster, topic.encode(), partition, before_offset), "delete records"
        )

    def set_partition_leader(self, topic: str, partition: int, broker: int) -> None:
        """Make `broker` the leader of a partition; -1 means no leader."""
        function = self._library.rd_kafka_mock_partition_set_leader
        _require_success(function(self._cluster, topic.encode(), partition, broker), "set leader")

    def set_group_coordinator(self, group: str, broker: int) -> None:
        """Make `broker` the coordinator of a group."""
        function = self._library.rd_kafka_mock_coordinator_set
        _require_success(
            function(self._cluster, b"group", group.encode(), broker), "set coordinator"
        )

    def set_transaction_coordinator(self, transactional_id: str, broker: int) -> None:
        """Make `broker` the coordinator of a producer's transactions."""
        function = self._library.rd_kafka_mock_coordinator_set
        encoded_id = transactional_id.encode()
        _require_success(
            function(self._cluster, b"transaction", encoded_id, broker), "set coordinator"
        )

    def stop_broker(self, broker: int = 1) -> None:
        """Close the broker's connections and refuse new connections."""
        _require_success(
            self._library.rd_kafka_mock_broker_set_down(self._cluster, broker), "broker down"
        )

    def restart_broker(self, broker: int = 1) -> None:
        """Let the broker accept connections again."""
        _require_success(
            self._library.rd_kafka_mock_broker_set_up(self._cluster, broker), "broker up"
        )

    def set_delay(self, milliseconds: int, *, broker: int = 1) -> None:
        """Delay every answer of the broker by `milliseconds`."""
        function = self._library.rd_kafka_mock_broker_set_rtt
        _require_success(function(self._cluster, broker, milliseconds), "set round trip time")

    def push_request_errors(self, api: Api, errors: Sequence[int]) -> None:
        """Answer the next requests of a kind with `errors`, one error per request; 0 is no error.

        `errors` are codes of `confluent_kafka.KafkaError`. For `KafkaError._TRANSPORT` the
        broker closes the connection without an answer.
        """
        error_codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, api, len(errors), error_codes
        )

    def push_request_errors_with_delays(
        self, api: Api, errors: Sequence[tuple[int, int]], *, broker: int = 1
    ) -> None:
        """Answer the next requests of a kind with these errors.

        Each item of `errors` is an error code and the delay of the answer in milliseconds.
        """
        arguments = [
            ctypes.c_int(argument) for error_and_delay in errors for argument in error_and_delay
        ]
        function = self._library.rd_kafka_mock_broker_push_request_error_rtts
        _require_success(
            function(self._cluster, broker, api, len(errors), *arguments), "push errors"
        )

    def clear_request_errors(self, api: Api) -> None:
        """Remove the errors that no request of this kind has received yet."""
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, api)

    def track_requests(self) -> None:
        """Start recording requests; earlier recorded requests are removed."""
        self._library.rd_kafka_mock_start_request_tracking(self._cluster)
        self._library.rd_kafka_mock_clear_requests(self._cluster)

    def requests(self) -> list[int]:
        """Return the API keys of the requests since `track_requests`, in order."""
        count = ctypes.c_size_t()
        request_array = self._library.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(count))
        api_keys = [
            self._library.rd_kafka_mock_request_api_key(request_array[i])
            for i in range(count.value)
        ]
        self._library.rd_kafka_mock_request_destroy_array(request_array, count)
        return api_keys

    def close(self) -> None:
        """Stop the cluster; a second call does nothing."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._client)
            self._cluster = None

    def _new_client(self) -> int:
        error_buffer = ctypes.create_string_buffer(512)
        config = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(config, b"log_level", b"0", error_buffer, len(error_buffer))
        client = self._library.rd_kafka_new(PRODUCER_TYPE, config, error_buffer, len(error_buffer))
        if not client:
            raise RuntimeError(
                f"librdkafka could not create a client: {error_buffer.value.decode()}"
            )
        return int(client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _require_success(error_code: int, action: str) -> None:
    if error_code != _NO_ERROR:
        raise RuntimeError(f"the mock cluster could not {action}: error {error_code}")
