"""By hand: scikit-learn per batch, transactions of 10,000 rows; validation as told."""

from functools import partial

from drain_job import Forest, decide, told
from transactions import drain

drain(partial(decide, Forest(told("TRAINING"))))
