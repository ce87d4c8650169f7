"""shiftwatch: watches a deployed ONNX model for distribution shift.

Importing this package is light: numpy, pyarrow and onnxruntime are loaded only by what needs them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# onnxruntime 1.31 and later report home unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from shiftwatch.comparing import Data, Reference, Report, Tests, Tolerance

__all__ = ["__version__", "compare", "prepare", "read_report"]
__version__ = "0.1.0"


def compare(  # noqa: PLR0913 - the names that scripts rely on
    reference: Data,
    current: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tests: Tests | None = None,
    categorical: list[str] | None = None,
    tolerance: Tolerance | None = None,
    seed: int = 0,
) -> Report:
    """Hold one set of rows against another: every test once, no daemon, no configuration.

    Parameters
    ----------
    reference, current
        The path of a Parquet file or of a folder of them, a ``pyarrow.Table``, or anything with
        ``__arrow_c_stream__`` such as a data frame of pandas or polars. Columns are matched by
        name; those of the reference are tested. NaN and null are the same: no value. The reference
        may be what :func:`prepare` has made.
    model
        Path of an ONNX model: its predictions on both sides are compared too.
    tests
        Names (``["ks", "chi2"]``), or parameters by name (``{"ks": {}}``); all by default.
    categorical
        Integer columns to test as categories.
    tolerance
        The smallest shift that matters: a number for all, or by test or column.
    seed
        Of the permutations and samples; the same seed gives the same report.

    Returns
    -------
    Report
        With the fields of the JSON report as attributes, ``to_dict()``, ``to_json()``,
        ``to_html()``, ``to_markdown()`` and ``to_csv()``; it shows itself in a notebook.

    Raises
    ------
    shiftwatch.errors.ShiftwatchError
        If a side cannot be read or used, an option is wrong, or the tests fail as a whole: with
        what, where, and what to do.

    Examples
    --------
    >>> import pyarrow as pa
    >>> before = pa.table({"age": [20 + i % 40 for i in range(2000)]})
    >>> after = pa.table({"age": [29 + i % 40 for i in range(1000)]})
    >>> report = compare(before, after, tests=["ks"])
    >>> report.state, report.alarm
    ('shift', True)
    >>> [(r["target"], round(r["effect"], 3)) for r in report.results]
    [('age', 0.225)]
    """
    from shiftwatch import comparing  # noqa: PLC0415 - the package is light

    return comparing.compare(
        reference, current, _options(model, tests, categorical, tolerance, seed)
    )


def prepare(
    reference: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tests: Tests | None = None,
    categorical: list[str] | None = None,
    tolerance: Tolerance | None = None,
    seed: int = 0,
) -> Reference:
    """Prepare a reference once, for many comparisons; parameters as of :func:`compare`.

    Returns
    -------
    Reference
        To be given to :func:`compare` as its reference. It holds a process and a temporary folder
        until it is closed, leaves its ``with`` statement, or nobody holds it any more.

    Examples
    --------
    >>> import pyarrow as pa
    >>> before = pa.table({"age": [20 + i % 40 for i in range(2000)]})
    >>> with prepare(before, tests=["ks"]) as reference:
    ...     states = [compare(reference, before.slice(start, 500)).state for start in (0, 500)]
    >>> states
    ['no_shift', 'no_shift']
    """
    from shiftwatch import comparing  # noqa: PLC0415 - likewise

    return comparing.prepare(reference, _options(model, tests, categorical, tolerance, seed))


def read_report(path: str | os.PathLike[str]) -> Report:
    """A report as JSON, such as the daemon's, read again from a file.

    Raises
    ------
    shiftwatch.errors.DataError
        If it is no report of a schema this release reads.
    OSError
        If the file cannot be read.
    """
    from shiftwatch import comparing  # noqa: PLC0415 - likewise

    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would be the only thing loaded for it
        return comparing.Report.from_json(file.read())


def _options(*given: Any) -> dict[str, Any]:
    return dict(zip(("model", "tests", "categorical", "tolerance", "seed"), given, strict=True))
