"""Who may ask: bearer tokens, known by their hashes, from a file that may change at any time.

In:    the path of a file with a line for each token; a token somebody shows.
Out:   who shows it, or nobody; a new token with its line.
Never: keeps or logs a token; lets anybody in by a file that cannot be read.

A token holds 256 random bits, so one SHA-256 of it needs no salt and no slow hash: there is nothing
to guess (NIST SP 800-63B, 5.1.2.2 asks for salt below 112 bits). That holds for tokens made here,
which is why a file takes hashes and no words.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shiftwatch.errors import ConfigError

Role = Literal["read-only", "operator"]

ROLES: tuple[Role, ...] = ("read-only", "operator")

_PREFIX = "sw_"
"""Lets a scanner of repositories and logs know a token when it sees one."""

_BITS = 256
_MAX_BYTES = 1_000_000
_FRESH_SECONDS = 1.0
"""How long what was read is taken to be what is in the file: a token that was taken out is refused
within this time."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_LINE = "write NAME read-only|operator sha256:... as `shiftwatch token` does"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token."""

    name: str
    role: Role
    sha256: str
    """Of the token, 64 hex digits."""


def made(name: str, role: Role) -> tuple[str, str]:
    """A new token, and the line that lets it in.

    Raises
    ------
    ConfigError
        If the name is none.
    """
    token = _PREFIX + secrets.token_urlsafe(_BITS // 8)
    line = f"{name} {role} sha256:{_hashed(token)}"
    parsed(line, "the new line")
    return token, line


def parsed(text: str, where: str) -> tuple[Holder, ...]:
    """The holders of a tokens file; lines that are empty or begin with ``#`` are passed over.

    Raises
    ------
    ConfigError
        With the first line that cannot be used. A part of a file is not a file: who was meant to be
        in could be out, and the other way round.

    Examples
    --------
    >>> text = "prometheus read-only sha256:" + 64 * "0"
    >>> [(holder.name, holder.role) for holder in parsed(text, "tokens")]
    [('prometheus', 'read-only')]
    """
    holders: dict[str, Holder] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        holder = _holder(words, f"{where}:{number}")
        if holder.name in holders:
            raise ConfigError(f"{holder.name} stands here twice", where=f"{where}:{number}")
        holders[holder.name] = holder
    return tuple(holders.values())


def _holder(words: list[str], where: str) -> Holder:
    # The words are not shown: one of them may be a token that was put in by mistake.
    if len(words) != 3:
        raise ConfigError(f"has {len(words)} words", where=where, hint=_LINE)
    role = next((role for role in ROLES if role == words[1]), None)
    digest = _HASH.fullmatch(words[2])
    if _NAME.fullmatch(words[0]) is None:
        raise ConfigError("the name has other characters than A-Z a-z 0-9 . _ -", where=where)
    if role is None:
        raise ConfigError("the second word is no role", where=where, hint=_LINE)
    if digest is None:
        raise ConfigError("the third word is no SHA-256", where=where, hint=_LINE)
    return Holder(words[0], role, digest[1])


class TokenFile:
    """The holders in a file as it is now, or was up to a second ago.

    Parameters
    ----------
    path
        The file.
    clock
        Seconds that only go forward.

    Raises
    ------
    ConfigError
        If the file cannot be used: here at the start, from :meth:`holder` later.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._text: bytes | None = None
        self._holders: tuple[Holder, ...] = ()
        self._read_at = 0.0
        self._refresh()

    def holder(self, token: str) -> Holder | None:
        """Who holds this token.

        Takes as long whether it is known or not, and wherever it stands: every hash is compared, in
        constant time.
        """
        if self._clock() - self._read_at >= _FRESH_SECONDS:
            self._refresh()
        digest = _hashed(token)
        found = None
        for holder in self._holders:
            if hmac.compare_digest(digest, holder.sha256):
                found = holder
        return found

    def _refresh(self) -> None:
        """Read the file; one that cannot be used lets nobody in until it is put right."""
        self._holders, known = (), self._holders
        content = _content(self._path)
        if content == self._text:
            self._holders = known
        else:
            self._text = None  # a faulty text is a fault each time
            self._holders = parsed(_decoded(content, self._path), self._path)
            self._text = content
        self._read_at = self._clock()


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _content(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_BYTES + 1)
    except OSError as fault:
        raise ConfigError(
            f"the tokens cannot be read: {fault.strerror}", where=path, hint="see web.tokens_file"
        ) from fault
    if mode & stat.S_IWOTH:
        raise ConfigError("anyone may write to it", where=path, hint=f"chmod o-w {path}")
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"is larger than {_MAX_BYTES} bytes; is it the tokens file?", where=path)
    return content


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise ConfigError("is not UTF-8", where=path, hint=_LINE) from fault
