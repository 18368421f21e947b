"""The limits of a valid row, shared by the strict parser and the kernels."""

MAX_PAYLOAD_BYTES = 262_144
MAX_SENSOR_ID_CHARACTERS = 200
FLOAT32_OVERFLOW = float.fromhex("0x1.ffffffp+127")
"""Smallest float64 that becomes infinite if it is rounded to float32."""
EARLIEST_TIME = -62_135_596_800_000_000
"""Smallest valid time: 0001-01-01T00:00:00Z, in microseconds since 1970-01-01."""
LATEST_TIME = 253_402_300_799_999_999
"""Largest valid time: 9999-12-31T23:59:59.999999Z, in microseconds since 1970-01-01."""
NO_TIME = -(2**63)
"""The value that marks a missing time in an array of times."""
MAX_SENSORS = 100_000
"""Largest number of sensors in a memory, by default."""
