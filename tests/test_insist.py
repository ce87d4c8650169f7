"""A worker that died is replaced and asked again; every other answer stands."""

from __future__ import annotations

import pytest

from shiftwatch.errors import DataError, TimeLimitError, WorkerDiedError, WorkerError
from shiftwatch.insist import TRIES, insisting
from shiftwatch.requests import Inspect, Request

REQUEST = Inspect((), None)


class Scripted:
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.deaths = 0

    def __call__(self, request: Request) -> object:
        assert request is REQUEST
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def died(self) -> None:
        self.deaths += 1


def test_a_death_is_followed_by_another_try_and_counted() -> None:
    call = Scripted(WorkerDiedError("killed"), WorkerDiedError("killed"), "judged")
    assert insisting(call, call.died)(REQUEST) == "judged"
    assert call.deaths == 2


def test_who_dies_at_every_try_is_given_up() -> None:
    call = Scripted(*[WorkerDiedError(f"killed {index}") for index in range(TRIES)])
    with pytest.raises(WorkerDiedError, match=f"killed {TRIES - 1}"):
        insisting(call, call.died)(REQUEST)
    assert call.deaths == TRIES


@pytest.mark.parametrize(
    "fault", [WorkerError("out of memory"), TimeLimitError("late"), DataError("torn")]
)
def test_what_the_worker_said_itself_is_not_asked_again(fault: Exception) -> None:
    call = Scripted(fault, "never")
    with pytest.raises(type(fault)):
        insisting(call, call.died)(REQUEST)
    assert (call.deaths, call.answers) == (0, ["never"])
