"""How much of a check fits in `limits.seconds`: how far it is cut down, in one declared order.

In:    what past checks of the model took, the rows of the batch, the limit.
Out:   Effort: the step at which a batch is judged, which the worker obeys.
Never: reads a clock; looks at a value of the data.

The order is that of :data:`STEPS`. Each step takes a quarter of the rows of the one before it,
never fewer than :data:`FEWEST_ROWS`: with n rows a test sees shifts of about 1/sqrt(n), so it loses
half of its sharpness at each, while a joint test that is left out sees nothing at all.

Why p-values stay valid: the step is chosen before the batch is read, from its number of rows and
from what *past* checks cost; the rows are then drawn at random, and the permutations are fewer but
as exact (p-values no smaller than 1/(permutations + 1) unless the tail bears them out). Tests left
out give their share of the level to the others, as any test that is not configured does. One thing
does depend on the batch: whether an attempt at it was ended at the limit. Time depends on values but
little (where a chi-square draws tables until it has seen enough), and no p-value of the attempt is
seen; yet the proof then only says that all steps together may err as often as each of them may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from shiftwatch.values import Cost, Run

Step = Literal["whole", "subsample", "permutations", "joint_tests"]

STEPS: Mapping[Step, str] = {
    "whole": "step of `limits.seconds`: nothing is left out",
    "subsample": "first step of `limits.seconds`: a quarter of the rows is tested",
    "permutations": "second step of `limits.seconds`: a sixteenth of the rows, and fewer "
    "permutations and draws",
    "joint_tests": "last step of `limits.seconds`: a sixty-fourth of the rows, fewer permutations "
    "and draws, and no joint tests",
}
"""From a whole check to the smallest, with what each step leaves out; each includes those before."""

FEWEST_ROWS = 1000
"""No step tests fewer, where there are as many: they cost next to nothing."""

REMEMBERED = 20
"""Past checks that are looked at. A step that ran out of time is tried again after as many."""

_QUARTER = 4
_FULL = 0.9
"""Share of the limit that a step may be predicted to take, at or below the last one's."""
_ROOM = 0.6
"""The same for a fuller step than the last: with less to spare it would be given up again soon."""
_FAR = 10
"""A batch of so many times fewer rows says nothing of a larger one: most of its time is the same
for any number of rows."""
_FEWER_DRAWS = 0.6
"""Time of the joint tests with fewer permutations, over that with all (measured at 10 000 and 50 000
rows of 50 columns): their features cost the rest."""
_JOINT = ("mmd", "c2st")
MOST_PER_REFERENCE = 4
LEAST_USEFUL = 1000


@dataclass(frozen=True, slots=True)
class Effort:
    """At which step a batch is judged; the worker obeys it, and so does whoever recomputes it.

    ``max_rows`` bounds the rows that are tested, None where the settings alone do. ``given_up`` are
    the steps that ran out of time on this very batch before.
    """

    step: Step = "whole"
    max_rows: int | None = None
    given_up: tuple[Step, ...] = ()

    @property
    def fewer_draws(self) -> bool:
        """Whether permutations and draws are fewer than configured."""
        return self.step in ("permutations", "joint_tests")

    @property
    def joint_tests(self) -> bool:
        """Whether joint tests run."""
        return self.step != "joint_tests"

    @classmethod
    def from_plain(cls, told: Any) -> Effort:
        """From JSON, as a report keeps it; a whole check where an older release kept none.

        Raises
        ------
        ValueError
            If it is no effort of this release.
        """
        if told is None:
            return cls()
        if not isinstance(told, Mapping) or told.keys() != asdict(cls()).keys():
            raise ValueError("the effort has other fields than this release knows")
        steps = (told["step"], *told["given_up"])
        if not set(steps) <= set(get_args(Step)):
            raise ValueError(f"a step of {', '.join(map(str, steps))} is unknown")
        return cls(told["step"], told["max_rows"], tuple(told["given_up"]))


def useful_rows(reference_rows: int) -> int:
    """Rows of a batch beyond which more of them do not help: 4 times the reference's, or 1000.

    With 4 m rows against m the difference of two means has 5/4 of the variance that endless rows
    would leave, and what more would add is mostly the luck of the reference.

    Examples
    --------
    >>> useful_rows(100), useful_rows(5000)
    (1000, 20000)
    """
    return max(LEAST_USEFUL, MOST_PER_REFERENCE * reference_rows)


def ladder(rows: int) -> tuple[Effort, ...]:
    """Every step for a batch of which so many rows would be tested, the fullest first.

    Where a quarter of the rows is no fewer, the step that only takes fewer is left out.

    Examples
    --------
    >>> [effort.max_rows for effort in ladder(50_000)]
    [None, 12500, 3125, 1000]
    >>> [effort.step for effort in ladder(800)]
    ['whole', 'permutations', 'joint_tests']
    """
    least = min(rows, FEWEST_ROWS)
    steps = get_args(Step)
    cuts = [max(least, rows // _QUARTER**place) for place in range(len(steps))]
    efforts = [Effort(step, cut) for step, cut in zip(steps, cuts, strict=True)]
    cut_down = [e for e in efforts[1:] if e.step != "subsample" or e.max_rows != rows]
    return (Effort(), *cut_down)


def lower(effort: Effort, rows: int) -> Effort | None:
    """The next step after one that ran out of time; None after the last."""
    steps = list(get_args(Step))
    below = (e for e in ladder(rows) if steps.index(e.step) > steps.index(effort.step))
    found = next(below, None)
    if found is None:
        return None
    return Effort(found.step, found.max_rows, (*effort.given_up, effort.step))


@dataclass(frozen=True, slots=True)
class Spent:
    """What a check took, as far as the next one can be predicted from it: seconds of wall clock.

    ``per_row`` grows with the rows that are tested, ``joint`` belongs to the joint tests, which
    bound their own rows, and is None where they did not run.
    """

    step: Step
    rows: int
    """Rows of the batch."""
    tested: int
    """Rows that were tested; 0 where the check says nothing of the next, as one without tests."""
    read: float = 0.0
    per_row: float = 0.0
    joint: float | None = None
    fixed: float = 0.0
    given_up: tuple[Step, ...] = field(default=())

    @classmethod
    def of(cls, run: Run) -> Spent:
        """From a judged batch."""
        effort = Effort.from_plain(run.provenance.get("effort"))
        cost = run.cost
        stages = cost.stages
        joint = [cost.tests[name] for name in _JOINT if name in cost.tests]
        slow = _slowness(cost)
        together = sum(joint)
        rest = sum(stages.get(name, 0.0) for name in ("predict", "test", "profile", "summary"))
        return cls(
            step=effort.step,
            rows=run.batch.rows,
            tested=cost.rows if cost.tests else 0,
            read=slow * stages.get("read", 0.0),
            per_row=slow * max(0.0, rest - together),
            joint=slow * together if joint else None,
            fixed=slow * stages.get("decide", 0.0),
            given_up=effort.given_up,
        )

    @classmethod
    def from_plain(cls, told: Mapping[str, Any]) -> Spent:
        """From JSON, as the history keeps it."""
        return cls(**{**told, "given_up": tuple(told["given_up"])})

    def predicted(self, effort: Effort, rows: int, tested: int) -> float:
        """Seconds of a check at a step, linear in its rows.

        Parameters
        ----------
        effort
            The step.
        rows, tested
            Rows of the batch, and of those that a whole check would test.
        """
        joint = self.joint or 0.0
        if self.step == "permutations":
            joint /= _FEWER_DRAWS
        if effort.fewer_draws:
            joint *= _FEWER_DRAWS if effort.joint_tests else 0.0
        own = tested if effort.max_rows is None else min(tested, effort.max_rows)
        grown = self.read * rows / max(self.rows, 1) + self.per_row * own / max(self.tested, 1)
        return grown + joint + self.fixed


def _slowness(cost: Cost) -> float:
    """Seconds of wall clock for a CPU second: more where others compete, or the disk is slow."""
    besides = ("start", "prepare", "given_up")
    own = cost.cpu_seconds - sum(cost.stages.get(stage, 0.0) for stage in besides)
    return max(1.0, (cost.wall_seconds - cost.given_up_seconds) / own) if own > 0 else 1.0


def choose(past: Sequence[Spent], rows: int, tested: int, seconds: float) -> Effort:
    """The fullest step that is predicted to end within the limit.

    Parameters
    ----------
    past
        Checks of the model, the newest last; the last :data:`REMEMBERED` count.
    rows, tested
        Rows of the batch, and of those that a whole check would test.
    seconds
        `limits.seconds`.

    Returns
    -------
    Effort
        The whole check where nothing comparable is known: it is stepped down from when it runs out
        of time. Without flapping: a step fuller than the last check's needs room to spare, and one
        that ran out of time waits until that is :data:`REMEMBERED` checks ago. Where no step is
        predicted to fit, the last.
    """
    recent = past[-REMEMBERED:]
    known = [one for one in recent if one.tested and one.rows * _FAR >= rows]
    steps = get_args(Step)
    ran_out = max((steps.index(s) for s in _given_up(recent, rows)), default=-1)
    efforts = [effort for effort in ladder(tested) if steps.index(effort.step) > ran_out]
    if not efforts:
        return ladder(tested)[-1]
    if not known:
        return efforts[0]
    last = known[-1]
    for effort in efforts:
        fuller = steps.index(effort.step) < steps.index(last.step)
        told = _best_told(known, effort)
        if told.predicted(effort, rows, tested) <= seconds * (_ROOM if fuller else _FULL):
            return effort
    return efforts[-1]


def _best_told(known: Sequence[Spent], effort: Effort) -> Spent:
    """The newest check, or one that ran the joint tests where they are to be predicted."""
    with_joint = [one for one in known if one.joint is not None]
    return with_joint[-1] if effort.joint_tests and with_joint else known[-1]


def _given_up(recent: Sequence[Spent], rows: int) -> Iterator[Step]:
    """Steps that ran out of time on batches not much larger than this one."""
    for one in recent:
        if 2 * rows >= one.rows:
            yield from one.given_up
