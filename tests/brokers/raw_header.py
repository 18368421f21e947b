"""Sends a record whose header name is not UTF-8, which the Python client cannot do."""

import ctypes

from tests.brokers.librdkafka import PRODUCER_TYPE, librdkafka

# Tags of rd_kafka_vtype_t (src/rdkafka.h).
_END, _TOPIC, _PARTITION, _VALUE, _FLAGS, _HEADER = 0, 1, 3, 4, 7, 9
_COPY_FLAG = 2
_DEADLINE_MS = 10_000


def produce_with_header(
    address: str, topic: str, value: bytes, *, partition: int, name: bytes, content: bytes
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
            *(_TOPIC, c_text(topic.encode())),
            *(_PARTITION, ctypes.c_int32(partition)),
            *(_FLAGS, _COPY_FLAG),
            *(_VALUE, c_text(value), c_size(len(value))),
            *(_HEADER, c_text(name), c_text(content), c_signed_size(len(content))),
            _END,
        )
        assert error_code == 0, error_code
        assert library.rd_kafka_flush(producer, _DEADLINE_MS) == 0
    finally:
        library.rd_kafka_destroy(producer)
