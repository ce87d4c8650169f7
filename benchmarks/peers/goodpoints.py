"""goodpoints: Compress Then Test, which compresses both samples first and answers yes or no.

Compression level 4 and 16 bins, as in its authors' most faithful setting; a lower level is cheaper
and looks at fewer rows.
"""

from __future__ import annotations

from goodpoints.ctt import ctt

from benchmarks.peers import answering
from benchmarks.peers.answering import MMD_GAMMA, MMD_PERMUTATIONS, Found, Task, Told

_LEVEL = 4


def mmd(task: Task) -> Told:
    """Its kernel is exp(-|x - y|^2 / lam^2)."""
    reference, batch = (side.astype("float64") for side in task.arrays())

    def check(prepared: None) -> Found:
        del prepared
        permutations = MMD_PERMUTATIONS[task.case]
        ctt(reference, batch, _LEVEL, B=permutations, lam=MMD_GAMMA**-0.5, null_seed=1)
        return [], []

    return answering.timed(task, lambda: None, check, memory=True)


if __name__ == "__main__":
    answering.main("goodpoints", dict.fromkeys(MMD_PERMUTATIONS, mmd))
