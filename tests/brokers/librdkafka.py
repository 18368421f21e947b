"""Access to C functions of librdkafka that the Python client does not offer."""

import ctypes
from functools import cache
from pathlib import Path

import confluent_kafka

PRODUCER_TYPE = 0  # rd_kafka_type_t
_POINTER_TYPE = ctypes.c_void_p
_TEXT_TYPE = ctypes.c_char_p
_INT_TYPE = ctypes.c_int
_INT16_TYPE = ctypes.c_int16
_INT32_TYPE = ctypes.c_int32
_SIZE_TYPE = ctypes.c_size_t

# The result type and the argument types of each function, from src/rdkafka_mock.h.
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "rd_kafka_conf_new": (_POINTER_TYPE, ()),
    "rd_kafka_conf_set": (
        _INT_TYPE,
        (_POINTER_TYPE, _TEXT_TYPE, _TEXT_TYPE, _TEXT_TYPE, _SIZE_TYPE),
    ),
    "rd_kafka_new": (_POINTER_TYPE, (_INT_TYPE, _POINTER_TYPE, _TEXT_TYPE, _SIZE_TYPE)),
    "rd_kafka_destroy": (None, (_POINTER_TYPE,)),
    "rd_kafka_flush": (_INT_TYPE, (_POINTER_TYPE, _INT_TYPE)),
    # Variadic: the arguments after the first are tags (rd_kafka_vtype_t) with their values.
    "rd_kafka_producev": (_INT_TYPE, (_POINTER_TYPE,)),
    "rd_kafka_mock_cluster_new": (_POINTER_TYPE, (_POINTER_TYPE, _INT_TYPE)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER_TYPE,)),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT_TYPE, (_POINTER_TYPE,)),
    "rd_kafka_mock_topic_create": (_INT_TYPE, (_POINTER_TYPE, _TEXT_TYPE, _INT_TYPE, _INT_TYPE)),
    "rd_kafka_mock_topic_delete": (_INT_TYPE, (_POINTER_TYPE, _TEXT_TYPE)),
    "rd_kafka_mock_topic_set_error": (None, (_POINTER_TYPE, _TEXT_TYPE, _INT_TYPE)),
    "rd_kafka_mock_partition_set_leader": (
        _INT_TYPE,
        (_POINTER_TYPE, _TEXT_TYPE, _INT32_TYPE, _INT32_TYPE),
    ),
    "rd_kafka_mock_partition_delete_records": (
        _INT_TYPE,
        (_POINTER_TYPE, _TEXT_TYPE, _INT32_TYPE, ctypes.c_int64),
    ),
    "rd_kafka_mock_broker_set_down": (_INT_TYPE, (_POINTER_TYPE, _INT32_TYPE)),
    "rd_kafka_mock_broker_set_up": (_INT_TYPE, (_POINTER_TYPE, _INT32_TYPE)),
    "rd_kafka_mock_broker_set_rtt": (_INT_TYPE, (_POINTER_TYPE, _INT32_TYPE, _INT_TYPE)),
    "rd_kafka_mock_coordinator_set": (
        _INT_TYPE,
        (_POINTER_TYPE, _TEXT_TYPE, _TEXT_TYPE, _INT32_TYPE),
    ),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_POINTER_TYPE, _INT32_TYPE)),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        (_POINTER_TYPE, _INT16_TYPE, _SIZE_TYPE, ctypes.POINTER(_INT_TYPE)),
    ),
    "rd_kafka_mock_clear_request_errors": (None, (_POINTER_TYPE, _INT16_TYPE)),
    # Variadic: the arguments after these are pairs of error code and delay in milliseconds.
    "rd_kafka_mock_broker_push_request_error_rtts": (
        _INT_TYPE,
        (_POINTER_TYPE, _INT32_TYPE, _INT16_TYPE, _SIZE_TYPE),
    ),
    "rd_kafka_mock_start_request_tracking": (None, (_POINTER_TYPE,)),
    "rd_kafka_mock_clear_requests": (None, (_POINTER_TYPE,)),
    "rd_kafka_mock_get_requests": (
        ctypes.POINTER(_POINTER_TYPE),
        (_POINTER_TYPE, ctypes.POINTER(_SIZE_TYPE)),
    ),
    "rd_kafka_mock_request_destroy_array": (None, (ctypes.POINTER(_POINTER_TYPE), _SIZE_TYPE)),
    "rd_kafka_mock_request_api_key": (_INT16_TYPE, (_POINTER_TYPE,)),
}


@cache
def librdkafka() -> ctypes.CDLL:
    """Return the librdkafka of confluent_kafka; its functions have their C types."""
    library = ctypes.CDLL(str(_library_path()))
    for name, (result_type, argument_types) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result_type
        function.argtypes = argument_types
    return library


def _library_path() -> Path:
    package = Path(confluent_kafka.__file__).parent
    folders = [package.with_name("confluent_kafka.libs"), package / ".dylibs"]
    libraries = [path for folder in folders for path in sorted(folder.glob("librdkafka*"))]
    if not libraries:
        raise FileNotFoundError(f"no librdkafka in {folders}: is confluent-kafka from a wheel?")
    return libraries[0]
