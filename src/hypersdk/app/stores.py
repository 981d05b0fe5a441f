"""What the API and a worker both work with, made of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.accounts.quotas import Quotas
from hypersdk.accounts.tenants import TenantStore
from hypersdk.app.usage import TenantUsage
from hypersdk.config.daemon import DaemonSettings
from hypersdk.config.settings import load_settings
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.estate.hypervisors import HypervisorStore
from hypersdk.estate.repositories import RepositoryStore
from hypersdk.estate.signing import SigningKey
from hypersdk.estate.webhooks import WebhookStore
from hypersdk.flows.connections import Connections
from hypersdk.model.accounts import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """One of each per process."""

    database: Database
    events: EventLog
    hypervisors: HypervisorStore
    repositories: RepositoryStore
    webhooks: WebhookStore
    tenants: TenantStore
    connections: Connections
    usage: TenantUsage


def make_stores(settings: DaemonSettings, database: Database) -> Stores:
    """Raises InvalidInput when the key of webhooks cannot be read."""
    hypervisors, repositories = HypervisorStore(database), RepositoryStore(database)
    connections = Connections(
        hypervisors.get,
        repositories.get,
        known=hypervisors.list,
        cache=load_settings().cache_dir,
    )
    return Stores(
        database=database,
        events=EventLog(database),
        hypervisors=hypervisors,
        repositories=repositories,
        webhooks=WebhookStore(
            database,
            key=SigningKey.load(settings.webhooks_key, settings.state_dir),
            allow_private=settings.webhooks_allow_private,
        ),
        tenants=TenantStore(database),
        connections=connections,
        usage=TenantUsage(
            Quotas(database), connections, lambda tenant: repositories.list(tenant=tenant)
        ),
    )


def declare(stores: Stores, settings: DaemonSettings) -> tuple[str, ...]:
    """Have what stands in the settings file in the database; gives what changed there. Raises
    InvalidInput for a webhook that may not go where it leads."""
    stores.webhooks.allow_private = settings.webhooks_allow_private
    changed = [f"hypervisors.{name}" for name in stores.hypervisors.declare(settings.hypervisors)]
    changed += [
        f"repositories.{name}" for name in stores.repositories.declare(settings.repositories)
    ]
    changed += [f"webhooks.{name}" for name in stores.webhooks.declare(settings.webhooks)]
    return tuple(changed)


def all_tenants(tenants: TenantStore) -> Sequence[Tenant]:
    """Page by page."""
    found: list[Tenant] = []
    while page := tenants.list(after=found[-1].name if found else ""):
        found += page
    return found
