"""What routes work with, handed in by `app`; nothing here is global."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from hypersdk.accounts.access import Access
from hypersdk.accounts.audit import AuditLog
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.api.feed import Feed
from hypersdk.config.daemon import DaemonSettings
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.estate.hypervisors import HypervisorStore
from hypersdk.estate.repositories import RepositoryStore
from hypersdk.estate.webhooks import WebhookStore
from hypersdk.flows.connections import Connections
from hypersdk.jobs.kinds import Kinds
from hypersdk.jobs.schedules import ScheduleStore
from hypersdk.jobs.store import JobStore
from hypersdk.model.accounts import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything, once per process."""

    settings: DaemonSettings
    database: Database
    jobs: JobStore
    schedules: ScheduleStore
    kinds: Kinds
    events: EventLog
    #: Changes of jobs and events, for those who follow them.
    feed: Feed
    hypervisors: HypervisorStore
    repositories: RepositoryStore
    webhooks: WebhookStore
    #: Opens hypervisors and repositories by their names, each once.
    connections: Connections
    access: Access
    users: UserStore
    tokens: TokenStore
    tenants: TenantStore
    audit: AuditLog
    #: When the daemon began.
    started: datetime
    #: Reads the settings file again; gives what changed.
    reload: Callable[[], tuple[str, ...]]


def services_of(connection: HTTPConnection) -> Services:
    """Of a request or a WebSocket."""
    return cast("Services", connection.app.state.services)


# Asynchronous, so that they run where they stand: a plain function would cost a thread each.


async def _of(connection: HTTPConnection) -> Services:
    return services_of(connection)


async def _principal(connection: HTTPConnection) -> Principal:
    return cast("Principal", connection.state.principal)  # put there by `security`


#: Parameters of handlers, of requests and of WebSockets alike.
WithServices = Annotated[Services, Depends(_of)]
SocketServices = WithServices
Who = Annotated[Principal, Depends(_principal)]
