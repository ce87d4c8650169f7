"""The tests: two samples in, a number out; one file a test, strangers to each other.

In:    a reference, prepared once; a current sample per batch.
Out:   evidence: statistic, p-value, effect. Never a verdict.
Never: compares with a level, remembers a batch, opens a file.
"""
