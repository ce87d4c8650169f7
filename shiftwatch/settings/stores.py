"""Stores of objects: endpoints, time-outs, patience.

In:    plain values.
Out:   StoresSettings and its parts.
Never: holds a credential.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shiftwatch.settings.fields import (
    FieldError,
    check_duration,
    duration_seconds,
    is_loopback,
)


def _check_endpoint(endpoint: str | None, *, carries_token: bool = False) -> None:
    """Refuse what is no server's address; the text never repeats it, as it may hold a password."""
    if endpoint is None:
        return
    try:
        parts = urlsplit(endpoint)
        plain = parts.scheme in ("http", "https") and parts.port != 0 and bool(parts.hostname)
    except ValueError:
        plain = False
    if not plain or parts.username is not None or (parts.path, parts.query) not in _BARE:
        message = "is no address of a server; write http://HOST:PORT or https://HOST, no more"
        raise FieldError("endpoint", message)
    if carries_token and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise FieldError("endpoint", "would carry a token in the clear; write https://")


_BARE = (("", ""), ("/", ""))


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where ``s3://`` leads. Credentials come from the environment, a profile, or the machine."""

    endpoint: str | None = None
    """Another server than Amazon's that speaks S3, ``https://HOST:PORT``; by default that of
    ``AWS_ENDPOINT_URL``."""
    region: str | None = None
    """Region; by default that of the environment, the profile, or the bucket."""
    anonymous: bool = False
    """Look for no credentials: public buckets only."""
    virtual_hosts: bool = False
    """Whether an own endpoint wants the bucket in its host name."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's, PEM."""

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint)


@dataclass(frozen=True, slots=True)
class GsSettings:
    """Where ``gs://`` leads. Credentials are Google's application default credentials."""

    endpoint: str | None = None
    """Another server than Google's."""
    anonymous: bool = False
    """Look for no credentials: public buckets only."""

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint, carries_token=not self.anonymous)


@dataclass(frozen=True, slots=True)
class AbfsSettings:
    """Where ``abfs://`` leads.

    Credentials: ``AZURE_STORAGE_KEY``, ``AZURE_STORAGE_SAS_TOKEN``, else Azure's default chain.
    """

    account: str | None = None
    """Storage account, where the address names none; by default ``AZURE_STORAGE_ACCOUNT``."""
    endpoint: str | None = None
    """Another server than Azure's."""

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint, carries_token=True)


@dataclass(frozen=True, slots=True)
class StoresSettings:
    """Stores of objects, and how patient to be with them."""

    timeout: str = "10s"
    """A connection that takes longer, or a server that is silent for longer, is tried again."""
    patience: str = "30s"
    """How long, with growing and random pauses; then everything waits for the next look."""
    s3: S3Settings = field(default_factory=S3Settings)
    gs: GsSettings = field(default_factory=GsSettings)
    abfs: AbfsSettings = field(default_factory=AbfsSettings)

    def __post_init__(self) -> None:
        check_duration("timeout", self.timeout)
        check_duration("patience", self.patience)

    @property
    def timeout_seconds(self) -> float:
        """Seconds of silence."""
        return duration_seconds(self.timeout)

    @property
    def patience_seconds(self) -> float:
        """Seconds of trying."""
        return duration_seconds(self.patience)
