"""The real application on a real port, with real stores on SQLite and a mock hypervisor. No worker
runs: jobs stay as tests leave them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hypersdk.accounts.access import Access
from hypersdk.accounts.audit import AuditLog
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.api.building import build
from hypersdk.api.feed import Feed
from hypersdk.api.protocols import bounded
from hypersdk.api.routes import HANDLERS
from hypersdk.api.services import Services
from hypersdk.config.daemon import load_daemon_settings
from hypersdk.contract.kinds import SCHEMAS
from hypersdk.contract.routes import (
    ROUTES,
    events,
    hypervisors,
    instances,
    jobs,
    repositories,
    schedules,
    system,
    webhooks,
)
from hypersdk.contract.routing import Route
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.estate.hypervisors import HypervisorStore
from hypersdk.estate.repositories import RepositoryStore
from hypersdk.estate.webhooks import WebhookStore
from hypersdk.flows.connections import Connections
from hypersdk.jobs.kinds import Kinds, Plan, Run
from hypersdk.jobs.schedules import ScheduleStore
from hypersdk.jobs.store import JobStore
from hypersdk.model.accounts import Role
from hypersdk.model.errors import InvalidInput

#: Seconds for whatever a test waits for.
DEADLINE = 30.0


#: The routes of ``/v1`` that are no accounts'.
CORE = tuple(
    route
    for segment in (system, jobs, schedules, hypervisors, instances, repositories, webhooks, events)
    for route in segment.ROUTES
)


@dataclass(slots=True)
class Noted:
    """A kind whose requests are checked by its schema, and that does nothing."""

    name: str
    summary: str = "For tests."
    waits: bool = False

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        try:
            wanted = SCHEMAS[self.name][0].model_validate(dict(request)).model_dump()
        except ValueError as error:
            raise InvalidInput(f"request: {error}", hint="See its schema.") from error
        resources = [
            f"{what}:{wanted[what]}" for what in ("hypervisor", "repository") if wanted.get(what)
        ]
        subject = wanted.get("instance") or wanted.get("repository") or ""
        return Plan(
            f"{self.name} of {subject}",
            resources=tuple(resources),
            dedup=f"{self.name}:{subject}" if wanted.get("dedup", True) else "",
            makes=1 if self.name == "import" else 0,
            stores=str(wanted["repository"]) if self.name == "backup" else "",
            uses=tuple(resources),
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        return {}


@dataclass
class Daemon:
    """What a test speaks with."""

    url: str
    services: Services
    app: Any
    #: Folder of the mock hypervisor ``lab``.
    lab: Path
    reloads: list[int] = field(default_factory=list)

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=DEADLINE, **options)

    def account(self, name: str, role: Role, tenant: str = "") -> str:
        """An account, and a token of it. From the first one on, everybody needs one."""
        if tenant and tenant not in {each.name for each in self.services.tenants.list()}:
            self.services.tenants.create(tenant)
        user = self.services.users.create(name, None, role, tenant)
        _, secret = self.services.tokens.create(user, name="test", role=role)
        return secret


def until(seen: Callable[[], Any], what: str) -> Any:
    """What ``seen`` gives once it is true. Fails after a while."""
    end = time.monotonic() + DEADLINE
    while not (found := seen()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
    return found


@contextlib.contextmanager
def serving(
    folder: Path,
    *,
    routes: Sequence[Route] | None = None,
    poll: float = 0.02,
    database: str = "",
    open_loopback: bool = True,
    rate: float = 0.0,
) -> Iterator[Daemon]:
    """A daemon without worker in ``folder``."""
    lab = folder / "lab"
    mock = MockHypervisor(lab)
    mock.create_instance("web", {"vda": 1 << 20})
    stores = Database.open(database or f"sqlite:///{folder}/hypervisord.db")
    reloads: list[int] = []

    def reload() -> tuple[str, ...]:
        reloads.append(1)
        return ("log_level",)

    services = _services(
        folder, stores, poll=poll, open_loopback=open_loopback, rate=rate, reload=reload
    )
    services.hypervisors.create("lab", f"mock://{lab}")
    chosen = tuple(routes if routes is not None else ROUTES)
    names = {route.name for route in chosen}
    handlers = {name: each for name, each in HANDLERS.items() if name in names}
    app = build(services, routes=chosen, handlers=handlers)
    try:
        with running(app) as url:
            yield Daemon(url, services, app, lab, reloads)
    finally:
        services.connections.close()
        stores.close()


def _services(
    folder: Path,
    database: Database,
    *,
    poll: float,
    open_loopback: bool,
    rate: float,
    reload: Callable[[], tuple[str, ...]],
) -> Services:
    job_store, event_log = JobStore(database), EventLog(database)
    known, places = HypervisorStore(database), RepositoryStore(database)
    users, tokens = UserStore(database), TokenStore(database)
    return Services(
        settings=load_daemon_settings(state_dir=folder / "state"),
        database=database,
        jobs=job_store,
        schedules=ScheduleStore(database, job_store),
        kinds=Kinds({name: Noted(name) for name in SCHEMAS}),
        events=event_log,
        feed=Feed(job_store, event_log, poll=poll),
        hypervisors=known,
        repositories=places,
        webhooks=WebhookStore(database, allow_private=True),
        connections=Connections(known.get, places.get, known=known.list, cache=folder / "cache"),
        access=Access(users, tokens, open_loopback=open_loopback, rate=rate),
        users=users,
        tokens=tokens,
        tenants=TenantStore(database),
        audit=AuditLog(database),
        started=datetime.now(UTC),
        reload=reload,
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The test's process keeps its own."""
        yield


@contextlib.contextmanager
def running(app: Any) -> Iterator[str]:
    """``app`` behind uvicorn in a thread; its URL."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    config = uvicorn.Config(
        app,
        http=bounded(HttpToolsProtocol),
        ws="websockets-sansio",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the server")
    assert thread.is_alive(), "the server ended at once"
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        if (services := getattr(app.state, "services", None)) is not None:
            services.feed.stop()  # followers would never leave by themselves
        thread.join(DEADLINE)
        listening.close()
        assert not thread.is_alive(), "the server did not end"
