"""The routes, one router a topic.

In:    requests.
Out:   answers.
Never: waits on the event loop: what may wait is a plain function and runs in the thread pool, so
       metrics and health answer while every thread of it is busy.
"""

from fastapi import APIRouter

from shiftwatch.web.routes import acceptance, annotations, monitoring, pages, reports, watched

ROUTERS: tuple[APIRouter, ...] = (
    monitoring.ROUTER,
    pages.ROUTER,
    watched.ROUTER,
    reports.ROUTER,
    acceptance.ROUTER,
    annotations.ROUTER,
)
"""Of all topics, in the order of the description."""
