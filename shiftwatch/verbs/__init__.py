"""The longer verbs of the command line, without its arguments.

In:    what the command line was given.
Out:   lines for people or programs; an exit status.
Never: parses arguments (`cli` does); recomputes or accepts anything itself.
"""
