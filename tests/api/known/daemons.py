"""Daemons with the known routes, and one whose jobs really run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from hypersdk.app.kinds import Folders, all_kinds
from hypersdk.contract.routes import (
    known_jobs,
    known_libvirt,
    known_more,
    known_vms,
    known_vsphere,
)
from hypersdk.contract.routing import Route
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.pace import Pace
from hypersdk.jobs.worker import Worker
from tests.api.serving import Daemon, serving

#: The routes without a version that are tested here.
KNOWN: tuple[Route, ...] = tuple(
    route
    for segment in (known_jobs, known_vms, known_libvirt, known_vsphere, known_more)
    for route in segment.ROUTES
)
#: What an error of these routes holds.
ERROR_KEYS = {"error", "hint", "timestamp"}


@dataclass
class Known:
    """A daemon, and somebody who speaks with it."""

    daemon: Daemon
    client: httpx.Client

    @property
    def mock(self) -> MockHypervisor:
        """The hypervisor ``lab``."""
        return MockHypervisor(self.daemon.lab)

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a look that succeeds."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, status: int = 200, **query: Any) -> Any:
        """The answer to what succeeds with ``status``."""
        answer = self.client.post(path, json=body, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(
        self, method: str, path: str, body: Any = None, *, status: int, **query: Any
    ) -> Mapping[str, str]:
        """The error of what does not succeed, which has exactly the keys of all errors here."""
        answer = self.client.request(method, path, json=body, params=query)
        assert answer.status_code == status, answer.text
        found: dict[str, str] = answer.json()
        assert set(found) == ERROR_KEYS, found
        assert found["hint"], f"an error says what to do next: {found}"
        return found


@contextlib.contextmanager
def knowing(folder: Path, **options: Any) -> Iterator[Known]:
    """A daemon without worker."""
    with serving(folder, routes=KNOWN, **options) as daemon, daemon.client() as client:
        yield Known(daemon, client)


@contextlib.contextmanager
def working(known: Known) -> Iterator[None]:
    """Jobs run while the block does."""
    services = known.daemon.services
    folders = services.settings.folders
    allowed = (folders.exports, folders.imports, folders.backups)
    kinds = all_kinds(services.connections, folders=Folders(tuple(map(Path, allowed))))
    known.daemon.app.state.services = replace(services, kinds=kinds)
    worker = Worker(
        services.database,
        kinds,
        id="known",
        queues=("default",),
        slots=4,
        budgets=FixedBudgets(),
        version="test",
        pace=Pace(dispatch=0.02, wishes=0.05, flush=0.05),
    )
    worker.start()
    try:
        yield
    finally:
        worker.stop()
        known.daemon.app.state.services = services
