"""A checker that reports after a run which input records lack a correct, single outcome."""
