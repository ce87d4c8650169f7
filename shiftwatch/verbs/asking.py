"""The running daemon, asked by a verb: it holds the history, so it alone can write to it.

In:    settings, the token of an operator from the environment.
Out:   its answers.
Never: asks another daemon than the one of this history; goes where it is sent on to.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from shiftwatch.errors import DataError, ShiftwatchError, StoreInUseError
from shiftwatch.settings import Settings, TlsSettings

TOKEN_VARIABLE = "SHIFTWATCH_TOKEN"  # noqa: S105 - its name
"""Environment variable with the token of an operator; an argument would be seen by others."""

_WAIT_SECONDS = 3600.0
"""For a daemon that has a batch at hand and a reference to prepare."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon that holds a history."""

    url: str
    _opener: urllib.request.OpenerDirector

    @classmethod
    def of(cls, settings: Settings, url: str | None, fault: StoreInUseError) -> Self:
        """The one that holds the history of these settings.

        Parameters
        ----------
        settings
            The configuration.
        url
            Where it answers; by the configuration if None.
        fault
            Why it has to be asked.

        Raises
        ------
        ShiftwatchError
            If it does not answer, or keeps another history.
        """
        found = address_of(settings, url, fault)
        daemon = cls(found, _opener(settings.web.tls, found))
        there = daemon.ask("GET", "/config").get("store", {}).get("path")
        if there is None or os.path.realpath(there) != os.path.realpath(settings.store.path):
            raise ShiftwatchError(
                f"the daemon there keeps another history: {there}",
                where=found,
                hint="give the address of the one that holds this one: --url",
            )
        return daemon

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Its answer.

        Raises
        ------
        DataError
            If it refuses; in its words.
        ShiftwatchError
            If it does not answer, or wants another token.
        """
        return _answer(self._opener, f"{self.url}{path}", method, body)


def address_of(settings: Settings, url: str | None, fault: StoreInUseError) -> str:
    """Where the daemon of a configuration answers; ShiftwatchError where that is not known."""
    if url is not None:
        return url.rstrip("/")
    if settings.web.port == 0:
        raise ShiftwatchError(
            f"{fault.what}, and `web.listen` does not say on which port it answers",
            where=fault.where,
            hint="give its address: --url http://127.0.0.1:PORT",
        )
    host = settings.web.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound to
    scheme = "http" if settings.web.tls is None else "https"
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{settings.web.port}"


class _Staying(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else, since it would take the token along."""

    def redirect_request(self, *_arguments: object) -> None:
        """A redirection is a fault."""


def _opener(tls: TlsSettings | None, url: str) -> urllib.request.OpenerDirector:
    """What asks: never by a proxy, and by TLS only the daemon of this configuration.

    Its certificate lies in a file of ours, so that is trusted beside the usual authorities. On
    loopback its name is not looked at, which is not 127.0.0.1 as a rule. Where the daemon asks for
    a client certificate it is shown its own.
    """
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _Staying()]
    if tls is not None:
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = not _is_loopback(urllib.parse.urlsplit(url).hostname or "")
        try:
            context.load_verify_locations(cafile=tls.cert)
            if tls.client_ca is not None:
                context.load_cert_chain(tls.cert, tls.key, password="")
        except OSError as fault:
            raise ShiftwatchError(f"cannot be used: {fault}", where=tls.cert) from fault
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _answer(
    opener: urllib.request.OpenerDirector, url: str, method: str, body: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"content-type": "application/json"}
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http by us
    try:
        with opener.open(request, timeout=_WAIT_SECONDS) as answer:
            found: Mapping[str, Any] = json.load(answer)
    except urllib.error.HTTPError as fault:
        if fault.code in {401, 403}:
            raise ShiftwatchError(
                _detail(fault.read()) or f"answered {fault.code}",
                where=url,
                hint=f"put the token of an operator into {TOKEN_VARIABLE}",
            ) from fault
        raise DataError(_detail(fault.read()) or f"answered {fault.code}") from fault
    except (OSError, ValueError) as fault:
        raise ShiftwatchError(
            f"the daemon does not answer: {fault}", where=url, hint="give its address: --url"
        ) from fault
    return found


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
