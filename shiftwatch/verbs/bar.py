"""A bar on a terminal for work that takes longer than a moment.

In:    Progress.
Out:   one line on a stream, painted over, gone when the work is done.
Never: paints where nobody looks: a file, a pipe, work of less than two seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from shiftwatch.progress import Progress

AFTER_SECONDS = 2.0
"""What is done sooner needs no bar."""

_WIDTH = 24
_CLEAR = "\r\033[K"


def line(progress: Progress) -> str:
    """The bar as text.

    Examples
    --------
    >>> line(Progress("reading", 1, 2))
    'reading                              [############            ]  50 %'
    """
    share = min(1.0, progress.done / progress.total) if progress.total > 0 else 0.0
    bar = ("#" * int(share * _WIDTH)).ljust(_WIDTH)
    return f"{progress.what:<36} [{bar}] {share:4.0%}".replace("%", " %")


class Bar:
    """A listener that paints; to be closed, which leaves a clean line.

    Parameters
    ----------
    stream
        Where to paint: stderr, so that what is printed can go elsewhere.
    clock
        Monotonic seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._painted = False

    def __call__(self, progress: Progress) -> None:
        """Paint, if somebody looks and the work has taken a while."""
        if not self._stream.isatty() or self._clock() - self._began < AFTER_SECONDS:
            return
        self._stream.write(_CLEAR + line(progress))
        self._stream.flush()
        self._painted = True

    def close(self) -> None:
        """Leave the line to whoever writes next; painting may go on after that."""
        if self._painted:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._painted = False
