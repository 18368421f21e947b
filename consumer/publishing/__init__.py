"""How the consumer publishes the results of a micro-batch."""
