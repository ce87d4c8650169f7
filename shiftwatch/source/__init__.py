"""Where rows come from: folders of Parquet files, cut into batches.

In:    paths, and what was judged before.
Out:   listings, file facts, batches and samples.
Never: judges; remembers; is imported as a whole (``listing`` and ``plan`` are light, the rest not).
"""
