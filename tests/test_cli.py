"""The program as people and scripts call it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shiftwatch import __version__
from shiftwatch.cli import app
from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_batch, write_reference

pytestmark = pytest.mark.slow  # every test starts a process

SHIFT, USAGE, INTERNAL, BAD_CONFIG = 1, 2, 70, 78

CONFIG = """\
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {time: event_time, label: churned}
    tests: {ks: {}, chi2: {max_draws: 999}}
"""


class Ended(subprocess.CompletedProcess[str]):
    """How a call ended."""

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


def shiftwatch(folder: Path, *arguments: str) -> Ended:
    """Call the program; whatever happens, a traceback is no answer."""
    command = [sys.executable, "-W", "error", "-m", "shiftwatch", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Traceback" not in done.stdout, done.stdout
    return Ended(done.args, done.returncode, done.stdout, done.stderr)


def _house(folder: Path, *shifts: float) -> Path:
    """A folder with the demo's model, a reference, batches and a configuration."""
    (folder / "batches").mkdir()
    (folder / "model.onnx").write_bytes(Path(MODEL_PATH).read_bytes())
    (folder / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    write_reference(folder / "reference.parquet", 1000)
    for index, shift in enumerate(shifts):
        path = folder / "batches" / f"{index}.parquet"
        write_batch(path, index, 300, shift=shift, seed=5)
    return folder


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return _house(tmp_path, 0.0, 1.0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A quiet batch and a shifted one, judged by `once`."""
    folder = _house(tmp_path_factory.mktemp("judged"), 0.0, 1.0)
    return folder, shiftwatch(folder, "once", "shiftwatch.yml")


BAD_CONFIGS: list[tuple[str, str | None, str]] = [
    ("run", None, "bad.yml: there is no such file; check the path"),
    ("run", "models: [", "bad.yml:1: "),
    ("run", CONFIG + "alarm: {}\n", "bad.yml:8: alarm: "),
    ("once", CONFIG + "seed: -1\n", "bad.yml:8: seed: -1 is negative; write 0 or more"),
    ("check", CONFIG + "web: {tokens_file: t}\n", "bad.yml:8: web.tokens_file: "),
    ("report", CONFIG.replace("churn", "Churn", 1), "bad.yml:2: models[0].name: 'Churn' has other"),
]


# run, once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "text", "told"), BAD_CONFIGS, ids=[b[0] for b in BAD_CONFIGS])
def test_a_bad_configuration_ends_with_78_and_names_file_and_line(
    tmp_path: Path, verb: str, text: str | None, told: str
) -> None:
    if text is not None:
        (tmp_path / "bad.yml").write_text(text, encoding="utf-8")
    ended = shiftwatch(tmp_path, verb, "bad.yml")
    assert ended.returncode == BAD_CONFIG
    assert told in ended.stderr
    assert ended.stdout == ""


def test_run_and_check_refuse_a_schedule_that_never_fires(tmp_path: Path) -> None:
    text = CONFIG + 'schedule: {cron: "0 0 31 2 *"}\n'
    (tmp_path / "bad.yml").write_text(text, encoding="utf-8")
    for verb in ("run", "check"):
        ended = shiftwatch(tmp_path, verb, "bad.yml")
        assert ended.returncode == BAD_CONFIG
        assert "0 0 31 2 *" in ended.stderr


def test_once_prints_a_line_a_batch_and_then_nothing_is_due(judged: tuple[Path, Ended]) -> None:
    folder, first = judged
    assert (first.returncode, first.stderr) == (0, "")
    quiet, shifted = first.lines
    assert quiet.split()[:5] == ["1", "2026-01-01", "00:00", "300", "rows"]
    assert "no shift" in quiet
    assert "SHIFT" in shifted
    assert "plan" in shifted
    again = shiftwatch(folder, "once", "shiftwatch.yml")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_once_fails_on_an_alarm_when_asked_to_also_one_that_lasts(
    judged: tuple[Path, Ended],
) -> None:
    folder, _ = judged
    ended = shiftwatch(folder, "once", "shiftwatch.yml", "--fail-on-alarm")
    assert (ended.returncode, ended.stdout) == (SHIFT, "")


def test_once_prints_one_json_document_a_line(house: Path) -> None:
    ended = shiftwatch(house, "once", "shiftwatch.yml", "--json", "--fail-on-alarm")
    assert ended.returncode == SHIFT
    documents = [json.loads(line, parse_constant=pytest.fail) for line in ended.lines]
    assert [(d["schema_version"], d["state"]) for d in documents] == [
        (1, "no_shift"),
        (1, "shift"),
    ]
    assert [d["alarm"] for d in documents] == [False, True]


def test_once_says_that_a_file_may_still_be_in_the_writing(house: Path) -> None:
    for batch in (house / "batches").iterdir():
        batch.write_bytes(batch.read_bytes()[:100])
    count = len(list((house / "batches").iterdir()))
    ended = shiftwatch(house, "once", "shiftwatch.yml")
    assert (ended.returncode, ended.stdout) == (0, "")
    first, *lines = ended.stderr.splitlines()
    assert first == (
        f"churn: files that may still be in the writing: {count}; "
        "they are looked at again next time"
    )
    assert len(lines) == count
    assert all(": no readable footer (no_footer; 1 look since " in line for line in lines)


def test_once_without_an_alarm_ends_with_0_though_asked_to_fail(tmp_path: Path) -> None:
    folder = _house(tmp_path, 0.0)
    assert shiftwatch(folder, "once", "shiftwatch.yml", "--fail-on-alarm").returncode == 0


def test_once_names_every_model_that_cannot_be_watched_and_judges_the_others(house: Path) -> None:
    model = CONFIG.partition("\n")[2]
    others = [
        model.replace("name: churn", f"name: {name}").replace(
            "reference.parquet", f"{name}.parquet"
        )
        for name in ("one", "two")
    ]
    (house / "shiftwatch.yml").write_text(CONFIG + "".join(others), encoding="utf-8")
    ended = shiftwatch(house, "once", "shiftwatch.yml")
    assert ended.returncode == INTERNAL
    assert len(ended.lines) == 2
    for name in ("one", "two"):
        assert f"error: {name}: " in ended.stderr
        assert f"{name}.parquet: no such file" in ended.stderr


# check -------------------------------------------------------------------------------------------


def test_check_says_what_is_watched_and_what_is_promised(house: Path) -> None:
    text = CONFIG + "alarms: {false_alarms: {per_checks: 50}}\n"
    (house / "shiftwatch.yml").write_text(text, encoding="utf-8")
    ended = shiftwatch(house, "check", "shiftwatch.yml")
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *measured, last = ended.lines
    assert (
        first
        == "churn: reference of 1000 rows, 15 columns; tests ks, chi2, nulls, unseen, distinct"
    )
    assert last == (
        "shiftwatch.yml: good; for each model at most 1 expected false alarm in 50 checks: "
        "1 in 4.2 hours at one batch every 5 minutes"
    )
    told = "\n".join(measured)
    assert "dependence between rows in order of event time: none found" in told
    assert "season: none found" in told
    assert "a batch of 300 rows shows with probability .8: " in told
    assert "note: dependence between rows cannot be measured: the reference (1000 rows)" in told
    assert not (house / "shiftwatch.db").exists(), "a check writes no history"


def test_check_needs_nothing_that_can_be_written(house: Path) -> None:
    config = house / "shiftwatch.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text + "store: {path: model.onnx/shiftwatch.db}\n", encoding="utf-8")
    ended = shiftwatch(house, "check", "shiftwatch.yml")
    assert ended.returncode == 0, ended
    assert "so the reference is not kept" in ended.lines[0]
    assert "reference of " in ended.lines[1]


def test_check_lists_every_fault_of_every_model(house: Path) -> None:
    model = CONFIG.partition("\n")[2]
    changes = {
        "no_model": ("model.onnx", "none.onnx"),
        "no_reference": ("reference: reference.parquet", "reference: none.parquet"),
        "no_batches": ("batches: batches/", "batches: none/"),
        "no_column": ("label: churned", "label: zz"),
    }
    text = "models:\n"
    for name, (before, after) in changes.items():
        assert before in model
        text += model.replace("name: churn", f"name: {name}").replace(before, after)
    (house / "bad.yml").write_text(text, encoding="utf-8")
    ended = shiftwatch(house, "check", "bad.yml")
    assert ended.returncode == BAD_CONFIG
    lines = text.splitlines()
    wanted = {
        "models[0].model": "none.onnx: no such file",
        "models[1].reference": "none.parquet: no such file",
        "models[2].batches": "none: no such file or folder",
        "models[3].reference": "the reference has no column 'zz' (its columns are event_time",
    }
    told = ended.stderr.splitlines()
    assert len(told) == len(wanted)
    for line, (key, message) in zip(told, wanted.items(), strict=True):
        place, _, rest = line.partition(": ")
        file, _, number = place.partition(":")
        assert file == "bad.yml"
        assert lines[int(number) - 1].strip().removeprefix("- ").startswith(key.rpartition(".")[2])
        assert rest.startswith(key + ": ")
        assert message in rest
    heads = [line.partition(":")[0] for line in ended.lines if not line.startswith(" ")]
    assert heads == ["no_batches"]


def test_check_refuses_a_model_with_its_input_and_the_columns_there_are(
    house: Path, shared_data: Path
) -> None:
    model = shared_data / "onnx_models" / "matmul_tiny.onnx"
    text = CONFIG.replace("model: model.onnx", f'model: "{model}"')
    (house / "bad.yml").write_text(text, encoding="utf-8")
    ended = shiftwatch(house, "check", "bad.yml")
    assert ended.returncode == BAD_CONFIG
    assert "matmul_tiny.onnx: input 'a', tensor(float) [3, 4], has no batch axis" in ended.stderr
    assert "the columns there are: event_time, tenure_months, monthly_charge, " in ended.stderr


# compare -----------------------------------------------------------------------------------------


def test_compare_prints_a_table(house: Path) -> None:
    ended = shiftwatch(house, "compare", "reference.parquet", "batches/1.parquet")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.lines[0].startswith("Shift in the inputs")
    named = [line for line in ended.lines if line.endswith("moved")]
    assert {"plan", "monthly_charge", "tenure_months"} <= {line.split()[0] for line in named}
    assert "probabilities" not in ended.stdout


def test_compare_with_a_model_adds_its_predictions_and_writes_both_forms(house: Path) -> None:
    ended = shiftwatch(
        house,
        *("compare", "reference.parquet", "batches/1.parquet", "--model", "model.onnx"),
        *("--json", "--html", "page.html", "--fail-on-alarm", "--categorical", "support_calls"),
    )
    assert (ended.returncode, ended.stderr) == (SHIFT, "")
    (line,) = ended.lines
    document = json.loads(line)
    tested = {(entry["test"], entry["target"]) for entry in document["results"]}
    assert ("ks", "probabilities[1]") in tested
    assert ("chi2", "support_calls") in tested
    page = (house / "page.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "monthly_charge" in page


def test_compare_without_a_shift_ends_with_0_though_asked_to_fail(house: Path) -> None:
    ended = shiftwatch(
        house, "compare", "reference.parquet", "reference.parquet", "--fail-on-alarm"
    )
    assert ended.returncode == 0
    assert "No shift" in ended.stdout


def test_compare_names_every_file_that_is_not_there(house: Path) -> None:
    ended = shiftwatch(house, "compare", "none.parquet", "gone.parquet", "--model", "no.onnx")
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert ended.stderr.splitlines() == [
        f"error: {name}: no such file or folder"
        for name in ("none.parquet", "gone.parquet", "no.onnx")
    ]


def test_compare_names_a_file_that_cannot_be_read_or_written(house: Path) -> None:
    (house / "broken.parquet").write_bytes(b"PAR1 not Parquet at all PAR1")
    read = shiftwatch(house, "compare", "broken.parquet", "batches/1.parquet")
    assert read.returncode == INTERNAL
    assert read.stderr.startswith("error: broken.parquet: cannot be read")
    files = ("reference.parquet", "batches/1.parquet")
    written = shiftwatch(house, "compare", *files, "--html", "none/page.html")
    assert written.returncode == INTERNAL
    assert written.stderr.splitlines() == [
        "error: none/page.html: cannot be written: No such file or directory"
    ]


# report ------------------------------------------------------------------------------------------


def test_report_writes_the_newest_batch_or_the_one_asked_for(
    judged: tuple[Path, Ended], tmp_path: Path
) -> None:
    folder, _ = judged
    newest = json.loads(shiftwatch(folder, "report", "shiftwatch.yml", "--format", "json").stdout)
    assert newest["state"] == "shift"
    assert newest["cost"]["last_day"]["checks"] >= 1
    page = shiftwatch(folder, "report", "shiftwatch.yml", "--batch", newest["batch"]["id"])
    assert page.returncode == 0
    assert "The 24 hours up to it: " in page.stdout
    assert page.stdout.lstrip().lower().startswith("<!doctype html>")
    target = tmp_path / "report.json"
    ended = shiftwatch(
        folder,
        *("report", "shiftwatch.yml", "--model", "churn", "--format", "json"),
        *("--output", str(target)),
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert json.loads(target.read_text(encoding="utf-8")) == newest


def _usage_fault(folder: Path, *arguments: str) -> str:
    ended = shiftwatch(folder, *arguments)
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    return ended.stderr


def test_report_names_a_batch_or_model_that_is_not_there(judged: tuple[Path, Ended]) -> None:
    folder, _ = judged
    told = _usage_fault(folder, "report", "shiftwatch.yml", "--batch", "0123456789abcdef")
    store = folder / "shiftwatch.db"
    assert told == f"error: churn: no batch 0123456789abcdef in {store}\n"
    other = shiftwatch(folder, "report", "shiftwatch.yml", "--model", "other")
    assert other.returncode == BAD_CONFIG
    assert other.stderr == "choose one model with --model: churn\n"
    output = shiftwatch(folder, "report", "shiftwatch.yml", "--output", "none/page.html")
    assert output.returncode == INTERNAL
    assert output.stderr.startswith("error: none/page.html: cannot be written")


def test_report_without_a_history_says_so(house: Path) -> None:
    ended = shiftwatch(house, "report", "shiftwatch.yml")
    assert ended.returncode == INTERNAL
    assert ended.stderr.startswith("error: ")
    assert "shiftwatch.db" in ended.stderr
    assert not (house / "shiftwatch.db").exists()


# the rest ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mmd", "maximum mean discrepancy"),
        ("shiftwatch_drift_alarm", "1 while a shift alarm is on"),
        ("window.max_rows", "a seeded sample is tested"),
        ("no_nulls", "neither side has a null"),
        ("extra_column", "a column of the batch is not in the reference"),
        ("insufficient_data", "too few rows"),
    ],
)
def test_explain_says_what_a_name_means(tmp_path: Path, name: str, told: str) -> None:
    ended = shiftwatch(tmp_path, "explain", name)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{name}: ")
    assert told in ended.stdout


def test_explain_suggests_names_near_an_unknown_one(tmp_path: Path) -> None:
    told = _usage_fault(tmp_path, "explain", "no_null")
    assert told.startswith("error: nothing is called 'no_null'; try one of: no_nulls")


def test_the_version_is_a_verb_and_an_option(tmp_path: Path) -> None:
    for argument in ("version", "--version"):
        ended = shiftwatch(tmp_path, argument)
        assert (ended.returncode, ended.stdout) == (0, f"{__version__}\n")


VERBS = (
    "run",
    "once",
    "check",
    "compare",
    "report",
    "verify",
    "accept",
    "explain",
    "schema",
    "demo",
    "version",
)


def test_help_lists_every_verb_and_each_has_its_own(tmp_path: Path) -> None:
    ended = shiftwatch(tmp_path, "--help")
    assert ended.returncode == 0
    words = ended.stdout.split()
    assert [verb for verb in VERBS if verb not in words] == []
    for verb in VERBS:
        told = CliRunner().invoke(app, [verb, "--help"])
        assert told.exit_code == 0
        assert "Usage:" in told.output


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "ks"], ["schema"], ["--version"]])
def test_answers_that_need_no_data_load_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "shiftwatch", *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}
    assert "shiftwatch" in loaded
    heavy = {"numpy", "scipy", "pyarrow", "onnxruntime", "sklearn", "pandas"}
    assert loaded & (heavy | {"fastapi", "uvicorn", "yaml", "apscheduler", "sqlite3"}) == set()


USAGE_FAULTS: list[list[str]] = [
    ["nothing"],
    ["--nothing"],
    ["run"],
    ["run", "a.yml", "b.yml"],
    ["once", "shiftwatch.yml", "--yaml"],
    ["compare", "reference.parquet"],
    ["report", "shiftwatch.yml", "--format", "pdf"],
    ["explain"],
    ["demo", "--batches", "0"],
    ["demo", "--batches", "many"],
    ["demo", "--pace", "-1"],
]


@pytest.mark.parametrize("arguments", USAGE_FAULTS, ids=" ".join)
def test_a_call_that_makes_no_sense_ends_with_2_and_says_why(arguments: list[str]) -> None:
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, ended.stdout) == (USAGE, "")
    assert "Usage:" in ended.stderr


def test_the_program_ends_with_2_on_a_call_that_makes_no_sense(tmp_path: Path) -> None:
    for arguments in (["nothing"], [], ["demo", "--batches", "0"]):
        ended = shiftwatch(tmp_path, *arguments)
        assert ended.returncode == USAGE
        assert "Usage:" in ended.stderr + ended.stdout


def test_a_bug_of_ours_is_told_from_the_answer_shift(tmp_path: Path) -> None:
    """Python ends with 1 after an error nobody expected, and 1 means "shift" here."""
    script = (
        "import sys, shiftwatch.contrast, shiftwatch.cli\n"
        "shiftwatch.contrast.compare_files = lambda *_, **__: 1 / 0\n"
        "sys.argv = ['shiftwatch', 'compare', '.', '.', '--fail-on-alarm']\n"
        "shiftwatch.cli.main()\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == INTERNAL
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
