"""What people say about episodes: records, the topic, and what a policy learns from them."""
