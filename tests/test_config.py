"""The configuration file: every fault has its line, and nothing is taken for something else."""

from __future__ import annotations

import dataclasses
import json
import pickle
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import shiftwatch.settings
from shiftwatch.config import ConfigFaultsError, Fault, effective, fault_at, fingerprint, load
from shiftwatch.config.fault import key_text
from shiftwatch.config.tree import read_tree
from shiftwatch.errors import ConfigError
from shiftwatch.settings import (
    AlarmSettings,
    ByRows,
    ByTime,
    ChiSquareSettings,
    ClassifierSettings,
    ColumnSettings,
    FalseAlarmSettings,
    FeatureSettings,
    KsSettings,
    LimitSettings,
    MmdSettings,
    ModelSettings,
    NullsSettings,
    ScheduleSettings,
    Settings,
    StoreSettings,
    TestsSettings,
    TlsSettings,
    ToleranceSettings,
    UnseenSettings,
    WebSettings,
    WindowSettings,
)

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
GOOD = Path(__file__).parent / "config" / "good"
BAD = Path(__file__).parent / "config" / "bad"
ENVIRON = {"WORD": "seven", "SEED": "7", "EMPTY": "", "STORE": "/var/lib"}
SMALLEST = {"name": "churn", "reference": "/data/reference.parquet", "batches": "/data/batches"}


def model(**given_settings: Any) -> ModelSettings:
    return ModelSettings(**{**SMALLEST, **given_settings})


def faults_of(path: Path | str, environ: dict[str, str] | None = None) -> tuple[Fault, ...]:
    with pytest.raises(ConfigFaultsError) as caught:
        load(path, environ or {})
    return caught.value.faults


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "shiftwatch.yml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Faults, by name and to the letter.


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yml")))
def test_a_bad_file_is_refused_with_exactly_the_message_written_down(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigError) as caught:
        load(f"{name}.yml", ENVIRON)
    assert f"{caught.value}\n" == (BAD / f"{name}.txt").read_text()


def test_every_bad_file_has_a_message_and_every_message_a_file() -> None:
    messages = {path.stem for path in BAD.glob("*.txt")}
    assert messages == {path.stem for path in BAD.glob("*.yml")}
    assert len(messages) > 90


def test_all_faults_come_at_once_in_the_order_of_their_lines() -> None:
    faults = faults_of(BAD / "everything-at-once.yml")
    lines = [fault.line for fault in faults]
    assert lines == sorted(lines)
    text = (BAD / "everything-at-once.yml").read_text()
    healthy = {1, 8, 10, 16, 17}  # `models:` and what is right
    assert set(lines) == set(range(1, text.count("\n") + 1)) - healthy


@pytest.mark.parametrize(
    "name", sorted({p.stem for p in BAD.glob("*.yml")} - {"everything-at-once"})
)
def test_one_fault_is_reported_as_one_fault(name: str) -> None:
    expected = 3 if name == "missing-name-reference-batches" else 1
    assert len(faults_of(BAD / f"{name}.yml", ENVIRON)) == expected


def test_faults_can_be_read_one_by_one_and_survive_pickling() -> None:
    path = BAD / "duplicate-key.yml"
    with pytest.raises(ConfigFaultsError) as caught:
        load(path, {})
    message = "is given twice, first in line 4; keep one"
    assert caught.value.faults == (Fault(str(path), 5, "models[0].batches", message),)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own bytes
    assert isinstance(again, ConfigFaultsError)
    assert (again.faults, str(again)) == (caught.value.faults, str(caught.value))


# Files that cannot be read at all.


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yml"
    message = "there is no such file; check the path"
    assert faults_of(path) == (Fault(str(path), 0, "", message),)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path)
    assert str(fault) == f"{tmp_path}: is a folder; name a YAML file in it"


def test_what_the_system_says_about_a_file_is_passed_on(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / ("x" * 300))
    said = "cannot be read (File name too long); check the path and its permissions"
    assert fault.message == said


def test_a_device_that_never_ends_is_refused_after_a_megabyte() -> None:
    (fault,) = faults_of("/dev/zero")
    assert fault.message == "is larger than 1000000 bytes; is it the configuration?"


@pytest.mark.parametrize("depth", [33, 400, 1000])
def test_nesting_without_end_is_refused(depth: int, tmp_path: Path) -> None:
    (fault,) = faults_of(written(tmp_path, "models: " + "[" * depth + "]" * depth))
    assert fault.message == "is nested too deeply; no setting needs that"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    text = yaml.safe_dump({"models": [SMALLEST]})
    settings = load(written(tmp_path, b"\xef\xbb\xbf" + text.encode()), {})
    assert settings.models == (model(),)


# Good files.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "short-forms",
            Settings(
                (
                    model(
                        columns=ColumnSettings(prediction=("score",), time="at"),
                        window=WindowSettings(by=ByRows(1000)),
                        tolerance=ToleranceSettings(default=0.05),
                        tests=TestsSettings(KsSettings(), ChiSquareSettings(), unseen=None),
                    ),
                )
            ),
        ),
        (
            "windows-of-time",
            Settings(
                (
                    model(columns=ColumnSettings(time="at"), window=WindowSettings(ByTime("1h"))),
                    model(
                        name="fraud",
                        columns=ColumnSettings(time="at"),
                        window=WindowSettings(ByTime("1.5d")),
                    ),
                )
            ),
        ),
        (
            "variables",
            Settings(
                (
                    model(
                        batches="/data/${not_replaced}",
                        categorical=("007",),
                        window=WindowSettings(max_rows=4000),
                    ),
                ),
                seed=7,
                web=WebSettings("127.0.0.1:9000"),
            ),
        ),
        (
            "anchors",
            Settings(
                tuple(
                    model(
                        name=name,
                        batches=f"/data/{name}",
                        tests=TestsSettings(KsSettings(), ChiSquareSettings()),
                    )
                    for name in ("churn", "fraud")
                )
            ),
        ),
        (
            "relative-paths",
            Settings(
                (
                    model(
                        model=str(GOOD.parent / "models" / "churn.onnx"),
                        reference=str(GOOD / "reference"),
                        batches=str(GOOD / "batches"),
                    ),
                ),
                store=StoreSettings(str(GOOD / "state" / "shiftwatch.db")),
            ),
        ),
        (
            "keys-that-yaml-would-retype",
            Settings(
                (
                    model(
                        columns=ColumnSettings(id="2024", label="no"),
                        tolerance=ToleranceSettings(
                            columns={"1": 0.1, "on": 0.2, "null": 0.3, "2026-01-01": 0.4}
                        ),
                    ),
                )
            ),
        ),
    ],
)
def test_a_good_file_means_exactly_these_settings(name: str, expected: Settings) -> None:
    environ = {"NAME": "churn", "DATA": "/data", "CODE": "007", "ROWS": "4000"}
    loaded = load(GOOD / f"{name}.yml", environ | {"SEED": "7", "PORT": "9000"})
    if name != "relative-paths":
        store = StoreSettings(str(GOOD / "shiftwatch.db"))
        expected = dataclasses.replace(expected, store=store)
    assert loaded == expected


def test_paths_do_not_depend_on_where_the_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_afar = load(CONFIG / "minimal.yml", {})
    monkeypatch.chdir(CONFIG)
    assert load("minimal.yml", {}) == from_afar
    assert from_afar.models[0].batches == str(CONFIG / "batches")
    monkeypatch.chdir(tmp_path)
    assert load(CONFIG / "minimal.yml", {}) == from_afar


@pytest.mark.parametrize("value", [{}, None, True])
@pytest.mark.parametrize("name", ["ks", "chi2", "mmd", "c2st"])
def test_a_listed_test_is_on_and_the_others_are_off(name: str, value: Any, tmp_path: Path) -> None:
    file = {"models": [{**SMALLEST, "tests": {name: value}}]}
    tests = load(written(tmp_path, yaml.safe_dump(file)), {}).models[0].tests
    on = {key for key in ("ks", "chi2", "mmd", "c2st") if getattr(tests, key) is not None}
    assert on == {name}
    assert (tests.nulls, tests.unseen) == (NullsSettings(), UnseenSettings())


# The files people start from.


def test_the_smallest_file_loads_with_every_default() -> None:
    settings = load(CONFIG / "minimal.yml", {})
    paths = {
        "reference": str(CONFIG / "reference.parquet"),
        "batches": str(CONFIG / "batches"),
        "model": str(CONFIG / "model.onnx"),
    }
    store = StoreSettings(str(CONFIG / "shiftwatch.db"))
    assert settings == Settings((model(**paths),), store=store)


def settings_classes(kind: type[Any] = Settings) -> Iterator[type[Any]]:
    yield kind
    for hint in get_type_hints(kind).values():
        for inner in (hint, *get_args(hint)):
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                yield from settings_classes(inner)


def test_the_walk_over_settings_finds_them_all() -> None:
    module = vars(shiftwatch.settings).values()
    classes = {kind for kind in module if isinstance(kind, type) and dataclasses.is_dataclass(kind)}
    assert set(settings_classes()) == classes


def test_the_example_mentions_every_setting() -> None:
    text = (CONFIG / "example.yml").read_text()
    names = {field.name for kind in settings_classes() for field in dataclasses.fields(kind)}
    assert [name for name in sorted(names) if f"{name}:" not in text] == []


def test_the_example_explains_every_key_it_gives() -> None:
    content = (CONFIG / "example.yml").read_bytes()
    lines = content.decode().splitlines()
    tree = read_tree(content, "example.yml", {})
    bare = {"name", "reference"}
    silent = [
        key_text(path)
        for path, line in tree.lines.items()
        if "# " not in lines[line - 1] and path[-1] not in bare and isinstance(path[-1], str)
    ]
    assert silent == []


def test_what_the_example_calls_a_default_is_one() -> None:
    content = (CONFIG / "example.yml").read_bytes()
    lines = content.decode().splitlines()
    tree = read_tree(content, "example.yml", {})
    given_values = effective(load(CONFIG / "example.yml", {}))
    defaults = effective(Settings((model(),)))
    defaults["store"]["path"] = str(CONFIG / "shiftwatch.db")
    claims = [path for path, line in tree.lines.items() if "# (default)" in lines[line - 1]]
    assert len(claims) > 35
    wrong = [
        key_text(path)
        for path in claims
        if value_at(given_values, path) != value_at(defaults, path)
    ]
    assert wrong == []


def value_at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


# Round trip.

WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
).filter(lambda text: "://" not in text)
PATHS = st.lists(st.text(string.ascii_letters + " $#:-_", min_size=1, max_size=6), min_size=1).map(
    lambda parts: "/" + "/".join(parts)
)
DURATIONS = st.builds(lambda n, unit: f"{n}{unit}", st.integers(1, 999), st.sampled_from("smhd"))
EFFECTS = st.floats(0, 1, exclude_max=True)
POSITIVE = st.integers(1, 10**6) | st.floats(1, 1e6)
WORD_LISTS = st.lists(WORDS, max_size=3).map(tuple)

TESTS = st.builds(
    TestsSettings,
    ks=st.none() | st.just(KsSettings()),
    chi2=st.none() | st.builds(ChiSquareSettings, st.integers(999, 10**6), st.integers(2, 99)),
    mmd=st.none()
    | st.builds(
        MmdSettings, st.integers(99, 9999), st.integers(4, 99).map(lambda n: 2 * n), st.just(100)
    ),
    c2st=st.none() | st.builds(ClassifierSettings, st.just("ridge"), st.integers(99, 9999)),
    nulls=st.just(NullsSettings()),
    unseen=st.none() | st.just(UnseenSettings()),
)
MODELS = st.builds(
    ModelSettings,
    name=st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=12),
    reference=PATHS,
    batches=PATHS,
    model=st.none() | PATHS,
    features=st.builds(FeatureSettings, WORD_LISTS, WORD_LISTS),
    columns=st.builds(
        ColumnSettings, st.none() | WORDS, WORDS, WORD_LISTS, st.none() | WORDS, st.none() | WORDS
    ),
    categorical=WORD_LISTS,
    window=st.builds(
        WindowSettings,
        st.just("file") | st.builds(ByRows, st.integers(30, 10**6)) | st.builds(ByTime, DURATIONS),
        st.integers(1, 100),
        st.integers(100, 10**6),
        DURATIONS,
    ),
    tests=TESTS,
    tolerance=st.builds(
        ToleranceSettings,
        EFFECTS,
        st.just("suppress"),
        st.dictionaries(st.sampled_from(["ks", "mmd", "unseen"]), EFFECTS),
        st.dictionaries(WORDS, EFFECTS, max_size=3),
    ),
)
SETTINGS = st.builds(
    Settings,
    models=st.lists(MODELS, min_size=1, max_size=2, unique_by=lambda one: one.name).map(tuple),
    alarms=st.builds(AlarmSettings, st.builds(FalseAlarmSettings, st.integers(2, 10**6))),
    schedule=st.just(ScheduleSettings(cron="*/5 * * * *")) | st.builds(ScheduleSettings, DURATIONS),
    store=st.builds(StoreSettings, PATHS, POSITIVE),
    web=st.sampled_from(
        [
            WebSettings(),
            WebSettings("0.0.0.0:0", allow_insecure=True),
            WebSettings("0.0.0.0:0", tokens_file="/etc/t", public=(), requests_per_second=2.5),
            WebSettings("[::]:0", tls=TlsSettings("/etc/c", "/etc/k", "/etc/ca")),
        ]
    ),
    limits=st.builds(LimitSettings, st.integers(384, 10**5), POSITIVE, st.integers(0, 10**5)),
    seed=st.integers(0, 2**128),
)


def escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [escaped(inner) for inner in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


@hypothesis.settings(max_examples=50)
@given(SETTINGS)
def test_what_is_shown_as_effective_is_json_and_loads_as_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    shown = effective(settings)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    text = yaml.safe_dump(escaped(shown))
    path = written(tmp_path_factory.getbasetemp(), text)
    assert load(path, {}) == settings


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.sampled_from(["${X}", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


def put(tree: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        if not isinstance(tree, dict | list) or step not in keys(tree):
            return  # an earlier value stands in the way
        tree = tree[step]  # type: ignore[index]  # a list has int keys only
    if isinstance(tree, dict | list) and path[-1] in keys(tree):
        tree[path[-1]] = value  # type: ignore[index]  # likewise


def keys(container: dict[str, Any] | list[Any]) -> set[Any]:
    return set(container) if isinstance(container, dict) else set(range(len(container)))


def found_faults(path: Path) -> tuple[Fault, ...]:
    try:
        load(path, {})
    except ConfigFaultsError as error:
        return error.faults or (Fault("", 0, "", "an error without a fault"),)
    return ()


@hypothesis.settings(max_examples=50)
@given(st.data())
def test_whatever_stands_at_a_key_the_answer_is_settings_or_faults_with_lines(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tree = read_tree((CONFIG / "example.yml").read_bytes(), "example.yml", {})
    for place in data.draw(st.lists(st.sampled_from(list(tree.lines)), max_size=4)):
        put(tree.value, place, data.draw(ODD))
    path = written(tmp_path_factory.getbasetemp(), yaml.safe_dump(tree.value))
    for fault in found_faults(path):
        assert fault.line > 0
        assert str(fault).encode()


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16-le")))
def test_any_bytes_are_answered_with_faults(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = written(tmp_path_factory.getbasetemp(), content)
    with pytest.raises(ConfigFaultsError):
        load(path, {})


@given(st.text("{}[]:,-&*!|>'\"%@`#? \n\tab01\\Ux$", max_size=40))
def test_any_yaml_is_answered_with_faults(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = written(tmp_path_factory.getbasetemp(), text)
    with pytest.raises(ConfigFaultsError):
        load(path, {})


# Variables.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${X}", "value"),
        ("a${X}b${X}", "avalueb" + "value"),
        ("$${X}", "${X}"),
        ("$$${X}", "$${X}"),
        ("$X", "$X"),
        ("'${N}'", "7"),
        ("${N}", 7),
        ("${N}.5", 7.5),
        ("${T}", True),
        ("${E}", ""),
        ("${E}x", "x"),
        ("${R}", "${X}"),
    ],
)
def test_variables_are_replaced_once_and_plain_values_typed_afterwards(
    text: str, expected: Any
) -> None:
    environ = {"X": "value", "N": "7", "T": "yes", "E": "", "R": "${X}"}
    tree = read_tree(f"key: {text}".encode(), "a.yml", environ)
    assert tree.value == {"key": expected}
    assert type(tree.value["key"]) is type(expected)


def test_a_variable_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    path = written(tmp_path, "seed: ${X}\n")
    faults = faults_of(path, {"X": "\udcff"})
    assert Fault(str(path), 1, "seed", "holds half a character; write valid UTF-8") in faults


# What is shown, and what names a model's settings.


def test_passwords_in_addresses_are_masked() -> None:
    columns = ColumnSettings(
        id="s3://key:secret@host/b", time="a@b", label="https://host/x", prediction=("x://y@z@h",)
    )
    shown = effective(Settings((model(columns=columns),)))["models"][0]["columns"]
    assert shown == {
        "id": "s3://***@host/b",
        "time": "a@b",
        "label": "https://host/x",
        "prediction": ["x://***@h"],
        "arrival": None,
    }


BASE = model(model="/m.onnx")


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(BASE, name="fraud"),
        dataclasses.replace(BASE, model=None),
        dataclasses.replace(BASE, categorical=("plan",)),
        dataclasses.replace(BASE, window=WindowSettings(max_rows=100)),
        dataclasses.replace(BASE, tests=TestsSettings(KsSettings())),
        dataclasses.replace(BASE, tolerance=ToleranceSettings(columns={"age": 0.1})),
    ],
)
def test_the_fingerprint_changes_with_what_can_change_a_verdict(changed: ModelSettings) -> None:
    assert fingerprint(Settings((changed,)), changed) != fingerprint(Settings((BASE,)), BASE)


def test_the_fingerprint_changes_with_promise_seed_and_limits() -> None:
    variants = [
        Settings((BASE,)),
        Settings((BASE,), seed=1),
        Settings((BASE,), alarms=AlarmSettings(FalseAlarmSettings(10))),
        Settings((BASE,), limits=LimitSettings(memory_mb=512)),
        Settings((BASE,), limits=LimitSettings(seconds=10)),
    ]
    assert len({fingerprint(settings, BASE) for settings in variants}) == len(variants)


def test_the_fingerprint_ignores_where_things_lie_and_how_they_are_shown() -> None:
    moved = model(model="/other/m.onnx", reference="/srv/r.parquet", batches="/srv/new")
    elsewhere = Settings(
        (moved, model(name="second")),
        schedule=ScheduleSettings("1h"),
        store=StoreSettings("/srv/s.db", 30),
        web=WebSettings("127.0.0.1:1"),
        limits=LimitSettings(series_per_model=3, seconds=120.0),
        alarms=AlarmSettings(FalseAlarmSettings()),
    )
    assert fingerprint(elsewhere, moved) == fingerprint(Settings((BASE,)), BASE)


def test_a_fault_found_in_use_is_told_at_the_line_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text(
        "models:\n  - name: m\n    batches: b\n    reference: gone.parquet\n", encoding="utf-8"
    )
    fault = fault_at(file, ("models", 0, "reference"), "there is no such file", environ={})
    assert str(fault) == f"{file}:4: models[0].reference: there is no such file"
