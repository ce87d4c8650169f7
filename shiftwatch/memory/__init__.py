"""The slow layers: what past batches say together, and the page they can raise.

In:    counts of the reference and of each batch over fixed cells; the memory after the batch before.
Out:   evidence of the windows and of the growing pool by scope; the memory after this batch.
Never: sees a row; grows with the number of batches; is imported by the daemon's own process.
"""
