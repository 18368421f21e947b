"""Code that the trainer, the consumer and the API share to parse and score rows."""
