"""The accounts of input partitions, and the window of rejections that the breaker checks."""
