"""A hypervisor, a repository and folders to do jobs with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import hypersdk
from hypersdk import MockHypervisor, Policy, Protect, Repository, RestorePoint
from hypersdk.app.kinds import Folders, all_kinds
from hypersdk.flows.connections import Connections
from hypersdk.jobs.kinds import Kinds
from hypersdk.model.errors import NotFound
from hypersdk.model.estate import HypervisorRecord, RepositoryRecord
from tests.app.kinds.running import FakeRun, Steps, job_of
from tests.repository.examples import noise

MIB = 1 << 20
_NOW = datetime.now(UTC)


class Lab:
    """Names: hypervisors ``lab`` and ``other``, repository ``main``; instance ``web`` with disks
    ``vda`` (4 MiB of data) and ``vdb`` (2 MiB) when it is made."""

    def __init__(self, root: Path, query: str = "") -> None:
        self.root = root
        self.hypervisors = {
            name: HypervisorRecord(
                name=name, url=f"mock://{root}/{name}{query}", queue="site-a", created=_NOW,
                updated=_NOW,
            )
            for name in ("lab", "other")
        }  # fmt: skip
        self.repositories = {
            "main": RepositoryRecord(
                name="main", location=str(root / "repository"), created=_NOW, updated=_NOW
            )
        }
        self.events: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.kept: dict[str, Sequence[str]] = {}
        self._numbers = count()
        self.connections = Connections(
            self._hypervisor,
            self._repository,
            known=lambda: tuple(self.hypervisors.values()),
            policy=Policy(retries=None),
            cache=root / "cache",
        )

    def make(self) -> None:
        """What is to be there before the first job."""
        for name in self.hypervisors:
            (self.root / name).mkdir()
        mock = self.mock()
        mock.create_instance("web", {"vda": 8 * MIB, "vdb": 4 * MIB}, tags={"tier": "gold"})
        for disk, size, seed in (("vda", 4 * MIB, 1), ("vdb", 2 * MIB, 2)):
            with mock.guest("web", disk) as guest:
                guest.write(0, noise(size, seed=seed))
        hypersdk.init_repository(
            self.root / "repository", protect=Protect.none(), chunk_size=64 << 10,
            cache=self.root / "cache",
        ).close()  # fmt: skip

    def _hypervisor(self, name: str) -> HypervisorRecord:
        if name not in self.hypervisors:
            raise NotFound(f"no hypervisor is called '{name}'", hint="Did you mean lab?")
        return self.hypervisors[name]

    def _repository(self, name: str) -> RepositoryRecord:
        if name not in self.repositories:
            raise NotFound(f"no repository is called '{name}'", hint="Did you mean main?")
        return self.repositories[name]

    def owned_by(self, tenant: str) -> None:
        """Everything belongs to a tenant now."""
        for known in (self.hypervisors, self.repositories):
            for name, record in known.items():
                known[name] = replace(record, tenant=tenant, revision=record.revision + 1)  # type: ignore[assignment]

    def mock(self, name: str = "lab") -> MockHypervisor:
        return MockHypervisor(self.root / name)

    def kinds(self, *allowed: Path) -> Kinds:
        def keep(hypervisor: str, instances: Sequence[hypersdk.Instance]) -> None:
            self.kept[hypervisor] = [each.name for each in instances]

        def tell(name: str, subject: str, tenant: str, data: Mapping[str, Any]) -> None:
            self.events.append((name, subject, tenant, data))

        return all_kinds(self.connections, folders=Folders(allowed), tell=tell, keep=keep)

    def run(self, kind: str, steps: Steps | None = None, /, **request: Any) -> Mapping[str, Any]:
        """A job of its own, whose first run is never disturbed."""
        job = job_of(kind, request, id=f"01JD{next(self._numbers):022d}")
        self.last = FakeRun(job, steps, kinds=self.kinds())
        self.kinds()[kind].plan(request)
        return self.kinds()[kind].work(request, self.last)

    def repository(self) -> Repository:
        return self.connections.repository("main")

    def points(self, instance: str | None = None) -> list[RestorePoint]:
        return self.repository().points(instance)

    def content(self, name: str, disk: str = "vda", *, on: str = "lab") -> bytes:
        """What a disk holds."""
        mock = self.mock(on)
        (found,) = (each for each in mock.inventory.instance(name).disks if each.name == disk)
        return Path(found.path).read_bytes()
