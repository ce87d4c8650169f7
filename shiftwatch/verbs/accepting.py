"""`shiftwatch accept`: done here, or by the daemon that holds the history.

In:    settings, a model, a span of batches.
Out:   what would be done and what was done, in words.
Never: accepts without having been told to; asks another daemon than the one of this history.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shiftwatch import config
from shiftwatch.acceptance import Proposal, Span, propose
from shiftwatch.errors import DataError, ShiftwatchError, StoreInUseError
from shiftwatch.monitor import Monitor
from shiftwatch.settings import Settings, TlsSettings
from shiftwatch.store import Store
from shiftwatch.values import Acceptance

TOKEN_VARIABLE = "SHIFTWATCH_TOKEN"  # noqa: S105 - its name
"""Environment variable with the token of an operator; an argument would be seen by others."""

_WAIT_SECONDS = 3600.0
"""For a daemon that has a batch at hand and a reference to prepare."""

Say = Callable[[str], None]


def tell_proposal(settings: Settings, model: str, span: Span, say: Say) -> None:
    """Say what an acceptance would do; DataError if it cannot be."""
    with Store.read(settings.store.path) as store:
        proposal = propose(store, model, span)
    for line in proposal_lines(proposal):
        say(line)


def proposal_lines(proposal: Proposal) -> list[str]:
    """What would be accepted, in words."""
    first, last = proposal.batches[0], proposal.batches[-1]
    verdicts = Counter(proposal.verdicts)
    size = f"{proposal.rows} rows of {len(proposal.batches)} batches"
    lines = [
        f"{proposal.model}: take {size} as the reference,",
        f"  from {first.id} ({first.uri})",
        f"  to   {last.id} ({last.uri}),",
        "  judged: " + ", ".join(f"{count} {name}" for name, count in verdicts.items()) + ";",
        "  until the configured reference changes. Alarms start anew with the next batch.",
    ]
    lines += [f"  left out: {batch}, which is {verdict}" for batch, verdict in proposal.left_out]
    return lines


def accept(
    settings: Settings, model: str, span: Span | None, note: str, url: str | None
) -> Acceptance | Mapping[str, Any]:
    """Accept a span of batches, or undo it (None), through the daemon that holds the history.

    Parameters
    ----------
    settings
        The configuration.
    model
        Name of the model.
    span
        None returns to the configured reference.
    note
        Why.
    url
        Where the daemon answers; by the configuration if None.

    Raises
    ------
    ShiftwatchError
        If it is refused, or a daemon holds the history and does not answer.
    """
    fingerprints = {m.name: config.fingerprint(settings, m) for m in settings.models}
    try:
        with Store.open(settings.store.path, clock=time.time) as store:
            monitor = Monitor(settings, store, time.time, fingerprints)
            if span is None:
                return monitor.undo_acceptance(model, note)
            return monitor.accept(model, span, note)
    except StoreInUseError as fault:
        return _asked(_address(settings, url, fault), settings, model, span, note)


def _address(settings: Settings, url: str | None, fault: StoreInUseError) -> str:
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


def _asked(
    url: str, settings: Settings, model: str, span: Span | None, note: str
) -> Mapping[str, Any]:
    """Ask the daemon, having made sure that it is the one that holds this history."""
    opener = _opener(settings.web.tls, url)
    there = _answer(opener, f"{url}/config", "GET", None).get("store", {}).get("path")
    if there is None or os.path.realpath(there) != os.path.realpath(settings.store.path):
        raise ShiftwatchError(
            f"the daemon there keeps another history: {there}",
            where=url,
            hint="give the address of the one that holds this one: --url",
        )
    path = f"{url}/api/v1/models/{model}/acceptance"
    if span is None:
        return _answer(opener, f"{path}?{urllib.parse.urlencode({'note': note})}", "DELETE", None)
    body = {"from": span.first, "to": span.last, "note": note}
    return _answer(opener, path, "POST", body)


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


def told(word: Acceptance | Mapping[str, Any]) -> list[str]:
    """What became of it, in words."""
    facts = asdict(word) if isinstance(word, Acceptance) else word
    if facts["kind"] == "accepted":
        name = Path(facts["path"]).name
        return [
            f"{facts['model']}: accepted {facts['rows']} rows as the reference, {name}",
            "It is in force from the next batch on; shiftwatch accept --undo returns.",
        ]
    return [f"{facts['model']}: the configured reference is in force again"]
