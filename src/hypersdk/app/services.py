"""What the API works with, made of the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from hypersdk.accounts.access import Access
from hypersdk.accounts.audit import AuditLog
from hypersdk.accounts.oidc import OpenId, OpenIdProvider
from hypersdk.accounts.throttle import LoginThrottle
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.api.feed import Feed
from hypersdk.api.services import Services
from hypersdk.app.jobkinds import make_kinds, planner
from hypersdk.app.stores import Stores
from hypersdk.config.daemon import DaemonSettings
from hypersdk.config.daemon.sections import OidcSettings
from hypersdk.jobs.schedules import ScheduleStore
from hypersdk.jobs.store import JobStore
from hypersdk.model.accounts import Role


def make_services(
    settings: DaemonSettings,
    stores: Stores,
    *,
    started: datetime,
    reload: Callable[[], tuple[str, ...]],
) -> Services:
    """Opens no hypervisor and no repository. Raises InvalidInput for OIDC settings that cannot
    be."""
    database = stores.database
    jobs = JobStore(database)
    kinds = make_kinds(settings, stores)
    users, tokens = UserStore(database), TokenStore(database)
    return Services(
        settings=settings,
        database=database,
        jobs=jobs,
        schedules=ScheduleStore(database, jobs, planner(kinds, stores)),
        kinds=kinds,
        events=stores.events,
        feed=Feed(jobs, stores.events),
        hypervisors=stores.hypervisors,
        repositories=stores.repositories,
        webhooks=stores.webhooks,
        connections=stores.connections,
        access=make_access(settings, users, tokens),
        users=users,
        tokens=tokens,
        tenants=stores.tenants,
        audit=AuditLog(database),
        started=started,
        reload=reload,
    )


def make_access(settings: DaemonSettings, users: UserStore, tokens: TokenStore) -> Access:
    """Who may make requests."""
    auth = settings.auth
    return Access(
        users,
        tokens,
        open_loopback=settings.loopback and auth.open_loopback,
        openid=_openid(auth.oidc) if auth.oidc is not None else None,
        hosts=_hosts(settings),
        origins=settings.allowed_origins,
        session_hours=auth.session_hours,
        token_days=auth.token_days,
        rate=settings.limits.rate_per_token,
        throttle=LoginThrottle(attempts=auth.login_attempts),
    )


def _hosts(settings: DaemonSettings) -> list[str]:
    """Names that requests may be for: what it listens on is one of them."""
    own = [settings.host] if settings.host and not settings.loopback else []
    return [*own, *settings.allowed_hosts]


def _openid(settings: OidcSettings) -> OpenId:
    return OpenId(
        OpenIdProvider(
            issuer=settings.issuer,
            audience=tuple(settings.audience),
            user_claim=settings.user_claim,
            role_claim=settings.role_claim,
            roles={value: Role(role) for value, role in settings.roles.items()},
            tenant_claim=settings.tenant_claim,
        )
    )
