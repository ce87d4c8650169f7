"""Where the daemon listens, and whom it answers.

In:    plain values.
Out:   WebSettings, TlsSettings.
Never: reads a certificate or a token.
"""

from __future__ import annotations

from dataclasses import dataclass

from shiftwatch.settings.fields import (
    FieldError,
    check_at_least,
    is_loopback,
)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The certificate the port shows, and whose certificates it asks for; PEM files."""

    cert: str
    """The certificate, followed by those between it and a known authority."""
    key: str
    """Its private key, without a password."""
    client_ca: str | None = None
    """Authorities of client certificates: whoever shows none of theirs is not answered at all."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the daemon listens, and whom it answers."""

    listen: str = "127.0.0.1:9464"
    """HOST:PORT; other than loopback needs tokens, client certificates or ``allow_insecure``."""
    tls: TlsSettings | None = None
    """Certificate and key; null: plain HTTP."""
    tokens_file: str | None = None
    """Hashes of the tokens that are let in, as ``shiftwatch token`` writes them."""
    allow_insecure: bool = False
    """Whether to listen on an address that others can reach, without tokens or client certificates."""
    public: tuple[str, ...] = ("/metrics", "/healthz", "/readyz")
    """Paths that may be read without a token. ``/events/MODEL`` named here takes events without one,
    since KServe's logger can show none; else they need an operator's."""
    requests_per_second: float = 50
    """Of one client address, in the long run; four times as many at once. Health and this machine
    itself are not counted."""

    def __post_init__(self) -> None:
        check_at_least("requests_per_second", self.requests_per_second, 0.1)
        for path in self.public:
            if not path.startswith("/"):
                raise FieldError("public", f"{path!r} is no path; write for example /metrics")
        host, separator, port = self.listen.rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() else -1
        if not separator or not host or not 0 <= number <= 65535:
            raise FieldError("listen", f"{self.listen!r} is no address; write HOST:PORT")
        if not self.is_guarded and not self.allow_insecure and not self.is_local:
            raise FieldError(
                "listen",
                f"{self.listen} can be reached from outside without tokens or client certificates; "
                "listen on 127.0.0.1, name a tokens_file or tls.client_ca, or write "
                "allow_insecure: true if the network is yours",
            )

    @property
    def is_guarded(self) -> bool:
        """Whether a stranger is not let in."""
        return self.tokens_file is not None or (
            self.tls is not None and self.tls.client_ca is not None
        )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the address."""
        return is_loopback(self.listen.rpartition(":")[0])

    @property
    def host(self) -> str:
        """Address to bind."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port to bind; 0 asks the system for a free one."""
        return int(self.listen.rpartition(":")[2])
