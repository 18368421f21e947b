"""By hand: scikit-learn per batch, transactions of 10,000 rows; validation as configured."""

from functools import partial

from drain_job import Forest, decide, required_setting
from transactional_loop import drain

drain(partial(decide, Forest(required_setting("TRAINING"))))
