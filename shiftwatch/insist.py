"""Ask the worker again where it died: what killed it is seldom the batch.

In:    a way to ask the worker; whom to tell of a death.
Out:   the same, which gives up only when the worker has died of a request several times.
Never: asks again what was answered, refused, out of time or out of memory: those stay as they are.

A worker is killed by the system for the memory of others, by an operator, by a node that drains.
All requests can be repeated: they are judged from the same bytes by the same seed, and the worker
stores nothing but prepared references, which are put in place whole. A batch that kills its worker
by itself does so every time and is then a failed run of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from shiftwatch.errors import WorkerDiedError
from shiftwatch.requests import Request

_LOG = logging.getLogger(__name__)

TRIES = 4
"""How often a request is asked at most. A killer that strikes at random and ends a third of all
checks would make one in 81 batches an error."""


def insisting(
    call: Callable[[Request], Any], on_death: Callable[[], None], tries: int = TRIES
) -> Callable[[Request], Any]:
    """Ask up to so many times, each time a worker that was started anew.

    Parameters
    ----------
    call
        How the worker is asked.
    on_death
        Called for every worker that died.
    tries
        At least 1.

    Returns
    -------
    Callable
        As ``call``. Raises what it raises; WorkerDiedError if the worker died at every try.

    Examples
    --------
    >>> answers = iter([WorkerDiedError("killed"), "judged"])
    >>> def call(request):
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> insisting(call, lambda: print("a worker died"))(None)
    a worker died
    'judged'
    """

    def ask(request: Request) -> Any:
        for left in reversed(range(tries)):
            try:
                return call(request)
            except WorkerDiedError as fault:
                on_death()
                if not left:
                    raise
                what = type(request).__name__
                _LOG.warning("asked again", extra={"fault": str(fault), "request": what})
        return None

    return ask
