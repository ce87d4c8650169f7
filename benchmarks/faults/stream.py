"""A stream to torture: a reference, numbered files that drift, and a configuration.

In:    a folder and a seed.
Out:   the same bytes every time; files handed over one by one, as a writer would.
Never: writes a file where the daemon looks before it is whole.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MODEL = "tortured"
ROWS = 200
_REFERENCE_ROWS = 2000
_SHIFTED_FROM = 3
_SHIFT = 0.25
"""In standard deviations: some batches alone say shift and others do not, so verdicts differ."""

_CONFIG = """\
models:
{models}
schedule: {{every: 1s}}
store: {{path: "{store}"}}
web: {{listen: "127.0.0.1:0"}}
"""
_ENTRY = """\
  - name: {name}
    reference: {pool}/reference.parquet
    batches: {batches}
    tests: {{ks: {{}}, chi2: {{}}, nulls: {{}}}}
"""


@dataclass(slots=True)
class Stream:
    """Files in ``pool``, the first ``handed`` of them in ``batches``."""

    folder: Path
    count: int
    handed: int = 0

    @classmethod
    def made(cls, folder: Path, count: int) -> Stream:
        """Write everything anew."""
        import numpy as np  # noqa: PLC0415 - the load program is as light as the daemon otherwise
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        def table(rows: int, seed: int, shift: float) -> pa.Table:
            rng = np.random.default_rng(seed)
            numbers = {f"x{j}": rng.normal(shift * (j == 0), 1, rows) for j in range(3)}
            return pa.table(numbers | {"c": rng.choice(["a", "b", "c"], rows).tolist()})

        (folder / "pool").mkdir(parents=True)
        pq.write_table(table(_REFERENCE_ROWS, 0, 0.0), folder / "pool" / "reference.parquet")
        for index in range(count):
            shift = _SHIFT if index >= _SHIFTED_FROM else 0.0
            pq.write_table(table(ROWS, 1 + index, shift), folder / "pool" / name_of(index))
        return cls(folder, count)

    def arena(self, name: str, models: int = 1, store: Path | None = None) -> Arena:
        """A place for a daemon: empty folders for batches, and the configuration."""
        arena = Arena(self, self.folder / name, store or self.folder / name / "s.db")
        names = [MODEL] if models == 1 else [f"{MODEL}-{index}" for index in range(models)]
        entries = []
        for each in names:
            (arena.folder / each).mkdir(parents=True)
            batches = arena.folder / each
            pool = self.folder / "pool"
            entries.append(_ENTRY.format(name=each, pool=pool, batches=batches))
        text = _CONFIG.format(models="".join(entries).rstrip(), store=arena.store)
        arena.config.write_text(text, encoding="utf-8")
        return arena


@dataclass(slots=True)
class Arena:
    """Where one daemon lives, again and again."""

    stream: Stream
    folder: Path
    store: Path
    handed: int = 0

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "shiftwatch.yml"

    def hand(self, count: int, model: str = MODEL) -> None:
        """Put the next files where the daemon looks, each at once and whole."""
        for index in range(self.handed, min(self.handed + count, self.stream.count)):
            os.link(self.stream.folder / "pool" / name_of(index), self.place(index, model))
        self.handed = min(self.handed + count, self.stream.count)

    def place(self, index: int, model: str = MODEL) -> Path:
        """Where the daemon finds a file."""
        return self.folder / model / name_of(index)


def name_of(index: int) -> str:
    """Names in the order of the stream."""
    return f"{index:06}.parquet"
