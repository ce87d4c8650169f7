"""The HTTP door: metrics, health, pages and the API, over a board the daemon provides.

In:    a Board.
Out:   an ASGI application.
Never: runs a test, opens the store, or lets a slow request hold up a scrape.

Importing this room is light. Metrics and probes stay so; pages and the API come with FastAPI, which
takes 12 MB, when somebody first asks for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftwatch.web.board import Board

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shiftwatch.inbox import Letters
    from shiftwatch.web.gate import Access

__all__ = ["Board", "create_app"]


def create_app(
    board: Board, access: Access | None = None, letters: Letters | None = None
) -> ASGIApp:
    """The application that answers from ``board``.

    Parameters
    ----------
    board
        Asked on each request; its ``snapshot`` on the event loop, the rest in a thread pool.
    access
        Who is let in; everyone if None.
    letters
        What takes events; if None there is no such path.

    Returns
    -------
    ASGIApp
        To be served by any ASGI server. It starts nothing and needs no lifespan.
    """
    from shiftwatch.web.door import Door  # noqa: PLC0415  # keeps the import of this room light
    from shiftwatch.web.gate import Access, Gate  # noqa: PLC0415

    return Gate(Door(board, letters), access or Access())
