"""The long-running program: wiring, signals, reload, shutdown.

In:    the path of a configuration file.
Out:   a process that answers on its port until it is told to stop.
Never: imports numpy, scipy, pyarrow or onnxruntime; judges anything itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvicorn

from shiftwatch import __version__, config
from shiftwatch.acceptance import Span
from shiftwatch.annotation import Remark
from shiftwatch.cost import give_back
from shiftwatch.desk import Desk
from shiftwatch.errors import ConfigError, ShiftwatchError
from shiftwatch.inbox import Letters
from shiftwatch.journal import tell_change, tell_run, warn_of_openness
from shiftwatch.monitor import Monitor, Stopped
from shiftwatch.schedule import Ticker, check_schedule
from shiftwatch.settings import Settings
from shiftwatch.status import Around
from shiftwatch.store import Store
from shiftwatch.values import Acceptance, Run
from shiftwatch.web import create_app
from shiftwatch.web.gate import Access
from shiftwatch.web.listening import listen
from shiftwatch.web.server import renew, server_config, tls_context

_LOG = logging.getLogger(__name__)

_Done = TypeVar("_Done")

_LOOK_SECONDS = 2.0
"""Between two looks at the configuration file, which cost some 50 microseconds."""

_FORGET_SECONDS = 3600.0
"""Between two looks for what is too old to keep."""

_JUMP_SECONDS = 86_400.0
"""A clock that gained more than this at once is not believed for as long: what would be too old by
it stays. A year ahead for a minute would forget all but the last month."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon has its own, and ends with status 0."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Set ``up`` when requests are answered."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration comes from, to read it again on reload."""

    path: str
    environ: Mapping[str, str]

    def load(self) -> Settings:
        """Settings as they are in the file now."""
        return config.load(self.path, self.environ)

    def loaded(self) -> tuple[Settings, str]:
        """Settings and the digest of what they were read from.

        Read again if the file changed meanwhile: a digest newer than the settings would hide it.
        """
        while True:
            settings = self.load()
            digest = self.digest(settings)
            if self.load() == settings:
                return settings, digest

    def digest(self, settings: Settings) -> str:
        """SHA-256 of the bytes of the file, and of the certificates it names; "" if none is there.

        The bytes and not the times: a mounted ConfigMap is changed by another link to a folder.
        """
        tls = settings.web.tls
        certificates = () if tls is None else (tls.cert, tls.key, tls.client_ca)
        try:
            read = [Path(path).read_bytes() for path in (self.path, *filter(None, certificates))]
        except OSError:
            return ""
        return hashlib.sha256(b"\0".join(read)).hexdigest()


class Daemon:
    """Everything that lives as long as the process.

    Parameters
    ----------
    source
        The configuration file.
    on_run
        Called in the step's thread after a run was stored.
    on_ready
        Called with the base URL when the port answers.
    """

    def __init__(
        self,
        source: Source,
        *,
        on_run: Callable[[Run], None] = lambda _run: None,
        on_ready: Callable[[str], None] = lambda _url: None,
    ) -> None:
        self._source = source
        self._settings, self._in_force = source.loaded()
        check_schedule(self._settings.schedule, time.time())
        web = self._settings.web
        self._access = Access.by(web)
        self._tls = None if web.tls is None else tls_context(web.tls)
        self._on_run = on_run
        self._on_ready = on_ready
        self._steps = ThreadPoolExecutor(1, thread_name_prefix="step")
        self._stop = asyncio.Event()
        self._stopping = False
        self._stopped_at = 0.0
        self._reloading = threading.Event()
        self._forgotten_at = 0.0
        self._offset = time.time() - time.monotonic()
        self._believed_from = 0.0
        self._ticker: Ticker | None = None
        self._events: Counter[str] = Counter()

    async def run(self) -> None:
        """Serve until SIGTERM, SIGINT or :meth:`stop`."""
        self._loop = asyncio.get_running_loop()
        self._handle_signals()
        with Store.open(self._settings.store.path, clock=time.time) as store:
            self._store = store
            self._monitor = self._new_monitor(self._settings)
            self._desk = Desk(store, self._settings, self)
            self._desk.around = self._around
            self._letters = Letters(self._settings.models)
            try:
                await self._serve()
            finally:
                self._monitor.stop()
                self._desk.close()
                self._letters.close()
                self._steps.shutdown(wait=True, cancel_futures=True)
        _LOG.info("stopped", extra={"seconds": round(time.monotonic() - self._stopped_at, 3)})

    def stop(self) -> None:
        """Ask the daemon to end; from its own event loop."""
        if not self._stopping:
            self._stopped_at = time.monotonic()
        self._stopping = True
        self._stop.set()

    @property
    def monitor(self) -> Monitor:
        """The monitor in force; reloads replace it."""
        return self._monitor

    def reload(self) -> None:
        """Read the configuration again and put it in force between two batches.

        Raises
        ------
        ShiftwatchError
            If it cannot be used, or changes what only a restart can change. The configuration
            before stays in force.
        """
        try:
            self._take_over(self._reloadable())
        except ShiftwatchError as fault:
            self._desk.note_reload(successful=False, at=time.time())
            _LOG.error("reload refused", extra={"fault": str(fault)})
            raise
        self._desk.note_reload(successful=True, at=time.time())

    def request_step(self, model: str) -> None:
        """Look for due batches of a model now, besides the schedule; wait for the end of it."""
        self._in_turn(self._step, (model,))

    def accept(self, model: str, span: Span, remark: Remark) -> Acceptance:
        """Take batches as the new reference of a model, between two batches.

        Raises
        ------
        ShiftwatchError
            If they cannot be accepted; nothing is changed then.
        """
        return self._between(lambda: self._monitor.accept(model, span, remark))

    def undo_acceptance(self, model: str, remark: Remark) -> Acceptance:
        """Return to the configured reference of a model, between two batches."""
        return self._between(lambda: self._monitor.undo_acceptance(model, remark))

    # --- inside ----------------------------------------------------------------------------

    def _new_monitor(self, settings: Settings) -> Monitor:
        fingerprints = {m.name: config.fingerprint(settings, m) for m in settings.models}
        return Monitor(settings, self._store, time.time, fingerprints)

    def _reloadable(self) -> Settings:
        settings = self._source.load()
        check_schedule(settings.schedule, time.time())
        if (settings.web, settings.store) != (self._settings.web, self._settings.store):
            raise ConfigError(
                "`web` and `store` cannot change while the daemon runs",
                where=self._source.path,
                hint="restart the daemon",
            )
        return settings

    def _take_over(self, settings: Settings) -> None:
        """Swap after the batch at hand; an unchanged file is a success without work.

        Certificates are read anew in any case, since they expire without a change of the file.
        """
        if self._tls is not None and settings.web.tls is not None:
            renew(self._tls, settings.web.tls)
        if settings == self._settings:
            return
        self._reloading.set()
        try:
            self._in_turn(self._put_in_force, settings)
        finally:
            self._reloading.clear()

    def _between(self, work: Callable[[], _Done]) -> _Done:
        """Have something done after the batch at hand, and let the ticker go on with the rest."""
        self._reloading.set()
        try:
            return self._in_turn(work)
        finally:
            self._reloading.clear()
            self._loop.call_soon_threadsafe(self._start_ticker)

    def _in_turn(self, work: Callable[..., _Done], *arguments: object) -> _Done:
        """Run in the step's thread and wait for it."""
        try:
            return self._steps.submit(work, *arguments).result()
        except (CancelledError, RuntimeError) as fault:
            if not self._stopping:
                raise
            raise ConfigError("the daemon is going down") from fault

    def _put_in_force(self, settings: Settings) -> None:
        if self._stopping:
            raise ConfigError("the daemon is going down")
        monitor = self._new_monitor(settings)
        monitor.inherit(self._monitor)
        self._letters.update(settings.models)
        tell_change(self._settings, settings, self._source.path)
        self._monitor, self._settings, self._desk.settings = monitor, settings, settings
        self._loop.call_soon_threadsafe(self._start_ticker)

    async def _watch_source(self) -> None:
        """Reload when the files have changed and then kept still from one look to the next.

        A file that is gone is a change too: it is told, and what was in force stays so.
        """
        seen = self._in_force
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            before, seen = seen, await asyncio.to_thread(self._source.digest, self._settings)
            if seen == before != self._in_force and self._settings.watch_config:
                self._in_force = seen  # a bad one is told once
                await asyncio.to_thread(self._hang_up)

    async def _serve(self) -> None:
        listener = listen(self._settings.web)
        server = _Server(
            server_config(create_app(self._desk, self._access, self._letters), self._tls)
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        self._handle_hang_up()
        await server.up.wait()
        self._announce(listener)
        self._start_ticker()
        looking = asyncio.create_task(self._watch_source())
        looking.add_done_callback(_tell_if_failed)
        await self._stop.wait()
        looking.cancel()
        ticker = self._ticker
        self._stop_ticker()
        self._monitor.stop()
        server.should_exit = True
        await serving
        if ticker is not None:
            await ticker.idle()

    def _start_ticker(self) -> None:
        """Begin to tick by the settings in force, instead of those before."""
        self._stop_ticker()
        if self._stopping:
            return
        self._ticker = Ticker(self._settings.schedule, self._tick)
        self._ticker.start()

    def _stop_ticker(self) -> None:
        if self._ticker is not None:
            self._ticker.stop()
            self._events.update(_events(self._ticker))
            self._ticker = None

    def _around(self) -> Around:
        """What did not go to plan outside of any model, since the start."""
        ticker = self._ticker
        events = self._events + (_events(ticker) if ticker is not None else Counter())
        return Around(events, Counter(self._access.refused), self._letters.status())

    def _announce(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        scheme = "http" if self._tls is None else "https"
        url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        models = [model.name for model in self._settings.models]
        _LOG.info("listening", extra={"url": url, "version": __version__, "models": models})
        warn_of_openness(self._settings.web)
        self._on_ready(url)

    async def _tick(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._steps, self._step)
        except asyncio.CancelledError:
            if not self._stopping:  # else a tick that waited behind a reload: nothing was lost
                raise

    def _step(self, models: Sequence[str] | None = None) -> None:
        """Judge what is due; a reload that waits has its turn after the batch at hand."""
        if self._stopping:
            return
        with suppress(Stopped), closing(self._monitor.step(models)) as runs:
            for run in runs:
                tell_run(run)
                self._on_run(run)
                if self._reloading.is_set():
                    return  # the ticker starts anew after the reload and goes on with the rest
            self._forget()
        give_back()  # what a step and the pages since the last one have left: some 4 MB

    def _forget(self) -> None:
        """Drop what is older than the store is to keep, now and then."""
        now, steady = time.time(), time.monotonic()
        before, self._offset = self._offset, now - steady
        if abs(self._offset - before) > _JUMP_SECONDS:
            self._believed_from = steady + _JUMP_SECONDS
            _LOG.warning("the clock jumped", extra={"seconds": round(self._offset - before)})
        if steady < self._believed_from:
            return
        if abs(now - self._forgotten_at) >= _FORGET_SECONDS:
            self._forgotten_at = now
            present = self._monitor.present_files()
            self._store.forget(self._settings.store.keep_days, present, now)

    def _handle_signals(self) -> None:
        """Before anything else: for process 1 of a container the system has no answer of its own."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop)
        self._loop.add_signal_handler(signal.SIGHUP, lambda: None)  # it was read just now

    def _handle_hang_up(self) -> None:
        loop = self._loop
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, self._hang_up))

    def _hang_up(self) -> None:
        with suppress(ShiftwatchError):  # logged and shown in the metrics where it arose
            self.reload()


def _tell_if_failed(looking: asyncio.Task[None]) -> None:
    """A look at the configuration that ended is said aloud: nothing else would show it."""
    if not looking.cancelled() and (fault := looking.exception()) is not None:
        _LOG.error("the configuration is not looked at any more", exc_info=fault)


def _events(ticker: Ticker) -> Counter[str]:
    """Its counts, by :data:`shiftwatch.status.SCHEDULE_EVENTS`."""
    counts = ticker.counts
    return Counter(
        missed=counts["missed"],
        overlapped=counts["skipped"],
        failed=counts["errors"],
        clock_step=counts["clock_steps"],
    )
