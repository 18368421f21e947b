"""The state topic and the committed accounts of a consumer group."""
