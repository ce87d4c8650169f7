"""The application: the routes, who asks the board for them, and what holds for all of them.

In:    a Board.
Out:   FastAPI application.
Never: knows a route by its path.
"""

from __future__ import annotations

import time

from fastapi import FastAPI

from shiftwatch.web.board import Board
from shiftwatch.web.description import describe
from shiftwatch.web.guard import Guard
from shiftwatch.web.kept import Kept
from shiftwatch.web.options import Options
from shiftwatch.web.packing import Packing
from shiftwatch.web.problems import install
from shiftwatch.web.routes import ROUTERS, methods


def build(board: Board) -> FastAPI:
    """The application; see :func:`shiftwatch.web.create_app`."""
    app = FastAPI(
        title="shiftwatch",
        version=board.snapshot().version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.board = board
    app.state.kept = Kept(time.monotonic)
    for router in ROUTERS:
        app.include_router(router)
    app.state.description = describe(app, board.effective_config().get("web", {}))
    app.add_middleware(Packing)
    app.add_middleware(Options, methods=methods)
    app.add_middleware(Guard)
    install(app, methods)
    return app
