"""How far long work has come, told to whoever listens.

In:    steps, from where rows are read, scored, prepared and tested.
Out:   Progress, to the listener there is; nothing where there is none.
Never: changes a result; waits for whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

Each = TypeVar("Each")


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` steps of one kind of work; the steps may be rows, columns or tests."""

    what: str
    done: int
    total: int


Listener = Callable[[Progress], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Tell this listener while the block runs."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(what: str, done: int, total: int) -> None:
    """Say how far some work is; almost free where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(Progress(what, done, total))


def counted(what: str, items: Iterable[Each], total: int) -> Iterator[Each]:
    """The same items; each is told as done when the next is asked for.

    Examples
    --------
    >>> with heard_by(print):
    ...     rows = sum(counted("adding", [4, 5], 2))
    Progress(what='adding', done=1, total=2)
    Progress(what='adding', done=2, total=2)
    """
    for done, item in enumerate(items, start=1):
        yield item
        tell(what, done, total)
