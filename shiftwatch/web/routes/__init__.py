"""The routes, one router a topic.

In:    requests.
Out:   answers.
Never: waits on the event loop: what may wait is a plain function and runs in the thread pool, so
       metrics and health answer while every thread of it is busy.
"""

from fastapi import APIRouter
from fastapi.routing import APIRoute

from shiftwatch.web.routes import (
    acceptance,
    annotations,
    comparisons,
    monitoring,
    pages,
    reports,
    watched,
)

ROUTERS: tuple[APIRouter, ...] = (
    monitoring.ROUTER,
    pages.ROUTER,
    watched.ROUTER,
    reports.ROUTER,
    comparisons.ROUTER,
    acceptance.ROUTER,
    annotations.ROUTER,
)
"""Of all topics, in the order of the description."""


def methods(path: str) -> list[str]:
    """What may be asked of a path, sorted; nothing if there is no such path.

    Examples
    --------
    >>> methods("/-/reload"), methods("/api/v1/models/churn/acceptance"), methods("/nothing")
    (['POST', 'PUT'], ['DELETE', 'GET', 'HEAD', 'POST'], [])
    """
    routes = [each for router in ROUTERS for each in router.routes if isinstance(each, APIRoute)]
    matching = [each for each in routes if each.path_regex.match(path)]
    found = {way for each in matching for way in each.methods or ()}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))
