"""What the daemon asks of its worker, and what it gets back.

In:    settings and values.
Out:   small messages that cross the process boundary.
Never: carries rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shiftwatch.budget import Effort
from shiftwatch.payload.plan import Plan
from shiftwatch.settings import (
    AlarmSettings,
    LimitSettings,
    ModelSettings,
    PayloadSettings,
    StoresSettings,
)
from shiftwatch.status import ModelInfo, ReferenceInfo
from shiftwatch.values import Acceptance, Batch, Listed, Run


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a check of one model depends on besides the batch and the state."""

    model: ModelSettings
    alarms: AlarmSettings
    seed: int
    cache: str
    """Folder for prepared references; empty: none is kept, which suits a single check."""
    config_sha256: str
    limits: LimitSettings = field(default_factory=LimitSettings)
    accepted: Acceptance | None = None
    """What an operator has accepted as the reference; holds while the configured one is as then."""
    draws: str = ""
    """What addresses the random draws instead of the bytes of the reference and of the batch: for
    rows that may come as a file or as a table and shall give the same numbers. Empty: the bytes."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which stores of objects there are, for all requests after it; answered by None."""

    stores: StoresSettings
    folder: str
    """Where copies and hashes of objects may be kept; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class List:
    """List a folder or a prefix; answered by a tuple of Listed, sorted."""

    path: str
    after: str | None = None
    """An object seen before: folders that sort before its own are not looked into."""
    complete: bool = False
    """Whether what cannot be looked at is an error."""


@dataclass(frozen=True, slots=True)
class CountPayloads:
    """Count the requests in objects of a log; answered by a tuple of Counted, in this order."""

    objects: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class MakePayloads:
    """Make the batch of a plan in a folder; answered by Made."""

    plan: Plan
    settings: PayloadSettings
    folder: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """Read footers and hash contents; answered by a tuple of FileFacts."""

    files: tuple[Listed, ...]
    time_column: str | None


@dataclass(frozen=True, slots=True)
class Prepare:
    """Load the model and prepare the reference; answered by Prepared."""

    context: Context


@dataclass(frozen=True, slots=True)
class PreparedInfo:
    """What was prepared, for the metrics."""

    reference: ReferenceInfo
    model: ModelInfo | None
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """Say what was measured on the reference; answered by Surveyed."""

    context: Context
    newest: Listed | None
    """The newest file of the batches, which stands for the size of a batch."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What was prepared, and what a batch of usual size can show."""

    info: PreparedInfo
    facts: Mapping[str, Any]
    """JSON; read by ``promise.survey_lines``."""


@dataclass(frozen=True, slots=True)
class Check:
    """Judge one batch; answered by Checked."""

    context: Context
    batch: Batch
    state: str | None
    """Decision state after the batch before, as stored."""
    judged_at: float
    alone: bool = False
    """Whether it belongs to no history: then no slow layer looks at it."""
    effort: Effort = field(default_factory=Effort)
    """How much of the check fits in `limits.seconds`."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A judged batch and the decision state after it."""

    run: Run
    state: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Hash what a check rests on, without using any of it; answered by Digests."""

    model: ModelSettings | None
    """Whose model and reference; None for files only."""
    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Digests:
    """SHA-256 of what is there now; None where there is nothing, or it cannot be read."""

    model: str | None
    reference: str | None
    files: Mapping[str, str | None]
    software: Mapping[str, str]
    """Versions of shiftwatch, Python and the libraries."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Write the rows of batches to a file below a folder, as a reference; answered by Kept."""

    context: Context
    batches: tuple[Batch, ...]
    folder: str
    max_rows: int | None = None
    """Of more rows, about so many are drawn; None: all are written."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The file that was written, and the SHA-256 of the reference it is to stand in for."""

    path: str
    sha256: str
    rows: int
    configured_sha256: str
    rows_total: int = 0
    """Rows there were; of a cut by time an upper bound where rows were drawn."""


Request = (
    Reach | List | CountPayloads | MakePayloads | Inspect | Prepare | Survey | Check | Digest | Keep
)
