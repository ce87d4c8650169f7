"""Addresses of objects: what `s3://`, `gs://` and `abfs://` name, and what may not stand in them.

In:    a path or an address as text.
Out:   Place; ValueError with a text that never repeats the address, which may hold a password.
Never: reaches a store; knows credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["s3", "gs", "abfs"]

_KINDS: Mapping[str, Kind] = {"s3": "s3", "gs": "gs", "abfs": "abfs", "abfss": "abfs"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object or a prefix lies.

    Parameters
    ----------
    kind
        Which family of stores.
    bucket
        Bucket or container.
    key
        Name below it, without a slash at its end; empty: all of the bucket.
    account
        Storage account, where an ``abfs`` address names one.
    """

    kind: Kind
    bucket: str
    key: str
    account: str = ""

    @property
    def path(self) -> str:
        """Bucket and key, as file systems of pyarrow want them."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket


def is_remote(path: str) -> bool:
    """Whether a path is the address of a store.

    Examples
    --------
    >>> is_remote("s3://bucket/batches/"), is_remote("/data/batches")
    (True, False)
    """
    return "://" in path


def place_of(uri: str) -> Place:
    """Take an address apart.

    Raises
    ------
    ValueError
        If it names no such store or no bucket, holds a user name or password, or goes up.

    Examples
    --------
    >>> place_of("s3://bucket/day=3/x.parquet").path
    'bucket/day=3/x.parquet'
    >>> place_of("abfs://box@account.dfs.core.windows.net/new")
    Place(kind='abfs', bucket='box', key='new', account='account')
    """
    scheme, _, rest = uri.partition("://")
    if scheme not in _KINDS:
        message = "is no address of a known store; write s3://, gs:// or abfs://, or a local path"
        raise ValueError(message)
    kind = _KINDS[scheme]
    authority, _, key = rest.partition("/")
    bucket, account = _authority(kind, authority)
    key = key.removesuffix("/")
    if not bucket:
        raise ValueError(f"names no bucket; write {scheme}://BUCKET/NAME")
    if key and not _plain(key):
        raise ValueError("goes up or has an empty part; write the names between slashes only")
    return Place(kind, bucket, key, account)


def check_address(uri: str) -> None:
    """ValueError if an address cannot be configured; see :func:`place_of`."""
    place_of(uri)
    if "?" in uri or "#" in uri:
        raise ValueError("has a query; endpoints and regions are set below `stores:`")


def below(base: str, path: str) -> str:
    """The address of what lies at ``path`` below a prefix; ``path`` may be whole or relative.

    Raises
    ------
    ValueError
        If it lies elsewhere.

    Examples
    --------
    >>> below("s3://bucket/new/", "a/x.parquet")
    's3://bucket/new/a/x.parquet'
    """
    root = base.rstrip("/")
    relative = path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else path
    if not relative or is_remote(relative) or not _plain(relative):
        raise ValueError("lies outside the configured folder")
    return f"{root}/{relative}"


def _plain(key: str) -> bool:
    return "\0" not in key and not any(part in ("", ".", "..") for part in key.split("/"))


def _authority(kind: Kind, text: str) -> tuple[str, str]:
    """Bucket and account; only ``abfs`` has something before an ``@``, and it is no secret."""
    before, at, after = text.rpartition("@")
    if not at:
        return text, ""
    if kind != "abfs" or "@" in before or ":" in before:
        raise ValueError(
            "holds a user name or password; credentials come from the environment, a profile or "
            "the role of the machine"
        )
    return before, after.partition(".")[0]
