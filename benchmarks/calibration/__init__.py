"""What `make calibrate` measures: one file a topic, each a tuple of cases named CASES."""
