"""Addresses on the live page of `sensorwatch serve`."""

from urllib.parse import quote


def sensor_address(sensor_id: str, episode_id: str = "") -> str:
    """Return the address of the page of a sensor, which draws the signals of an episode."""
    address = f"/sensor?id={quote(sensor_id, safe='', errors='replace')}"
    if not episode_id:
        return address
    return f"{address}&episode={quote(episode_id, safe='', errors='replace')}"
