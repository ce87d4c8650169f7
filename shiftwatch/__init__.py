"""shiftwatch: watches a deployed ONNX model for distribution shift.

Importing this package is light: numpy, pyarrow and onnxruntime are loaded only by what needs them.

From Python there are :func:`compare`, :func:`prepare` and :func:`read_report`, whose faults are
``shiftwatch.errors.ShiftwatchError``; all else of the package is the program's own and may change.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shiftwatch import errors

# onnxruntime 1.31 and later report home unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shiftwatch.comparing import Data, Reference, Report, Tests, Tolerance

__all__ = ["Reference", "Report", "__version__", "compare", "errors", "prepare", "read_report"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The types of what is answered, loaded when somebody first names them."""
    if name not in ("Reference", "Report"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shiftwatch import comparing  # noqa: PLC0415 - the package is light

    return getattr(comparing, name)


def __dir__() -> list[str]:
    """What is meant to be used, for completion."""
    return __all__


def compare(  # noqa: PLR0913 - the names that scripts rely on
    reference: Data | Reference,
    current: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tests: Tests | None = None,
    categorical: Sequence[str] | None = None,
    tolerance: Tolerance | None = None,
    seed: int = 0,
) -> Report:
    """Hold one set of rows against another: every test once, no daemon, no configuration.

    The work is done in a process of its own, in at most 1 GB and two minutes; what would take more
    is made smaller, and the report says so.

    Parameters
    ----------
    reference, current
        The path of a Parquet file or of a folder of them, a list of paths, the address of an object
        or a prefix (``s3://``, ``gs://``, ``abfs://``; credentials are the platform's), a
        ``pyarrow.Table``, anything with ``__arrow_c_stream__`` such as a data frame of pandas (2.2
        or later) or polars, a dict of columns, or an array of records of numpy. The same rows give
        the same numbers in whatever form they come. Columns are matched by name; those of the
        reference are tested. NaN and null are the same: no value. The index of a pandas frame is
        a column if it has a name, and no column otherwise. The reference may be what
        :func:`prepare` has made.
    model
        Path of an ONNX model: its predictions on both sides are compared too.
    tests
        Which run, and no others: names (``["ks", "chi2"]``), or parameters by name
        (``{"ks": {}, "mmd": {"permutations": 1999}}``); all by default.
    categorical
        Integer columns to test as categories.
    tolerance
        The smallest shift that matters, as an effect from 0 to 1: a number for all (.02 by
        default), or a mapping with ``default``, ``mode`` (``suppress`` or ``prove``), and numbers
        by test or column (``{"default": 0.02, "ks": 0.05, "age": 0.1}``).
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
        If a side is no table or cannot be read, an option is wrong, or the tests fail as a whole:
        with what, where, and what to do. Rows that can be read and not judged raise nothing: the
        report's ``state`` is ``insufficient_data`` or ``invalid_data`` (a column is missing, or of
        another type) and ``reasons`` says why, so ask for ``state == "no_shift"``, not for the
        absence of an alarm, where silence must not be taken for good news.

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

    options = comparing.Options(model, tests, categorical, tolerance, seed)
    return comparing.compare(reference, current, options)


def prepare(
    reference: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tests: Tests | None = None,
    categorical: Sequence[str] | None = None,
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

    options = comparing.Options(model, tests, categorical, tolerance, seed)
    return comparing.prepare(reference, options)


def read_report(path: str | os.PathLike[str]) -> Report:
    """A report as JSON, such as the daemon's, read again from a file; its page is the same.

    Returns
    -------
    Report
        Of text that is at hand already, ``shiftwatch.Report.from_json`` makes the same.

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
