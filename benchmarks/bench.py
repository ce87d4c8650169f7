"""What a check costs, and how that compares with a scipy loop: ``make bench``.

Every case runs in processes of its own, in interleaved rounds, on one thread; what is timed is CPU
seconds. The README beside this file says how each figure is got. ``--quick`` runs the small cases
once and stores nothing; ``--case NAME`` runs one case, in this process, and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.check import answer
from shiftwatch.requests import Check, Checked, Context, Inspect, Prepare
from shiftwatch.sample import Column, Sample, numeric
from shiftwatch.settings import (
    AlarmSettings,
    ChiSquareSettings,
    KsSettings,
    LimitSettings,
    ModelSettings,
    TestsSettings,
)
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.twosample.chisquare import ChiSquare
from shiftwatch.twosample.classifier import Classifier
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.protocol import JointTest, NotTested, Outcome
from shiftwatch.values import Batch, FileFacts, Piece
from shiftwatch.worker import Worker

COLUMNS = {"ours": 1000.0, "peer": 1000.0, "ratio": 1.0}
RESULTS = Path(__file__).parent / "results" / "bench.json"
# Arrow's pool, too, follows OMP_NUM_THREADS.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
UNIVARIATE = TestsSettings(KsSettings(), ChiSquareSettings())
MEGABYTE = 1e6
ANSWERS = ("shift", "no_shift")
"""Verdicts of a check in which everything was tested."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Measured:
    """CPU seconds of each repetition, ours and the peer's, and single figures beside them."""

    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)


def cpu_seconds(work: Callable[[], object], loops: int = 1) -> float:
    """CPU seconds, user and system, of this process for one call."""
    before = time.process_time()
    for _ in range(loops):
        work()
    return (time.process_time() - before) / loops


def child(command: Sequence[str]) -> tuple[float, float, str]:
    """CPU seconds of a process and its children, the largest peak in megabytes, what it printed.

    The peak is at least that of this process, as the system counts the moment before ``exec``.
    """
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdout=output) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        printed = output.read().decode()
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MEGABYTE, printed


def tested(outcome: Outcome | NotTested) -> Outcome:
    """A benchmark of a test that was not run would be fast and worthless."""
    if isinstance(outcome, NotTested):
        raise TypeError(outcome.reason)
    return outcome


# -------------------------------------------------------------------------------- KS, chi-square


def ks_reference_100k(repetitions: int, folder: Path) -> Measured:
    """KS, 100 columns, reference 100k, batch 10k; ks_2samp sorts the reference every time."""
    del folder
    return _ks(100, 100_000, 10_000, repetitions)


def ks_reference_1m(repetitions: int, folder: Path) -> Measured:
    """KS, 50 columns, reference 1M, batch 10k; ks_2samp sorts the reference every time."""
    del folder
    return _ks(50, 1_000_000, 10_000, min(repetitions, 2))


def _ks(columns: int, rows_reference: int, rows_current: int, repetitions: int) -> Measured:
    rng = np.random.default_rng(1)
    references = rng.standard_normal((columns, rows_reference))
    batches = rng.standard_normal((columns, rows_current))
    test, measured = Ks(), Measured()
    sides = [(numeric("x", a), numeric("x", b)) for a, b in zip(references, batches, strict=True)]
    began = time.process_time()
    prepared = [test.prepare(reference, rng) for reference, _ in sides]
    measured.facts["prepare_seconds"] = time.process_time() - began

    def ours() -> list[Outcome]:
        pairs = zip(prepared, sides, strict=True)
        return [tested(test.run(kept, current, rng)) for kept, (_, current) in pairs]

    def peer(first: int = columns) -> list[Any]:
        return [stats.ks_2samp(references[j], batches[j]) for j in range(first)]

    # scipy's asymptotic law is another approximation of the same p-value: a per cent apart.
    _agree(ours()[:10], peer(10), p_tolerance=0.02)
    for _ in range(repetitions):
        measured.ours.append(cpu_seconds(ours))
        measured.peer.append(cpu_seconds(peer))
    return measured


def chi2_50_categories(repetitions: int, folder: Path) -> Measured:
    """Chi-square, 10 columns of 50 categories, batch 10k; the loop also counts only the batch."""
    del folder
    rng = np.random.default_rng(2)
    shares = 1 / np.arange(1, 51)
    shares /= shares.sum()
    sides = [(_codes(rng, 100_000, shares), _codes(rng, 10_000, shares)) for _ in range(10)]
    test, measured = ChiSquare(), Measured()
    prepared = [test.prepare(reference, rng) for reference, _ in sides]
    counts = [np.bincount(reference.values, minlength=50) for reference, _ in sides]

    def ours() -> list[Outcome]:
        pairs = zip(prepared, sides, strict=True)
        return [tested(test.run(kept, current, rng)) for kept, (_, current) in pairs]

    def peer() -> list[Any]:
        batches = (np.bincount(current.values, minlength=50) for _, current in sides)
        tables = zip(counts, batches, strict=True)
        return [stats.chi2_contingency(np.stack(table), correction=False) for table in tables]

    _agree(ours(), peer(), p_tolerance=1e-9)
    for _ in range(repetitions):
        measured.ours.append(cpu_seconds(ours, loops=20))
        measured.peer.append(cpu_seconds(peer, loops=20))
    return measured


def _codes(rng: np.random.Generator, rows: int, shares: Floats) -> Column:
    codes = rng.choice(shares.size, rows, p=shares).astype(np.int32)
    names = tuple(f"category {index}" for index in range(shares.size))
    return Column("c", "categorical", "input", "string", codes, codes >= 0, names)


def _agree(ours: Sequence[Outcome], peer: Sequence[Any], p_tolerance: float) -> None:
    """Speed is compared only where the answers are the same."""
    for one, other in zip(ours, peer, strict=True):
        np.testing.assert_allclose(one.statistic, other.statistic, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.p_value, other.pvalue, rtol=p_tolerance)


# ----------------------------------------------------------------------------------- joint tests


def mmd_default(repetitions: int, folder: Path) -> Measured:
    """MMD with its defaults, 30 columns, reference 5000, batch 1000."""
    del folder
    return _joint(Mmd(), 30, 5000, 1000, repetitions)


def classifier_default(repetitions: int, folder: Path) -> Measured:
    """Classifier test with its defaults, 50 columns, 10k and 10k, of which max_rows 5000 each."""
    del folder
    return _joint(Classifier(), 50, 10_000, 10_000, repetitions)


def _joint(
    test: JointTest, columns: int, rows_reference: int, rows_current: int, repetitions: int
) -> Measured:
    rng = np.random.default_rng(3)
    reference, current = (_normal(rng, n, columns) for n in (rows_reference, rows_current))
    measured = Measured()
    began = time.process_time()
    prepared = test.prepare(reference, np.random.default_rng(1))
    measured.facts["prepare_seconds"] = time.process_time() - began

    def ours() -> Outcome:
        return tested(test.run(prepared, current, np.random.default_rng(2)))

    ours()
    measured.ours = [cpu_seconds(ours) for _ in range(repetitions)]
    return measured


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Sample:
    values = rng.standard_normal((columns, rows))
    return Sample(rows, tuple(numeric(f"x{j}", row) for j, row in enumerate(values)))


# ---------------------------------------------------------------------- a full check from Parquet


def write_tables(folder: Path) -> None:
    """Reference of 100k rows and batch of 10k, each 40 numeric and 10 string columns."""
    rng = np.random.default_rng(4)
    for name, rows in (("reference", 100_000), ("batch", 10_000)):
        columns: dict[str, Any] = {f"x{j:02}": rng.standard_normal(rows) for j in range(40)}
        for j in range(10):
            texts = [f"category {k}" for k in range(5 * (j + 1))]
            codes = pa.array(rng.integers(0, len(texts), rows, dtype=np.int32))
            columns[f"c{j}"] = pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())
        path = folder / name / f"{name}.parquet"
        path.parent.mkdir()
        pq.write_table(pa.table(columns), path)


def check_univariate(repetitions: int, folder: Path) -> Measured:
    """Full check, read included: 40 numeric and 10 string columns, 100k and 10k; no joint test."""
    return _full(UNIVARIATE, repetitions, folder)


def check_everything(repetitions: int, folder: Path) -> Measured:
    """The same with MMD and the classifier test: what runs by default."""
    return _full(TestsSettings.all(), repetitions, folder)


def _full(tests: TestsSettings, repetitions: int, folder: Path) -> Measured:
    measured = Measured()
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        context = _context(tests, folder, cache)
        measured.facts["prepare_seconds"] = cpu_seconds(lambda: answer(Prepare(context)))
        request = _request(context, answer)
        _judged(answer(request))
        measured.ours = [cpu_seconds(lambda: answer(request)) for _ in range(repetitions)]
    return measured


def worker_memory(repetitions: int, folder: Path) -> Measured:
    """The check of everything in a worker that maps a prepared reference; peak of the process."""
    measured = Measured()
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        context = _context(TestsSettings.all(), folder, cache)
        with Worker(LimitSettings()) as worker:
            worker.call(Prepare(context))
        with Worker(LimitSettings()) as worker:
            request = _request(context, worker.call)
            _judged(worker.call(request))
            for _ in range(repetitions):
                cost = _judged(worker.call(request)).run.cost
                measured.ours.append(cost.cpu_seconds)
                measured.facts["peak_megabytes"] = cost.peak_memory_bytes / MEGABYTE
    return measured


def cold_compare(repetitions: int, folder: Path) -> Measured:
    """`shiftwatch compare`, a process from start to end: imports, reference, everything tested."""
    measured = Measured()
    tables = [str(folder / name) for name in ("reference", "batch")]
    for _ in range(min(repetitions, 2)):
        command = [sys.executable, "-m", "shiftwatch", "compare", *tables, "--json"]
        seconds, peak, printed = child(command)
        if json.loads(printed)["state"] not in ANSWERS:
            raise ValueError(printed)
        measured.ours.append(seconds)
        measured.facts["peak_megabytes"] = peak
    return measured


def _context(tests: TestsSettings, folder: Path, cache: str) -> Context:
    settings = ModelSettings(
        name="bench",
        reference=str(folder / "reference"),
        batches=str(folder / "batch"),
        tests=tests,
    )
    return Context(settings, AlarmSettings(), 0, cache, "")


def _request(context: Context, ask: Callable[[Inspect], Any]) -> Check:
    facts: Sequence[FileFacts] = ask(Inspect(list_folder(context.model.batches), None))
    pieces = tuple(Piece(fact.uri, fact.size, fact.sha256, 0, fact.rows) for fact in facts)
    batch = Batch(batch_id(pieces), pieces, sum(fact.rows for fact in facts))
    return Check(context, batch, None, 0.0)


def _judged(checked: Any) -> Checked:
    """The answer, if the check came to a verdict on the data."""
    if not isinstance(checked, Checked) or checked.run.verdict not in ANSWERS:
        raise TypeError(checked)
    return checked


# ----------------------------------------------------------------------------------------- start-up


def import_package(repetitions: int, folder: Path) -> Measured:
    """A process that imports shiftwatch and ends; the peer imports nothing."""
    del folder
    measured = Measured()
    for _ in range(repetitions):
        one = _import("import shiftwatch", 1)
        measured.ours += one.ours
        measured.facts = one.facts
        measured.peer += _import("pass", 1).ours
    return measured


def import_worker(repetitions: int, folder: Path) -> Measured:
    """A process that imports all that the worker needs and ends."""
    del folder
    return _import("import shiftwatch.check", repetitions)


def _import(statement: str, repetitions: int) -> Measured:
    measured = Measured()
    program = f"{statement}; print(open('/proc/self/status').read())"
    for _ in range(repetitions):
        seconds, _, status = child([sys.executable, "-c", program])
        measured.ours.append(seconds)
        peak = status.partition("VmHWM:")[2].split()[0]
        measured.facts["peak_megabytes"] = int(peak) * 1024 / MEGABYTE
    return measured


# -------------------------------------------------------------------------- rounds, table, results

CASES: Mapping[str, Callable[[int, Path], Measured]] = {
    case.__name__: case
    for case in (
        ks_reference_100k,
        ks_reference_1m,
        chi2_50_categories,
        mmd_default,
        classifier_default,
        check_univariate,
        check_everything,
        cold_compare,
        worker_memory,
        import_package,
        import_worker,
    )
}

QUICK = [name for name in CASES if name.startswith(("ks_reference_100k", "chi2", "mmd", "check"))]


def run_round(cases: Sequence[str], repetitions: int, folder: Path) -> dict[str, Measured]:
    """Every case once, one after the other, each in a fresh process on one thread."""
    measured = {}
    for name in cases:
        command = [sys.executable, __file__, "--case", name]
        command += ["--repetitions", str(repetitions), "--folder", str(folder)]
        done = subprocess.run(
            command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, check=True, timeout=300
        )
        measured[name] = Measured(**json.loads(done.stdout))
    return measured


def _spread(numbers: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(numbers), "min": min(numbers), "max": max(numbers)}


def summary(name: str, rounds: Sequence[Measured]) -> dict[str, Any]:
    """All repetitions of a case; ratios are of the medians of one round."""
    row: dict[str, Any] = {"case": name, "what": CASES[name].__doc__}
    row["ours"] = _spread([seconds for one in rounds for seconds in one.ours])
    row["facts"] = {
        key: statistics.median(one.facts[key] for one in rounds) for key in rounds[0].facts
    }
    if rounds[0].peer:
        row["peer"] = _spread([seconds for one in rounds for seconds in one.peer])
        by_round = [statistics.median(r.peer) / statistics.median(r.ours) for r in rounds]
        row["ratio"] = _spread(by_round)
    return row


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table: CPU milliseconds, median and range."""
    line = "{:20}{:>24}{:>24}{:>20}{:>11}{:>9}"
    print(line.format("case", "CPU ms", "peer, CPU ms", "peer / ours", "prepare s", "peak MB"))
    for row in rows:
        facts = row["facts"]
        cells = [_range(row.get(key), unit) for key, unit in COLUMNS.items()]
        prepare, peak = (facts.get(key) for key in ("prepare_seconds", "peak_megabytes"))
        cells += ["" if fact is None else _short(fact) for fact in (prepare, peak)]
        print(line.format(row["case"], *cells))


def _range(spread: Mapping[str, float] | None, unit: float) -> str:
    if spread is None:
        return ""
    middle, low, high = (_short(spread[key] * unit) for key in ("median", "min", "max"))
    return f"{middle} ({low}-{high})"


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    packages = ("numpy", "scipy", "pyarrow", "onnxruntime", "shiftwatch")
    return {
        "cpu": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
    }


def bench(cases: Sequence[str], rounds: int, repetitions: int) -> dict[str, Any]:
    """Run all rounds and put the results together."""
    about, began = machine(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shiftwatch-bench-") as name:
        write_tables(Path(name))
        measured = [run_round(cases, repetitions, Path(name)) for _ in range(rounds)]
    rows = [summary(case, [one[case] for one in measured]) for case in cases]
    return {
        "machine": about,
        "rounds": rounds,
        "repetitions": repetitions,
        "wall_seconds": round(time.monotonic() - began, 1),
        "cases": rows,
    }


def main() -> None:
    """Run all cases and store the figures; or one case; or all of them once, quickly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few cases, once; not stored")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the tables are; for --case")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(asdict(CASES[options.case](options.repetitions, options.folder))))
        return
    results = bench(QUICK, 1, 1) if options.quick else bench([*CASES], 3, options.repetitions)
    show(results["cases"])
    print(f"{results['machine']['cpu']}, one thread; {results['wall_seconds']} s in all")
    if not options.quick:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
