"""The limits of a valid row, shared by the strict parser and the kernels."""

MAX_PAYLOAD_BYTES = 262_144
MAX_SENSOR_ID_CHARACTERS = 200
# Half a unit in the last place above the largest float32. Larger values round to infinity.
FLOAT32_OVERFLOW = float.fromhex("0x1.ffffffp+127")
EARLIEST = -62_135_596_800_000_000
"""Microseconds since the epoch of 0001-01-01T00:00:00Z."""
LATEST = 253_402_300_799_999_999
"""Microseconds since the epoch of 9999-12-31T23:59:59.999999Z."""
NO_TIME = -(2**63)
"""The value that marks a missing time in an array of times."""
