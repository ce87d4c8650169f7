"""What is sent twice or longer than need be, and what is left alone."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from shiftwatch.web.packing import Packing

LONG = "a line of a report\n" * 10_000


async def long(_request: Request) -> Response:
    return PlainTextResponse(LONG, headers={"vary": "accept"})


async def short(_request: Request) -> Response:
    return JSONResponse({"state": "no_shift"})


async def picture(_request: Request) -> Response:
    return Response(b"\x89PNG" + b"0" * 5000, media_type="image/png")


async def pieces(_request: Request) -> Response:
    return StreamingResponse(iter(["one", "two"]), media_type="text/plain")


async def absent(_request: Request) -> Response:
    return PlainTextResponse(LONG, 404)


ROUTES = [Route(f"/{each.__name__}", each) for each in (long, short, picture, pieces, absent)]


def ask(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(Packing(Starlette(routes=ROUTES)))
        named = {"accept-encoding": "identity"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=named)

    return asyncio.run(answer())


def test_a_long_text_is_compressed_for_who_takes_it_and_is_the_same_text() -> None:
    plain, small = ask("/long"), ask("/long", accept_encoding="br, gzip")
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.text == plain.text == LONG
    assert int(small.headers["content-length"]) < len(LONG) / 50
    assert plain.headers["vary"] == small.headers["vary"] == "accept, accept-encoding"


def test_two_forms_of_a_text_have_tags_that_a_cache_can_tell_apart_and_we_take_both() -> None:
    plain, small = ask("/long"), ask("/long", accept_encoding="gzip")
    assert small.headers["etag"] == f"W/{plain.headers['etag']}"
    for tag in (plain.headers["etag"], small.headers["etag"]):
        for encoding in ("identity", "gzip"):
            again = ask("/long", accept_encoding=encoding, if_none_match=tag)
            assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/picture", "/pieces", "/absent"])
def test_what_is_no_text_comes_in_pieces_or_was_not_found_is_left_alone(path: str) -> None:
    answer = ask(path, accept_encoding="gzip")
    assert not {"etag", "content-encoding"} & set(answer.headers)


def test_a_short_answer_has_a_tag_and_is_not_compressed() -> None:
    answer = ask("/short", accept_encoding="gzip")
    assert answer.json() == {"state": "no_shift"}
    assert "content-encoding" not in answer.headers
    assert ask("/short", if_none_match=answer.headers["etag"]).status_code == 304


def test_a_changed_answer_is_sent() -> None:
    assert ask("/short", if_none_match='"another"').status_code == 200
