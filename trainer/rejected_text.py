"""The text that reports how many rows were rejected and why."""

from collections.abc import Mapping


def rejected_text(counts: Mapping[str, int]) -> str:
    """Return a text such as `3 wrong_type, 1 null_value`, with the most frequent reason first."""
    sorted_counts = sorted(counts.items(), key=lambda reason_count: -reason_count[1])
    return ", ".join(f"{count} {reason}" for reason, count in sorted_counts)
