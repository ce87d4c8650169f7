"""Broken files as lines of the terminal.

In:    the status of a model.
Out:   lines: what is looked at again, what is in quarantine and why.
Never: lets a name move the cursor; lists thousands.
"""

from __future__ import annotations

from shiftwatch.quarantine import Broken
from shiftwatch.report.phrase import plural, said, when
from shiftwatch.status import ModelStatus

_MOST_LINES = 20


def broken_lines(status: ModelStatus) -> tuple[str, ...]:
    """What is to be said of the broken files of a model; nothing where there are none.

    Examples
    --------
    >>> entry = Broken("a.parquet", 4, 0, "", "damaged", "no sound footer", 3, 0.0, 300.0, 300.0)
    >>> status = ModelStatus("churn", (), "ok", None, None, 0, quarantined=1, broken=(entry,))
    >>> broken_lines(status)[0]
    'churn: quarantined: a.parquet: no sound footer (damaged; 3 looks since 1970-01-01 00:00)'
    """
    lines = [_line(status.name, entry) for entry in status.broken[:_MOST_LINES]]
    more = status.quarantined + status.retried - len(lines)
    if more:
        lines.append(f"{status.name}: {plural(more, 'more broken file')}")
    if status.quarantined:
        lines.append(
            f"{status.name}: in quarantine: {status.quarantined}; each is taken up again when it "
            "changes, see `shiftwatch explain quarantine`"
        )
    return tuple(lines)


def _line(model: str, entry: Broken) -> str:
    what = "quarantined" if entry.quarantined else "looked at again next time"
    since = f"{plural(entry.looks, 'look')} since {when(entry.first_at)}"
    return f"{model}: {what}: {said(entry.uri)}: {said(entry.fault)} ({entry.reason}; {since})"
