"""Stores of objects: the file systems of pyarrow, and how long to put up with them.

In:    StoresSettings, places.
Out:   file systems; answers, or OSError, RefusedError and AwayError in words of our own.
Never: repeats what a store or its library said, which may hold a key or a signed address; takes
       credentials from anywhere but the platform (environment, profile, role of the machine).

What goes wrong is one of three: an object is not there, access is refused, or anything else, which
may pass. Only the last is tried again, with pauses that grow and are random, so that many watchers
of one store do not come back at the same moment. The patience for it is shared by everything that
one request to the worker asks of the stores.

pyarrow 26 documents ``request_timeout`` of S3 as without effect on Linux. It has one: a server that
falls silent is given up after it, and half as long again (measured: 3 s at 2 s).
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from secrets import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa

from shiftwatch.errors import AwayError, DataError, RefusedError
from shiftwatch.places import Place, place_of
from shiftwatch.settings import AbfsSettings, GsSettings, S3Settings, StoresSettings

if TYPE_CHECKING:
    from pyarrow import fs

_Answer = TypeVar("_Answer")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_ATTEMPTS = 1
"""Of the library's own within one of ours, so that one patience holds for all."""

_REFUSED = re.compile(
    r"ACCESS_?DENIED|INVALID_(?:ACCESS_KEY_ID|CLIENT_TOKEN_ID|SIGNATURE|TOKEN|ACTION|QUERY_PARAMETER)"
    r"|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|MISSING_AUTHENTICATION_TOKEN|EXPIRED_?TOKEN"
    r"|REQUEST_TIME_TOO_SKEWED|NOT_INITIALIZED|PERMISSION_DENIED|UNAUTHENTICATED"
    r"|Authenti\w+Fail\w*|Authorization\w*(?:Failure|Mismatch)|Invalid\w+Token"
    r"|HTTP status (?:400|401|403|405)|\b(?:401|403)\b",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"NO_SUCH_(?:KEY|BUCKET)|RESOURCE_NOT_FOUND|PATH_NOT_FOUND|BlobNotFound|ContainerNotFound"
    r"|HTTP status 404|\bNOT_FOUND\b|No such file or directory"
)
_UNTRUSTED = re.compile(r"curlCode: (?:51|58|60|77)\b")
_NAMED = re.compile(r"AWS Error ([A-Z_]{3,40})|HTTP status (\d{3})|Status\(([A-Z_]{3,40})")
"""Names of faults in what libraries say: the only part of it that is repeated."""

_WHERE_CREDENTIALS = {
    "s3": "the AWS_ variables of the environment, a profile, or the role of the machine",
    "gs": "Google's application default credentials",
    "abfs": "the AZURE_ variables of the environment, or the identity of the machine",
}


@dataclass(slots=True)
class _Reach:
    """What this process knows of stores."""

    settings: StoresSettings = field(default_factory=StoresSettings)
    folder: Path | None = None
    open: dict[tuple[str, str], fs.FileSystem] = field(default_factory=dict)
    patience_left: float = 30.0


_reach = _Reach()
_random = SystemRandom()


def reach(settings: StoresSettings, folder: str) -> None:
    """Use these stores from now on; files that must lie on a disk are kept below ``folder``."""
    global _reach  # noqa: PLW0603 - one set of stores a process, as one environment
    _reach = _Reach(settings, Path(folder) if folder else None)
    begin()


def begin() -> None:
    """A new request: its patience is whole again."""
    _reach.patience_left = _reach.settings.patience_seconds


def folder() -> Path | None:
    """Where files may be kept between two lives of the worker; None: nowhere."""
    return _reach.folder


def at(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of an address, and the path in it.

    Raises
    ------
    DataError
        If the address or the settings of its store cannot be used.
    """
    try:
        place = place_of(uri)
    except ValueError as fault:
        raise DataError(str(fault), where=uri) from None
    key = (place.kind, place.account if place.kind == "abfs" else place.bucket)
    if key not in _reach.open:
        _reach.open[key] = patiently(uri, lambda: _connected(place))
    return _reach.open[key], place.path


def patiently(uri: str, act: Callable[[], _Answer]) -> _Answer:
    """Do something with a store, again and again where the fault may pass.

    Parameters
    ----------
    uri
        What it is about, for messages.
    act
        May be called more than once.

    Raises
    ------
    FileNotFoundError
        If the store says that there is no such thing.
    RefusedError
        If it refuses access, or its certificate is not trusted.
    AwayError
        If the patience for this request has run out.
    """
    pause = _FIRST_PAUSE
    while True:
        start = time.monotonic()
        try:
            return act()
        except (OSError, pa.ArrowException) as fault:
            told = _told(uri, fault)
            if told is not None:
                raise told from None
            wait = _random.uniform(pause / 2, pause)
            _reach.patience_left -= time.monotonic() - start + wait
            if _reach.patience_left <= 0:
                raise _away(uri, fault) from None
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _told(uri: str, fault: BaseException) -> OSError | RefusedError | None:
    """The fault as one that stays; None for one that may pass."""
    if isinstance(fault, FileNotFoundError) or _GONE.search(str(fault)):
        return FileNotFoundError(errno.ENOENT, "no such object", uri)
    if _UNTRUSTED.search(str(fault)):
        hint = "certificates to trust: `stores.s3.ca_file`"
        return RefusedError("the certificate of the store is not trusted", where=uri, hint=hint)
    if isinstance(fault, PermissionError) or _REFUSED.search(str(fault)):
        hint = f"credentials are {_WHERE_CREDENTIALS[place_of(uri).kind]}"
        return RefusedError(f"access refused{_named(fault)}", where=uri, hint=hint)
    if isinstance(fault, pa.ArrowInvalid):
        return OSError(errno.EINVAL, "the store's library cannot use this address", uri)
    return None


def _away(uri: str, fault: BaseException) -> AwayError:
    return AwayError(
        f"the store does not answer{_named(fault)}",
        where=uri,
        hint="nothing is lost: it is asked again at the next look; see `stores:`",
    )


def _named(fault: BaseException) -> str:
    found = _NAMED.search(str(fault))
    name = next((group for group in found.groups() if group), "") if found else ""
    return f" ({name.replace('_', ' ').lower()})" if name else ""


# Connections ------------------------------------------------------------------------------------


def _connected(place: Place) -> fs.FileSystem:
    settings = _reach.settings
    if place.kind == "s3":
        return _s3(place, settings, settings.s3)
    if place.kind == "gs":
        return _gs(settings, settings.gs)
    return _abfs(place, settings.abfs)


def _split(endpoint: str | None) -> tuple[str, str | None]:
    """Scheme and ``HOST:PORT`` of an endpoint."""
    parts = urlsplit(endpoint or "https://")
    return parts.scheme, parts.netloc or None


def _s3(place: Place, settings: StoresSettings, own: S3Settings) -> fs.FileSystem:
    from pyarrow import fs  # noqa: PLC0415 - its libraries take 60 ms and a few threads

    # pyarrow would take it from the environment too, but asks BUCKET.HOST there.
    said = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    own = replace(own, endpoint=own.endpoint or next((url for url in said if url), None))
    scheme, endpoint = _split(own.endpoint)
    options: dict[str, Any] = {
        "anonymous": own.anonymous,
        "region": own.region or _region(place.bucket, own),
        "scheme": scheme,
        "endpoint_override": endpoint,
        "connect_timeout": settings.timeout_seconds,
        "request_timeout": settings.timeout_seconds,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        "force_virtual_addressing": own.virtual_hosts,
    }
    if own.ca_file is not None:
        options["tls_ca_file_path"] = own.ca_file
    return fs.S3FileSystem(**options)


def _region(bucket: str, own: S3Settings) -> str | None:
    """The bucket's own region where nobody says another; None leaves it to Amazon's library."""
    from pyarrow import fs  # noqa: PLC0415

    said = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE")
    if own.endpoint is not None or any(os.environ.get(name) for name in said):
        return None
    try:
        return str(fs.resolve_s3_region(bucket))
    except (OSError, pa.ArrowException):
        return None


def _gs(settings: StoresSettings, own: GsSettings) -> fs.FileSystem:
    from pyarrow import fs  # noqa: PLC0415

    scheme, endpoint = _split(own.endpoint)
    return fs.GcsFileSystem(
        anonymous=own.anonymous,
        scheme=scheme,
        endpoint_override=endpoint,
        retry_time_limit=timedelta(seconds=max(1.0, settings.timeout_seconds)),
    )


def _abfs(place: Place, own: AbfsSettings) -> fs.FileSystem:
    from pyarrow import fs  # noqa: PLC0415

    account = place.account or own.account or os.environ.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise DataError(
            "names no storage account",
            where=f"abfs://{place.path}",
            hint="write abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/NAME, or stores.abfs.account",
        )
    options: dict[str, Any] = {}
    if own.endpoint is not None:
        scheme, authority = _split(own.endpoint)
        for service in ("blob", "dfs"):
            options[f"{service}_storage_authority"] = authority
            options[f"{service}_storage_scheme"] = scheme
    key, token = (os.environ.get(f"AZURE_STORAGE_{name}") for name in ("KEY", "SAS_TOKEN"))
    if key:
        options["account_key"] = key
    elif token:
        options["sas_token"] = token
    return fs.AzureFileSystem(account, **options)
