"""Sends a record with a header name that is not UTF-8; the Python client cannot send one."""

import ctypes

from tests.brokers.librdkafka import PRODUCER_TYPE, librdkafka

# The tags of the arguments of rd_kafka_producev (rd_kafka_vtype_t in src/rdkafka.h).
_END_TAG, _TOPIC_TAG, _PARTITION_TAG, _VALUE_TAG, _FLAGS_TAG, _HEADER_TAG = 0, 1, 3, 4, 7, 9
_COPY_FLAG = 2
_FLUSH_DEADLINE_MS = 10_000


def produce_with_header(
    address: str,
    topic: str,
    value: bytes,
    *,
    partition: int,
    header_name: bytes,
    header_value: bytes,
) -> None:
    """Send a record with one header and wait for the delivery."""
    library = librdkafka()
    error_buffer = ctypes.create_string_buffer(512)
    config = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(
        config, b"bootstrap.servers", address.encode(), error_buffer, len(error_buffer)
    )
    producer = library.rd_kafka_new(PRODUCER_TYPE, config, error_buffer, len(error_buffer))
    assert producer, error_buffer.value
    c_text, c_size, c_signed_size = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_ssize_t
    try:
        error_code = library.rd_kafka_producev(
            producer,
            *(_TOPIC_TAG, c_text(topic.encode())),
            *(_PARTITION_TAG, ctypes.c_int32(partition)),
            *(_FLAGS_TAG, _COPY_FLAG),
            *(_VALUE_TAG, c_text(value), c_size(len(value))),
            *(
                _HEADER_TAG,
                c_text(header_name),
                c_text(header_value),
                c_signed_size(len(header_value)),
            ),
            _END_TAG,
        )
        assert error_code == 0, error_code
        assert library.rd_kafka_flush(producer, _FLUSH_DEADLINE_MS) == 0
    finally:
        library.rd_kafka_destroy(producer)
