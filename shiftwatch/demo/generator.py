"""Draw customers of a made-up subscription service, with a drift that can be turned up.

In:    rows, a random generator, the drift in [0, 1].
Out:   columns as plain arrays and lists, Arrow tables, Parquet files.
Never: reads a clock; writes a file that can be seen half done.

The law, with drift ``s`` (0 is the law of the reference and of the training data):

==================  =========  =============================================  ==================
column              type       distribution at s = 0                          drifts with s
==================  =========  =============================================  ==================
tenure_months       int64      floor of Gamma(shape 2, scale 14), skewed      scale 14 (1 - 0.4 s)
monthly_charge      float64    plan's price + Normal(0, 4)                    + 6 s
data_gb             float64    exp(Normal(2, 0.8)), skewed                    no
support_calls       int64      Poisson(1.2)                                   no
late_days           float64    0 with probability 0.7, else Exponential(5)    no
satisfaction        float64    10 Beta(5, 2), 3 % null                        nulls 3 % + 4 % s
plan                string     basic .50, plus .35, family .15                see below
region              string     north .30, south .25, east .25, west .20       no
device              string     phone .60, tablet .15, desktop .25, 2 % null   no
autopay             bool       true with probability .65                      no
event_time          timestamp  sorted, uniform over the file's period         moves on by itself
churned             int64      Bernoulli of the logit below                   only through inputs
==================  =========  =============================================  ==================

Plans under drift: basic ``.50 - .15 s``, plus ``.35 - .05 s``, family ``.15``, and a plan that the
reference has never had, flex, with ``.20 s``. Prices: basic 20, plus 35, family 55, flex 28.

Logit of churn, of the values before nulls were made::

    -0.1 - 0.05 tenure_months + 0.05 (monthly_charge - 30) + 0.45 support_calls + 0.08 late_days
    - 0.25 (satisfaction - 7) - 0.7 autopay + 0.4 [device is phone] + 0.5 [plan is flex]

So four input columns drift (tenure_months, monthly_charge, plan and the nulls of satisfaction) and
six do not; predictions follow. The law of the label given the inputs stays as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

FEATURES: tuple[str, ...] = (
    "tenure_months",
    "monthly_charge",
    "data_gb",
    "support_calls",
    "late_days",
    "satisfaction",
    "plan",
    "region",
    "device",
    "autopay",
)
"""The model's inputs, in order."""

TIME, LABEL = "event_time", "churned"

DRIFTING: tuple[str, ...] = ("tenure_months", "monthly_charge", "satisfaction", "plan")
"""Columns whose distribution (for satisfaction: the rate of nulls) moves with the drift."""

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""When the reference ends and the first batch begins, unix seconds."""

BATCH_SECONDS = 3600.0
"""Event time covered by a batch."""

REFERENCE_SECONDS = 28 * 86400.0
"""Event time covered by the reference."""

_PRICES = {"basic": 20.0, "plus": 35.0, "family": 55.0, "flex": 28.0}
_REGIONS = {"north": 0.30, "south": 0.25, "east": 0.25, "west": 0.20}
_DEVICES = {"phone": 0.60, "tablet": 0.15, "desktop": 0.25}

Drawn = dict[str, Any]


def draw(rows: int, rng: np.random.Generator, *, shift: float = 0.0) -> Drawn:
    """Draw independent rows from the law in the module's docstring.

    Parameters
    ----------
    rows
        How many.
    rng
        Consumed in a fixed order, so equal generators give equal rows.
    shift
        The drift, in [0, 1].

    Returns
    -------
    dict
        The columns of ``FEATURES`` and the label: int64, float64 and bool arrays of shape
        ``(rows,)``, NaN for a null; texts as lists with None for a null.

    Raises
    ------
    ValueError
        If the drift is outside [0, 1].
    """
    if not 0.0 <= shift <= 1.0:
        raise ValueError(f"shift is {shift}; it goes from 0 to 1")
    plan = _choose(_plans(shift), rows, rng)
    device = _choose(_DEVICES, rows, rng)
    late = rng.exponential(5.0, rows) * (rng.random(rows) >= 0.7)
    drawn: Drawn = {
        "tenure_months": rng.gamma(2.0, 14.0 * (1 - 0.4 * shift), rows).astype(np.int64),
        "monthly_charge": _prices(plan) + rng.normal(6.0 * shift, 4.0, rows),
        "data_gb": rng.lognormal(2.0, 0.8, rows),
        "support_calls": rng.poisson(1.2, rows).astype(np.int64),
        "late_days": late,
        "satisfaction": 10.0 * rng.beta(5.0, 2.0, rows),
        "plan": plan.tolist(),
        "region": _choose(_REGIONS, rows, rng).tolist(),
        "device": device.tolist(),
        "autopay": rng.random(rows) < 0.65,
    }
    drawn[LABEL] = (rng.random(rows) < churn_probability(drawn)).astype(np.int64)
    return _with_nulls(drawn, rng, satisfaction=0.03 + 0.04 * shift, device=0.02)


def _plans(shift: float) -> dict[str, float]:
    return {
        "basic": 0.50 - 0.15 * shift,
        "plus": 0.35 - 0.05 * shift,
        "family": 0.15,
        "flex": 0.20 * shift,
    }


def _choose(law: dict[str, float], rows: int, rng: np.random.Generator) -> NDArray[Any]:
    edges = np.cumsum(list(law.values()))[:-1]
    return np.array(list(law))[np.searchsorted(edges, rng.random(rows), side="right")]


def _prices(plan: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([_PRICES[name] for name in plan.tolist()], dtype=np.float64)


def churn_probability(drawn: Drawn) -> NDArray[np.float64]:
    """The true probability of churn, from columns without nulls; shape (rows,)."""
    logit = (
        -0.1
        - 0.05 * drawn["tenure_months"]
        + 0.05 * (drawn["monthly_charge"] - 30.0)
        + 0.45 * drawn["support_calls"]
        + 0.08 * drawn["late_days"]
        - 0.25 * (drawn["satisfaction"] - 7.0)
        - 0.7 * drawn["autopay"]
        + 0.4 * (np.array(drawn["device"]) == "phone")
        + 0.5 * (np.array(drawn["plan"]) == "flex")
    )
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _with_nulls(
    drawn: Drawn, rng: np.random.Generator, *, satisfaction: float, device: float
) -> Drawn:
    rows = len(drawn["device"])
    unknown = rng.random(rows) < satisfaction
    lost = (rng.random(rows) < device).tolist()
    return drawn | {
        "satisfaction": np.where(unknown, np.nan, drawn["satisfaction"]),
        "device": [
            None if gone else text for gone, text in zip(lost, drawn["device"], strict=True)
        ],
    }


def table(drawn: Drawn, event_times: NDArray[np.float64]) -> pa.Table:
    """The drawn columns as an Arrow table, event times (unix seconds) first, NaN as null."""
    stamps = (event_times * 1e6).astype(np.int64).astype("datetime64[us]")
    columns = {TIME: pa.array(stamps, type=pa.timestamp("us", tz="UTC"))}
    for name, values in drawn.items():
        floats = isinstance(values, np.ndarray) and values.dtype.kind == "f"
        columns[name] = pa.array(values, mask=np.isnan(values) if floats else None)
    return pa.table(columns)


def write_reference(path: str | Path, rows: int = 5000, *, seed: int = 0) -> None:
    """Write the reference: rows without drift, over the four weeks before ``START``."""
    _write(path, rows, (seed, 0), shift=0.0, period=(START - REFERENCE_SECONDS, START))


def write_batch(
    path: str | Path,
    index: int,
    rows: int = 500,
    *,
    shift: float = 0.0,
    start_time: float = START,
    seed: int = 0,
) -> None:
    """Write batch ``index`` (0, 1, ...), which covers the hour ``index`` after ``start_time``.

    The same arguments give the same rows. The file appears under its name only when it is
    complete.
    """
    first = start_time + index * BATCH_SECONDS
    _write(path, rows, (seed, 1 + index), shift=shift, period=(first, first + BATCH_SECONDS))


def _write(
    path: str | Path,
    rows: int,
    seeds: tuple[int, int],
    *,
    shift: float,
    period: tuple[float, float],
) -> None:
    rng = np.random.default_rng(seeds)
    drawn = draw(rows, rng, shift=shift)
    content = table(drawn, np.sort(rng.uniform(*period, rows)))
    target = Path(path)
    # A hidden name with another ending: no listing takes it for a batch.
    unfinished = target.with_name(f".{target.name}.unfinished")
    pq.write_table(content, unfinished, compression="zstd", write_page_checksum=True)
    unfinished.replace(target)
