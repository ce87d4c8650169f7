"""Write the demo's reference and its stream of batches; a process of its own.

In:    folder, number of batches, seconds between them.
Out:   ``reference.parquet``, then one batch after the other below ``batches/``.
Never: is imported by the daemon, which stays light.

The first half comes from the law of the reference. Then the shift grows by an eighth a batch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from shiftwatch.demo.generator import write_batch, write_reference

STEPS_TO_FULL_SHIFT = 8


def shift_of(index: int, batches: int) -> float:
    """Strength of the shift in batch ``index`` (from 0) of a stream of ``batches``.

    Examples
    --------
    >>> [shift_of(index, 30) for index in (0, 14, 15, 22, 29)]
    [0.0, 0.0, 0.125, 1.0, 1.0]
    """
    return min(1.0, max(0, index + 1 - batches // 2) / STEPS_TO_FULL_SHIFT)


def main(arguments: list[str]) -> int:
    """Write everything at the given pace."""
    folder, batches, pace = Path(arguments[0]), int(arguments[1]), float(arguments[2])
    (folder / "batches").mkdir(parents=True, exist_ok=True)
    write_reference(folder / "reference.parquet")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # until the daemon answers
    for index in range(batches):
        path = folder / "batches" / f"batch-{index:03}.parquet"
        write_batch(path, index, shift=shift_of(index, batches))
        time.sleep(pace)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
