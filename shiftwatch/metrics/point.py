"""A sample before it is written.

In:    nothing.
Out:   Point.
Never: knows a format.
"""

from __future__ import annotations

from shiftwatch.status import Exemplar

Point = tuple[str, tuple[str, ...], float] | tuple[str, tuple[str, ...], float, Exemplar | None]
"""Name of the sample, label values in the order of its labels, value; of a bucket or a counter also
the newest batch that was counted."""
