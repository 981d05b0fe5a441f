"""The API process: serves, keeps the worker alive, reloads, and ends without losing anything.

One SIGTERM (or Ctrl-C) drains: no further connections, requests are answered, running jobs get
`drain_seconds`. A second one leaves the jobs to the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.loops.auto import auto_loop_factory
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hypersdk.accounts.rates import RateLimits
from hypersdk.accounts.users import UserStore
from hypersdk.api.building import build
from hypersdk.api.limits import RequestLimits
from hypersdk.api.protocols import bounded
from hypersdk.app import log
from hypersdk.app.database import OnlyDaemon, open_database
from hypersdk.app.exposure import load_certificate, refuse_open, tls_context
from hypersdk.app.listening import bind_tcp, bind_unix
from hypersdk.app.notify import Notifier
from hypersdk.app.services import make_services
from hypersdk.app.stores import Stores, declare, make_stores
from hypersdk.app.supervise import Supervisor
from hypersdk.app.traces import tracing
from hypersdk.config.daemon import DaemonSettings, compare, merge
from hypersdk.contract.routes import ROUTES
from hypersdk.contract.routing import Route
from hypersdk.model.errors import DatabaseError, HyperSDKError, InvalidInput
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)

#: Seconds between looks whether this is still the one daemon, and signs of life to systemd.
_BEAT = 5.0
#: Status of a process that systemd may begin again (EX_TEMPFAIL).
LOST = 75
#: Reads the settings again.
Again = Callable[[], DaemonSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonOptions:
    """What the command said besides settings."""

    #: Begins the worker; empty: none.
    worker: tuple[str, ...] = ()


def run_daemon(settings: DaemonSettings, options: DaemonOptions, again: Again) -> int:
    """Serve until a signal says otherwise; gives the exit status.

    Raises Conflict for a port that is taken and for a second daemon on one database, InvalidInput
    for settings that would let in anybody, DatabaseUnavailable.
    """
    log.configure(settings)
    _make(settings.state_dir)
    database = open_database(settings)
    try:
        only = OnlyDaemon.of(database, settings)
        try:
            refuse_open(settings, UserStore(database))
            stores = make_stores(settings, database)
            daemon = Daemon(settings, options, stores, only, again)
            with (
                tracing(settings, "hypervisord"),
                asyncio.Runner(loop_factory=_loop_factory()) as runner,
            ):
                return runner.run(daemon.run())
        finally:
            only.release()
    finally:
        database.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise InvalidInput(
            f"state_dir: {folder} cannot be made: {error.strerror}",
            hint="Name a folder that this user may write: hypervisord --state-dir DIR",
        ) from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The faster event loop where it is installed."""
    return auto_loop_factory(use_subprocess=False)


class Daemon:
    """One API process."""

    def __init__(
        self,
        settings: DaemonSettings,
        options: DaemonOptions,
        stores: Stores,
        only: OnlyDaemon,
        again: Again,
    ) -> None:
        self.settings = settings
        self._stores = stores
        self._only = only
        self._again = again
        self._notifier = Notifier.of(os.environ)
        self._ends = 0
        self._ending = asyncio.Event()
        self._reloading = threading.Lock()
        self._status = 0
        self._away = False
        self._tls = tls_context(settings.tls) if settings.tls is not None else None
        self._sockets = self._bind()
        changed = declare(stores, settings)
        if changed:
            _log.info("took over from the settings", changed=changed)
        self.services = make_services(
            settings, stores, started=datetime.now(UTC), reload=self.reload
        )
        self.app = build(self.services, routes=routes_of(settings))
        self.supervisor = Supervisor(options.worker, tell=self._tell) if options.worker else None
        self._servers: list[_Server] = []

    # Beginning.

    def _bind(self) -> list[tuple[list[Any], ssl.SSLContext | None]]:
        bound: list[tuple[list[Any], ssl.SSLContext | None]] = []
        if self.settings.listen:
            bound.append((bind_tcp(self.settings), self._tls))
        if self.settings.socket is not None:
            # Whoever may open the file is on this machine: no TLS there.
            bound.append(([bind_unix(self.settings.socket, self.settings.socket_group)], None))
        return bound

    async def run(self) -> int:
        """Serve, until told to end."""
        self._handle_signals()
        self._servers = [
            _Server(self._config(context, first=at == 0)) for at, (_, context) in
            enumerate(self._sockets)
        ]  # fmt: skip
        serving = [
            asyncio.create_task(server.serve(sockets=sockets))
            for server, (sockets, _) in zip(self._servers, self._sockets, strict=True)
        ]
        while not all(server.started for server in self._servers):
            if failed := [each for each in serving if each.done()]:
                await failed[0]  # raises what it met
                return 1
            await asyncio.sleep(0.005)
        working = None
        if self.supervisor is not None:
            working = asyncio.create_task(self.supervisor.run())
        places = self._places()
        gc.freeze()
        gc.enable()
        self._notifier.ready(f"serving {', '.join(places)}")
        _log.info(
            "hypervisord serves", version=metadata.version("hypersdk"), at=places,
            database=self._stores.database.place,
        )  # fmt: skip
        await asyncio.to_thread(self._tell, "daemon.started", {"at": places})
        await self._beat()
        await self._end(serving, working)
        return self._status

    def _config(self, context: ssl.SSLContext | None, *, first: bool) -> uvicorn.Config:
        limits = self.settings.limits
        config = uvicorn.Config(
            RequestLimits(self.app, request_seconds=limits.request_seconds),
            http=bounded(HttpToolsProtocol, head_seconds=limits.header_seconds),
            ws="websockets-sansio",
            # One of the servers tells the application when it begins and ends.
            lifespan="on" if first else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(self.settings.trusted_proxies),
            forwarded_allow_ips=self.settings.trusted_proxies,
            limit_concurrency=limits.connections,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=max(1, int(self.settings.drain_seconds)),
            ws_max_size=1 << 20,
        )
        config.load()
        if context is not None:
            config.ssl = context
        return config

    def _places(self) -> list[str]:
        places = []
        for sockets, context in self._sockets:
            for each in sockets:
                name = each.getsockname()
                if isinstance(name, str):
                    places.append(f"unix:{name}")
                else:
                    host = f"[{name[0]}]" if ":" in name[0] else name[0]
                    places.append(f"{'https' if context else 'http'}://{host}:{name[1]}")
        return places

    # While it runs.

    async def _beat(self) -> None:
        """Until it ends: signs of life, and whether the database is still ours."""
        interval = min(_BEAT, self._notifier.interval or _BEAT)
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), interval)
            # A held loop does not come here, and a database that hangs holds this one.
            held = await asyncio.to_thread(self._held)
            if not held and not self._ending.is_set():
                _log.error("another daemon may have the database now; this one ends")
                self._status = LOST
                self._ending.set()
            self._notifier.alive()

    def _held(self) -> bool:
        """Also after the connection to PostgreSQL was lost and nobody else came."""
        if self._only.held():
            return True
        try:
            self._only = OnlyDaemon.of(self._stores.database, self.settings)
        except DatabaseError as error:
            if not self._away:
                _log.warning("the database is away", error=error.message)
            self._away = True
            return True  # nobody else has it either
        except HyperSDKError:
            return False
        _log.info("the database is back")
        self._away = False
        return True

    def _tell(self, name: str, data: Mapping[str, object]) -> None:
        with contextlib.suppress(DatabaseError):
            self._stores.events.tell(name, "status", "", **data)

    def reload(self) -> tuple[str, ...]:
        """Read the settings again; gives the names of what changed. In any thread.

        Raises InvalidInput, and nothing is changed then.
        """
        with self._reloading:
            new = self._again()
            changes = compare(self.settings, new)
            declared = declare(self._stores, new)
            if self._tls is not None and self.settings.tls is not None:
                load_certificate(self._tls, self.settings.tls)
            self._use(merge(self.settings, new))
            if changes.restart:
                _log.warning("settings wait for a restart", settings=list(changes.restart))
            _log.info("read the settings again", changed=list(changes.applied))
            self._tell("daemon.reloaded", {"changed": list(changes.applied)})
        if self.supervisor is not None:
            self.supervisor.hangup()
        return tuple(sorted({*changes.applied, *declared}))

    def _use(self, settings: DaemonSettings) -> None:
        self.settings = settings
        log.configure(settings)
        access = self.services.access
        access.hosts = frozenset(host.lower() for host in settings.allowed_hosts) | (
            frozenset({settings.host.lower()}) if not settings.loopback else frozenset()
        )
        access.origins = frozenset(each.lower().rstrip("/") for each in settings.allowed_origins)
        if access.rates.rate != settings.limits.rate_per_token:
            access.rates = RateLimits(settings.limits.rate_per_token)
        self.services = replace(self.services, settings=settings)
        self.app.state.services = self.services

    # Signals, and the end.

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_end)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)

    def _asked_to_end(self) -> None:
        self._ends += 1
        self._ending.set()
        if self._ends > 1:
            _log.warning("asked again to end: jobs are left to the next start")
            for server in self._servers:
                server.force_exit = True
            if self.supervisor is not None:
                self.supervisor.hurry()

    def _asked_to_reload(self) -> None:
        def work() -> None:
            self._notifier.reloading()
            try:
                self.reload()
            except HyperSDKError as error:
                _log.error("the settings stay as they are", error=error.message, hint=error.hint)
            except Exception:  # noqa: BLE001 - logged; the daemon serves on as it was
                _log.exception("the settings stay as they are")
            self._notifier.ready(f"serving {', '.join(self._places())}")

        threading.Thread(target=work, name="reload", daemon=True).start()

    async def _end(
        self, serving: Sequence[asyncio.Task[None]], working: asyncio.Task[None] | None
    ) -> None:
        seconds = self.settings.drain_seconds
        self._notifier.stopping("draining")
        self._notifier.more_time(seconds + 30)
        _log.info("hypervisord drains", seconds=seconds)
        # Followers of events would never leave by themselves.
        self.services.feed.stop()
        for server in self._servers:
            server.should_exit = True
        if self.supervisor is not None:
            await self.supervisor.drain(seconds)
        if working is not None:
            await working
        await asyncio.gather(*serving)
        if self.settings.socket is not None:
            self.settings.socket.unlink(missing_ok=True)
        self._stores.connections.close()
        await asyncio.to_thread(self._tell, "daemon.stopped", {})
        _log.info("hypervisord ended")


class _Server(uvicorn.Server):
    """Signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def worker_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """How this program begins its worker."""
    return (sys.executable, "-m", "hypersdk.cli.hypervisord", "worker", *arguments)


def routes_of(settings: DaemonSettings) -> tuple[Route, ...]:
    """The table with the bounds of bodies that are set."""
    usual = int(Route.__dataclass_fields__["body_most"].default)  # type: ignore[arg-type]
    limits = settings.limits

    def most(route: Route) -> int:
        if route.body_most == usual:
            return limits.body
        return limits.upload if route.body_most > usual else min(route.body_most, limits.body)

    return tuple(replace(route, body_most=most(route)) for route in ROUTES)
