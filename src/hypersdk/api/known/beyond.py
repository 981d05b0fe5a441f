"""What drivers of libvirt and vSphere have beside the parts of the port."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

from hypersdk.api.known.reach import there
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.domains import DomainFacts
from hypersdk.model.instances import Instance
from hypersdk.model.management import (
    CloneWish,
    ClusterFacts,
    DatacenterFacts,
    HostFacts,
    PoolFacts,
    ServerEvent,
    ServerFacts,
    Share,
    Used,
)
from hypersdk.model.resources import Volume
from hypersdk.model.topology import TaskRecord


class Domains(Protocol):
    """`drivers.libvirt.domainfacts`."""

    def facts(self) -> Mapping[str, DomainFacts]: ...

    def of(self, name: str) -> DomainFacts: ...

    def describe(self, name: str, description: str) -> None: ...


class Volumes(Protocol):
    """`drivers.libvirt.volumes`."""

    def volume(self, pool: str, name: str) -> Volume: ...

    def preallocate(self, pool: str, name: str, size: int, format: str) -> Volume: ...

    def clone(self, pool: str, source: str, name: str, to: str = "") -> Volume: ...

    def shrink(self, pool: str, name: str, size: int) -> Volume: ...

    def upload(self, pool: str, name: str, image: Path, size: int, format: str) -> Volume: ...

    def wipe(self, pool: str, name: str, algorithm: str = "zero") -> None: ...


class Overview(Protocol):
    """`drivers.vsphere.overview`."""

    def server(self) -> ServerFacts: ...

    def hosts(self) -> Sequence[HostFacts]: ...

    def clusters(self) -> Sequence[ClusterFacts]: ...

    def datacenters(self) -> Sequence[DatacenterFacts]: ...


class ResourcePools(Protocol):
    """`drivers.vsphere.resourcepools`."""

    def pools(self) -> Sequence[PoolFacts]: ...

    def create(
        self, name: str, parent: str = "", *, processors: Share = ..., ram: Share = ...
    ) -> PoolFacts: ...

    def change(
        self, name: str, *, processors: Share = ..., ram: Share = ..., rename: str = ""
    ) -> PoolFacts: ...

    def delete(self, name: str) -> None: ...


class Consumption(Protocol):
    """`drivers.vsphere.consumption`."""

    def current(self, kind: str, name: str) -> Used: ...

    def history(
        self, kind: str, name: str, interval: str, start: datetime, end: datetime
    ) -> Sequence[Used]: ...


class PastEvents(Protocol):
    """`drivers.vsphere.pastevents`."""

    def since(
        self,
        moment: datetime,
        *,
        kinds: Collection[str] = (),
        subjects: Collection[str] = (),
        after: int = 0,
    ) -> Sequence[ServerEvent]: ...


class Tasks(Protocol):
    """`drivers.vsphere.tasks`."""

    def recent(self) -> Sequence[TaskRecord]: ...

    def history(self, name: str = "", *, most: int = 100) -> Sequence[TaskRecord]: ...


class Made(Protocol):
    """`drivers.vsphere.deploying.Clone`."""

    @property
    def instance(self) -> Instance: ...

    @property
    def path(self) -> str: ...


class Deploying(Protocol):
    """`drivers.vsphere.deploying`."""

    def clone(self, wish: CloneWish) -> Made: ...


def domains(hypervisor: Hypervisor) -> Domains | None:
    """None for what is no libvirt."""
    return cast("Domains | None", _own(hypervisor, "domains"))


def volumes(hypervisor: Hypervisor) -> Volumes:
    """Raises NotSupported."""
    return there(cast("Volumes | None", _own(hypervisor, "volumes")), "volumes", hypervisor)


def overview(hypervisor: Hypervisor) -> Overview:
    """Raises NotSupported for what is no vSphere; so do all below."""
    return there(cast("Overview | None", _own(hypervisor, "overview")), "hosts", hypervisor)


def pools(hypervisor: Hypervisor) -> ResourcePools:
    found = cast("ResourcePools | None", _own(hypervisor, "pools"))
    return there(found, "resource pools", hypervisor)


def consumption(hypervisor: Hypervisor) -> Consumption:
    found = cast("Consumption | None", _own(hypervisor, "consumption"))
    return there(found, "statistics", hypervisor)


def past_events(hypervisor: Hypervisor) -> PastEvents:
    found = cast("PastEvents | None", _own(hypervisor, "past_events"))
    return there(found, "record of events", hypervisor)


def tasks(hypervisor: Hypervisor) -> Tasks:
    return there(cast("Tasks | None", _own(hypervisor, "tasks")), "tasks", hypervisor)


def deploying(hypervisor: Hypervisor) -> Deploying | None:
    """None where clones go beside their originals only."""
    return cast("Deploying | None", _own(hypervisor, "deploying"))


def _own(hypervisor: Hypervisor, name: str) -> Any:
    """Such attributes are no part of the port: most drivers have none."""
    return getattr(hypervisor, name, None)
