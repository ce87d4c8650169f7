"""The command line: one function a verb, every heavy import inside it.

In:    arguments.
Out:   lines for people or programs, an exit status.
Never: holds logic that another verb or the daemon needs.

Exit status: 0 done; 1 the verb's question was answered "shift" (of verify: "not the same"); 2 usage; 70 internal error;
78 bad configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType

from shiftwatch.cli.application import INTERNAL, app

# Each adds its verbs to the application, in this order of the help.
# isort: off
from shiftwatch.cli import watching  # noqa: F401
from shiftwatch.cli import telling  # noqa: F401
from shiftwatch.cli import saying  # noqa: F401
from shiftwatch.cli import showing  # noqa: F401
# isort: on

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; the entry point of the program."""
    try:
        app()
    except Exception:
        # Python would end with 1, which says "shift" to whoever asked with --fail-on-alarm.
        sys.excepthook = partial(_end_as_internal_error, sys.excepthook)
        raise


def _end_as_internal_error(
    tell: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    kind: type[BaseException],
    fault: BaseException,
    trace: TracebackType | None,
) -> None:
    tell(kind, fault, trace)
    raise SystemExit(INTERNAL)
