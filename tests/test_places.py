"""Addresses and settings of stores: what they name, what is refused, and what is never repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.config import effective, load
from shiftwatch.places import Place, below, is_remote, place_of
from shiftwatch.settings import (
    AbfsSettings,
    FieldError,
    GsSettings,
    LimitSettings,
    ModelSettings,
    S3Settings,
    Settings,
    StoresSettings,
)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://b/k/x.parquet", Place("s3", "b", "k/x.parquet")),
        ("s3://b/k/", Place("s3", "b", "k")),
        ("gs://b", Place("gs", "b", "")),
        ("abfs://c/k", Place("abfs", "c", "k")),
        ("abfss://c@acc.dfs.core.windows.net/k", Place("abfs", "c", "k", "acc")),
    ],
)
def test_an_address_names_a_bucket_and_what_is_in_it(uri: str, place: Place) -> None:
    assert place_of(uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        "s3://KEY:hush@b/k",
        "gs://hush@b/k",
        "abfs://c:hush@acc.dfs.core.windows.net/k",
        "abfs://a@hush@acc.dfs.core.windows.net/k",
        "https://hush/k",
        "s3:///hush",
        "s3://b/../hush",
        "s3://b//hush",
        "s3://b/hush?endpoint_override=x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(uri: str) -> None:
    near = ModelSettings("m", reference="r", batches="b")
    for field in ("model", "reference", "batches"):
        with pytest.raises(FieldError) as raised:
            replace(near, **{field: uri})  # type: ignore[arg-type] # fields by name
        assert raised.value.field == field
        assert "hush" not in str(raised.value)


@pytest.mark.parametrize("endpoint", ["https://k:hush@h", "hush", "ftp://hush", "https://h/hush"])
def test_an_endpoint_is_a_server_and_no_more(endpoint: str) -> None:
    for kind in (S3Settings, GsSettings, AbfsSettings):
        with pytest.raises(FieldError) as raised:
            kind(endpoint=endpoint)
        assert "hush" not in str(raised.value)


def test_a_token_goes_to_another_machine_only_through_tls() -> None:
    for kind in (GsSettings, AbfsSettings):
        with pytest.raises(FieldError, match="in the clear"):
            kind(endpoint="http://example.com")
        assert kind(endpoint="http://127.0.0.1:10000").endpoint == "http://127.0.0.1:10000"
    assert GsSettings(endpoint="http://example.com", anonymous=True).anonymous
    # The keys of S3 sign what is sent and are not sent themselves.
    assert S3Settings(endpoint="http://example.com").endpoint == "http://example.com"


def test_patience_must_end_before_the_limit_of_a_check_does() -> None:
    far = ModelSettings("m", reference="s3://b/r", batches="s3://b/n")
    near = ModelSettings("m", reference="r", batches="n")
    stores, limits = StoresSettings(patience="110s"), LimitSettings(seconds=120)
    with pytest.raises(FieldError, match="must end before"):
        Settings((far,), stores=stores, limits=limits)
    assert Settings((near,), stores=stores, limits=limits).stores == stores


def test_addresses_stay_as_they_are_and_local_paths_become_absolute(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text(
        "models: [{name: m, model: m.onnx, reference: s3://b/r/, batches: gs://b/n}]\n"
        "stores: {s3: {ca_file: ca.pem}}\n"
    )
    settings = load(path, {})
    (model,) = settings.models
    assert (model.reference, model.batches) == ("s3://b/r/", "gs://b/n")
    assert model.model == str(tmp_path / "m.onnx")
    assert settings.stores.s3.ca_file == str(tmp_path / "ca.pem")


def test_what_is_shown_of_the_configuration_has_no_field_for_a_credential() -> None:
    near = ModelSettings("m", reference="r", batches="n")
    shown = json.dumps(effective(Settings((near,)))["stores"]).lower()
    assert not [word for word in ("key", "secret", "token", "password", "sas") if word in shown]


@given(st.text(max_size=30))
def test_what_lies_below_a_prefix_begins_with_it_and_never_goes_up(path: str) -> None:
    try:
        found = below("s3://b/new/", path)
    except ValueError:
        return
    assert found.startswith("s3://b/new/")
    assert ".." not in found.split("/")
    assert not is_remote(found.removeprefix("s3://"))


@pytest.mark.parametrize("path", ["../x", "a/../../x", "", "/x", "s3://b/old/x", "s3://b/newer/x"])
def test_a_path_elsewhere_is_not_below_a_prefix(path: str) -> None:
    with pytest.raises(ValueError, match="outside"):
        below("s3://b/new", path)
