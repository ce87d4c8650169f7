"""A page that was made a moment ago, for whoever asks for the same.

In:    what a page depends on; how it is made.
Out:   the page.
Never: gives a page of another state, or one that is older than a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

KEPT_SECONDS = 2.0
"""Many readers learn of news at once; a page of a hundred models takes a tenth of a second to make."""

_PAGES = 8


class Kept:
    """The newest pages; used by one thread at a time.

    Parameters
    ----------
    clock
        Seconds that only go forward.

    Examples
    --------
    >>> times = iter((0.0, 1.0, 9.0))
    >>> kept = Kept(lambda: next(times))
    >>> [kept.page("state", lambda made=made: made) for made in ("one", "two", "three")]
    ['one', 'one', 'three']
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pages: dict[Hashable, tuple[float, str]] = {}

    def page(self, state: Hashable, make: Callable[[], str]) -> str:
        """The page of this state, made if it has to be."""
        now = self._clock()
        at, page = self._pages.pop(state, (-KEPT_SECONDS, ""))
        if now - at >= KEPT_SECONDS:
            at, page = now, make()
        self._pages[state] = at, page
        while len(self._pages) > _PAGES:
            del self._pages[next(iter(self._pages))]
        return page
