"""Drain a topic in batches of 10,000 rows with scikit-learn and one transaction per batch."""

from functools import partial

from drain_job import Forest, decide, required_setting
from transactional_loop import drain

drain(partial(decide, Forest(required_setting("TRAINING"))))
