"""`Client`: one daemon, by areas."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from hypersdk.client.accounts import Accounts
from hypersdk.client.connection import TIMEOUT, Connection
from hypersdk.client.estate import Events, Hypervisors, Instances, Repositories, Webhooks
from hypersdk.client.jobs import Jobs, Schedules

if TYPE_CHECKING:  # slow to import
    from hypersdk.contract.system import StatusRecord, VersionRecord, WorkerRecord


class Client:
    """Typed calls of everything that the daemon can do. Safe in threads.

    Every method raises DaemonUnreachable when nobody answers, and DaemonRefused, with the
    daemon's own words, when it does not do what was asked.
    """

    def __init__(
        self,
        url: str = "",
        *,
        token: str = "",
        ca_file: Path | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """``url``: ``http://…``, ``https://…`` or ``unix:/path``; empty: ``HYPERVISORD_URL``, else
        ``http://localhost:8080``. ``token``: a reference such as ``keyring:hyperctl/prod``; empty:
        ``HYPERCTL_TOKEN``. ``ca_file``: PEM. ``timeout``: seconds per answer."""
        self.connection = Connection(url, token=token, ca_file=ca_file, timeout=timeout)
        self.jobs = Jobs(self.connection)
        self.schedules = Schedules(self.connection)
        self.hypervisors = Hypervisors(self.connection)
        self.instances = Instances(self.connection)
        self.repositories = Repositories(self.connection)
        self.webhooks = Webhooks(self.connection)
        self.events = Events(self.connection)
        self.accounts = Accounts(self.connection)

    def status(self) -> StatusRecord:
        return cast("StatusRecord", self.connection.call("get_status"))

    def version(self) -> VersionRecord:
        return cast("VersionRecord", self.connection.call("get_version"))

    def workers(self) -> tuple[WorkerRecord, ...]:
        return tuple(self.connection.call("list_workers").items)

    def reload(self) -> tuple[str, ...]:
        """Have it read its settings again; what changed."""
        return tuple(self.connection.call("reload").changed)

    def call(self, name: str, path: dict[str, str] | None = None, **more: Any) -> Any:
        """Any route by its name, also those kept as they were known before ``/v1``."""
        return self.connection.call(name, path, **more)

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
