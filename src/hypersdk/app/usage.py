"""What tenants use: counted while jobs work, and measured now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hypersdk.accounts.quotas import Quotas
from hypersdk.database.engine import Database, SessionLock
from hypersdk.flows.connections import Connections
from hypersdk.jobs.loops import Loop
from hypersdk.model.accounts import Tenant
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.estate import RepositoryRecord
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)

#: Seconds between two looks at all repositories of tenants; jobs count what they add in between.
EVERY = 3600.0


class TenantUsage:
    """Of jobs: see `app.kinds.site.Allowance`. Safe in threads."""

    def __init__(
        self,
        quotas: Quotas,
        connections: Connections,
        repositories: Callable[[str], Iterable[RepositoryRecord]],
    ) -> None:
        """``repositories``: those of a tenant."""
        self._quotas = quotas
        self._connections = connections
        self._repositories = repositories

    def check(self, tenant: str, *, instances: int = 0) -> None:
        """See the port."""
        self._quotas.check(tenant, instances=instances)

    def check_bytes(self, tenant: str) -> None:
        """See the port."""
        self._quotas.check_bytes(tenant)

    def grew(self, tenant: str, *, instances: int = 0, bytes: int = 0) -> None:
        """See the port."""
        self._quotas.grew(tenant, instances=instances, bytes=bytes)

    def measured(self, tenant: str, *, instances: int) -> None:
        """See the port."""
        self._quotas.measured(tenant, instances=instances)

    def measure(self, tenant: str) -> None:
        """See the port."""
        if not tenant:
            return
        try:
            kept = sum(self._stored(each) for each in self._repositories(tenant))
        except HyperSDKError as error:
            _log.warning("what a tenant uses stays as it was known", tenant=tenant,
                         reason=error.message)  # fmt: skip
            return
        self._quotas.measured(tenant, bytes=kept)

    def _stored(self, record: RepositoryRecord) -> int:
        with self._connections.using_repository(record.name) as opened:
            return opened.statistics().stored


class Measuring:
    """Runs in one worker at a time, which holds the lock ``usage``."""

    def __init__(
        self,
        database: Database,
        usage: TenantUsage,
        tenants: Callable[[], Sequence[Tenant]],
        *,
        every: float = EVERY,
    ) -> None:
        self._database = database
        self._usage = usage
        self._tenants = tenants
        self._lock: SessionLock | None = None
        self._loop = Loop("usage", self.turn, every)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        if self._loop.stop(seconds=10) and self._lock is not None:
            self._lock.release()

    def turn(self) -> None:
        """Measure every tenant, unless another worker does it. Raises DatabaseUnavailable."""
        if self._lock is None or not self._lock.held():
            self._lock = self._database.lock("usage")
        if self._lock is not None:
            for tenant in self._tenants():
                self._usage.measure(tenant.name)
