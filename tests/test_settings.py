"""Settings: the documented defaults, and a field and a sentence for each value that cannot be."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from shiftwatch import settings as s
from shiftwatch.settings import FieldError


def _model(**changes: object) -> s.ModelSettings:
    return s.ModelSettings(
        **{"name": "m", "reference": "r.parquet", "batches": "new", **changes}  # type: ignore[arg-type] # fields by name
    )


def test_the_defaults_of_a_model_are_the_documented_ones() -> None:
    model = _model()
    assert model.model is None
    assert (model.features.include, model.features.exclude) == ((), ())
    assert model.columns == s.ColumnSettings(id=None, time=None, prediction=(), label=None)
    assert model.categorical == ()
    assert (model.window.by, model.window.min_rows, model.window.max_rows) == ("file", 30, 50_000)
    assert model.season is None
    assert (model.tolerance.default, model.tolerance.mode) == (0.02, "suppress")
    tests = {each.name: getattr(model.tests, each.name) for each in fields(model.tests)}
    assert set(tests) == {"ks", "chi2", "mmd", "c2st", "nulls", "unseen", "distinct"}
    assert None not in tests.values()


def test_the_other_defaults_are_the_documented_ones() -> None:
    settings = s.Settings((_model(),))
    assert settings.alarms.false_alarms == s.FalseAlarmSettings(per_checks=1000, per_days=None)
    assert settings.alarms.per_checks == 1000
    assert s.AlarmSettings(s.FalseAlarmSettings()).per_checks == 1000
    assert settings.alarms.memory == "cusum"
    assert settings.schedule.every_seconds == 300.0
    assert (settings.store.path, settings.store.keep_days) == ("shiftwatch.db", 400)
    assert settings.web == s.WebSettings(
        listen="127.0.0.1:9464",
        tls=None,
        tokens_file=None,
        allow_insecure=False,
        public=("/metrics", "/healthz", "/readyz"),
        requests_per_second=50,
    )
    assert settings.limits == s.LimitSettings(memory_mb=1024, seconds=120, series_per_model=100)
    assert settings.seed == 0


def test_a_test_left_out_is_off_but_for_those_on_the_quality_of_data() -> None:
    tests = s.TestsSettings(ks=s.KsSettings())
    assert (tests.chi2, tests.mmd, tests.c2st) == (None, None, None)
    assert (tests.nulls, tests.unseen) == (s.NullsSettings(), s.UnseenSettings())


Made = Callable[[], object]

FAULTS: list[tuple[Made, str, str]] = [
    (lambda: s.ChiSquareSettings(max_draws=998), "max_draws", "998 is too small; write 999"),
    (lambda: s.ChiSquareSettings(buckets=1), "buckets", "1 is too small; write 2 or more"),
    (lambda: s.ChiSquareSettings(max_categories=1), "max_categories", "1 is too small"),
    (lambda: s.MmdSettings(permutations=98), "permutations", "98 is too small; write 99"),
    (lambda: s.MmdSettings(features=6), "features", "6 is too small; write 8 or more"),
    (lambda: s.MmdSettings(features=9), "features", "9 is odd; write an even number"),
    (lambda: s.MmdSettings(max_rows=99), "max_rows", "99 is too small; write 100 or more"),
    (lambda: s.ClassifierSettings(permutations=1), "permutations", "1 is too small"),
    (lambda: s.ClassifierSettings(max_rows=99), "max_rows", "99 is too small"),
    (lambda: s.WebSettings(public=("metrics",)), "public", "'metrics' is no path; write"),
    (lambda: s.WebSettings(requests_per_second=0), "requests_per_second", "0 is too small"),
    (lambda: s.ByRows(29), "rows", "29 is too small; write 30 or more"),
    (lambda: s.ByTime("1"), "time", "'1' is not a duration; write for example 30s, 5m, 1h or 7d"),
    (lambda: s.WindowSettings(min_rows=0), "min_rows", "0 is too small; write 1 or more"),
    (lambda: s.WindowSettings(max_rows=29), "max_rows", "29 is too small; write 30 or more"),
    (lambda: s.WindowSettings(grace="soon"), "grace", "'soon' is not a duration"),
    (lambda: s.ToleranceSettings(default=1.0), "default", "1.0 is no effect size; write 0 to 1"),
    (lambda: s.ToleranceSettings(default=-0.1), "default", "-0.1 is no effect size"),
    (lambda: s.ToleranceSettings(default=math.nan), "default", "nan is no effect size"),
    (lambda: _model(name="Churn"), "name", "'Churn' has other characters than a-z 0-9 _ -"),
    (lambda: _model(name=""), "name", "'' has other characters"),
    (lambda: _model(name="a\n"), "name", "'a\\n' has other characters"),
    (
        lambda: _model(window=s.WindowSettings(by=s.ByTime("1h"))),
        "window",
        "time windows need `columns: {time: NAME}`",
    ),
    (lambda: _model(season="week"), "season", "a season needs `columns: {time: NAME}`"),
    (lambda: s.FalseAlarmSettings(per_checks=1), "per_checks", "1 is too small; write 2 or more"),
    (lambda: s.ScheduleSettings("5m", "* * * * *"), "cron", "write either every or cron"),
    (lambda: s.ScheduleSettings("0m"), "every", "'0m' is not a duration"),
    (lambda: s.ScheduleSettings("99999d"), "every", "'99999d' is more than ten years"),
    (lambda: s.StoreSettings(keep_days=0.5), "keep_days", "0.5 is too small; write 1 or more"),
    (lambda: s.StoreSettings(keep_days=math.nan), "keep_days", "nan is too small"),
    (lambda: s.LimitSettings(memory_mb=383), "memory_mb", "383 is too small; write 384 or more"),
    (lambda: s.LimitSettings(memory_mb=10**13), "memory_mb", "10000000000000 is too large"),
    (lambda: s.LimitSettings(seconds=0.9), "seconds", "0.9 is too small; write 1 or more"),
    (lambda: s.LimitSettings(seconds=math.inf), "seconds", "inf is too large; write 1000000 or"),
    (lambda: s.LimitSettings(series_per_model=-1), "series_per_model", "-1 is too small"),
    (lambda: s.Settings(()), "models", "no model is listed; write at least one"),
    (
        lambda: s.Settings((_model(), _model())),
        "models",
        "the name 'm' is used twice; names are labels",
    ),
]


@pytest.mark.parametrize(("made", "field", "message"), FAULTS, ids=[f[2] for f in FAULTS])
def test_a_value_that_cannot_be_is_refused_by_field_and_message(
    made: Made, field: str, message: str
) -> None:
    with pytest.raises(FieldError) as raised:
        made()
    assert raised.value.field == field
    assert raised.value.message.startswith(message)
    assert str(raised.value) == raised.value.message


NO_ADDRESSES = ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536"]
NO_ADDRESSES += ["[::1]:²", "127.0.0.1:-1", "127.0.0.1:1.5"]


@pytest.mark.parametrize("listen", NO_ADDRESSES)
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(FieldError) as raised:
        s.WebSettings(listen=listen)
    assert raised.value.message == f"{listen!r} is no address; write HOST:PORT"


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464),
        ("127.8.9.10:0", "127.8.9.10", 0),
        ("localhost:65535", "localhost", 65535),
        ("[::1]:80", "::1", 80),
    ],
)
def test_loopback_addresses_need_no_leave(listen: str, host: str, port: int) -> None:
    web = s.WebSettings(listen=listen)
    assert (web.host, web.port) == (host, port)


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:80",
        "[::]:80",
        "10.0.0.1:80",
        "example.org:80",
        "127.evil.example:80",
        "::ffff:1:80",
    ],
)
def test_an_address_that_others_can_reach_needs_leave(listen: str) -> None:
    with pytest.raises(FieldError) as raised:
        s.WebSettings(listen=listen)
    assert raised.value.field == "listen"
    assert "write allow_insecure: true" in raised.value.message
    assert s.WebSettings(listen=listen, allow_insecure=True).port == 80


@pytest.mark.parametrize(
    ("guard", "enough"),
    [
        ({"tokens_file": "tokens"}, True),
        ({"tls": s.TlsSettings("web.pem", "web.key", "ca.pem")}, True),
        ({"tls": s.TlsSettings("web.pem", "web.key")}, False),
        ({"public": ()}, False),
    ],
)
def test_tokens_or_client_certificates_are_leave_enough_and_a_server_certificate_is_not(
    guard: dict[str, Any], enough: bool
) -> None:
    if enough:
        assert s.WebSettings(listen="0.0.0.0:80", **guard).is_guarded
        return
    with pytest.raises(FieldError) as raised:
        s.WebSettings(listen="0.0.0.0:80", **guard)
    assert raised.value.field == "listen"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), ("7d", 604800.0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert s.duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5M", "1h30m", "0s", "0.0d", "5m\n"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example"):
        s.duration_seconds(text)


def test_time_from_the_settings_is_in_seconds() -> None:
    assert s.ByTime("1h").seconds == 3600.0
    assert s.WindowSettings().grace_seconds == 300.0
    assert s.ScheduleSettings(cron="*/5 * * * *").every_seconds is None


def test_settings_travel_to_the_worker() -> None:
    settings = s.Settings((_model(window=s.WindowSettings(by=s.ByRows(50))),))
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes


def test_every_class_of_the_settings_is_frozen() -> None:
    kinds = [kind for kind in vars(s).values() if isinstance(kind, type) and is_dataclass(kind)]
    assert len(kinds) > 15
    for kind in kinds:
        assert kind.__dataclass_params__.frozen, kind.__name__  # type: ignore[attr-defined] # of every dataclass
