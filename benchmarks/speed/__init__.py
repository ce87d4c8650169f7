"""What `make bench` and `make bench-peers` measure: one file a topic, each a tuple named CASES."""
