"""What stores say when something goes wrong, and how long they are asked again; no server needed."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from shiftwatch.errors import AwayError, DataError, RefusedError
from shiftwatch.settings import StoresSettings
from shiftwatch.source import stores

URI = "s3://bucket/x.parquet"

# As pyarrow 26 words them, seen with Swift, an emulator of Azure and one of Google; hush is what
# must not be repeated.
GONE = [
    FileNotFoundError(2, "Path does not exist 'bucket/hush'"),
    OSError("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: hush"),
    OSError("No such file or directory 'bucket/hush'"),
]
REFUSED = [
    OSError("key 'hush': AWS Error ACCESS_DENIED during HeadObject operation: No response body."),
    OSError("AWS Error SIGNATURE_DOES_NOT_MATCH during ListObjectsV2 operation: hush"),
    OSError("AWS Error UNKNOWN (HTTP status 400) during HeadBucket operation: ExpiredToken hush"),
    OSError("google::cloud::Status(PERMISSION_DENIED: hush)"),
    OSError("https://acc.blob.core.windows.net/c?sig=hush failed: AuthenticationFailed 403"),
    OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 60, hush"),
]
PASSING = [
    OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 28, hush"),
    OSError("AWS Error SLOW_DOWN during GetObject operation: hush"),
    OSError("AWS Error UNKNOWN (HTTP status 503) during GetObject operation: hush"),
    OSError("google::cloud::Status(UNAVAILABLE: hush)"),
    OSError("https://acc.blob.core.windows.net/c?sig=hush failed: ServerBusy"),
    ConnectionResetError(104, "hush"),
]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Pauses, which take no time here."""
    pauses: list[float] = []
    monkeypatch.setattr("shiftwatch.source.stores.time.sleep", pauses.append)
    stores.reach(StoresSettings(patience="30s"), "")
    yield pauses
    stores.reach(StoresSettings(), "")


def _failing(fault: Exception) -> tuple[list[int], type[Exception], str]:
    asked: list[int] = []

    def act() -> str:
        asked.append(1)
        raise fault

    with pytest.raises((DataError, OSError)) as raised:
        stores.patiently(URI, act)
    return asked, type(raised.value), str(raised.value)


@pytest.mark.parametrize("fault", [*GONE, *REFUSED], ids=str)
def test_what_stays_is_asked_once_and_named_in_our_own_words(
    fault: OSError, slept: list[float]
) -> None:
    asked, kind, text = _failing(fault)
    assert kind is (FileNotFoundError if fault in GONE else RefusedError)
    assert (len(asked), slept) == (1, [])
    assert "hush" not in text


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_may_pass_is_asked_again_until_patience_runs_out(
    fault: OSError, slept: list[float]
) -> None:
    asked, kind, text = _failing(fault)
    assert kind is AwayError
    assert len(asked) > 5
    assert "hush" not in text
    assert sum(slept) <= 30


def test_pauses_grow_and_are_random_and_a_request_shares_one_patience(slept: list[float]) -> None:
    _failing(PASSING[0])
    first, slept[:] = list(slept), []
    _failing(PASSING[0])
    assert slept == []  # the patience of this request has run out
    stores.begin()
    _failing(PASSING[0])
    assert first[:3] != slept[:3]
    for pauses in (first, slept):
        for number, pause in enumerate(pauses):
            longest = min(0.2 * 2**number, 5.0)
            assert longest / 2 <= pause <= longest


def test_what_comes_back_in_time_is_answered(slept: list[float]) -> None:
    asked: list[int] = []

    def act() -> str:
        asked.append(1)
        if len(asked) < 4:
            raise PASSING[1]
        return "there"

    assert stores.patiently(URI, act) == "there"
    assert len(slept) == 3


def test_an_address_the_library_cannot_use_is_a_fault_of_its_own(slept: list[float]) -> None:
    asked, kind, text = _failing(pa.ArrowInvalid("hush"))
    assert (len(asked), kind, slept) == (1, OSError, [])
    assert "hush" not in text
