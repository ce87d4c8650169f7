"""The history: one SQLite file that survives a kill at any moment.

In:    files accepted, runs judged, the decision state after each; questions about the past.
Out:   the same again, also after a crash; StoreError with a hint where that cannot be.
Never: judges; reads a clock of its own; deletes a damaged file or hides it; leaves half a batch.

One door to ``sqlite3``. ``history`` is the face; ``sqlite`` opens, locks and checks the file;
``migrations`` lays the tables; ``rescue`` saves what a damaged file still holds; ``writing``,
``reading``, ``broken`` and ``retention`` hold the statements.
"""

from shiftwatch.store.comparisons import AskedRow
from shiftwatch.store.history import Store
from shiftwatch.store.rows import AcceptedFile, Flip, RunRow, TimelinePoint

__all__ = ["AcceptedFile", "AskedRow", "Flip", "RunRow", "Store", "TimelinePoint"]
