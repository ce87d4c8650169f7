"""What routes ask of a request: the board, the snapshot, the model of the path.

In:    requests.
Out:   dependencies of FastAPI; the lock under which pages are made.
Never: answers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Request, Response

from shiftwatch.annotation import LONGEST_NAME
from shiftwatch.status import ModelStatus, Snapshot
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.board import Board
from shiftwatch.web.tokens import Holder

AT_WORK = threading.Lock()
"""One page is made at a time. Pages only compute, so more threads make none of them sooner, and a
scrape shares the interpreter with every thread that computes. With 50 reports asked for without a
pause, a scrape of 50 models took 100 ms (median) beside 40 threads, 45 beside 2, 15 beside 1."""


async def _board(request: Request) -> Board:
    return cast("Board", request.app.state.board)


async def _snapshot(request: Request) -> Snapshot:
    return (await _board(request)).snapshot()


async def _status(
    request: Request,
    model: Annotated[str, Path(description="Name of a configured model.", examples=["churn"])],
) -> ModelStatus:
    """The model of the path, or 404 with the names there are."""
    models = (await _snapshot(request)).models
    for status in models:
        if status.name == model:
            return status
    raise unknown_model(model, [status.name for status in models])


def unknown_model(name: str, names: list[str]) -> ProblemError:
    """404 with the names there are."""
    detail = f"no model is called {name!r}; known: {', '.join(names) or 'none'}"
    return ProblemError(404, detail, models=names)


ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who asks for a change; ``holder`` is None where there are no tokens."""

    holder: str | None = None

    def called(self, claimed: str) -> str:
        """The name that is put on record: what somebody claims counts only without tokens.

        Examples
        --------
        >>> Speaker("ada").called("eve"), Speaker().called(" eve "), Speaker().called("")
        ('ada', 'eve', 'anonymous')
        """
        return self.holder or claimed.strip()[:LONGEST_NAME] or ANONYMOUS


def _speaker(request: Request) -> Speaker:
    """Who asks, by the token shown."""
    holder: Holder | None = getattr(request.state, "holder", None)
    return Speaker() if holder is None else Speaker(holder.name)


def paged(response: Response, following: str | None) -> str | None:
    """The path of the next page, said in the headers too (RFC 8288)."""
    if following is not None:
        response.headers["link"] = f'<{following}>; rel="next"'
    return following


OfSpeaker = Annotated[Speaker, Depends(_speaker)]
OfBoard = Annotated[Board, Depends(_board)]
OfSnapshot = Annotated[Snapshot, Depends(_snapshot)]
OfModel = Annotated[ModelStatus, Depends(_status)]
