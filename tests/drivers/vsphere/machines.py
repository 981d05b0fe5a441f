"""Machines that the driver makes for tests, and takes away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InstanceNotFound, InvalidState
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import MIB

#: Makes a machine with these fields of a spec beside a name and a disk of 4 MiB; its name.
Create = Callable[..., str]


@pytest.fixture
def create(hypervisor: VsphereHypervisor) -> Iterator[Create]:
    names: list[str] = []

    def make(**fields: object) -> str:
        name = f"ops-{uuid4().hex[:8]}"
        names.append(name)
        plain = {"memory": 64 * MIB, "disks": (DiskSpec(size=4 * MIB),)}
        hypervisor.lifecycle.create(InstanceSpec(name=name, **{**plain, **fields}))  # type: ignore[arg-type]
        return name

    yield make
    for name in reversed(names):
        remove(hypervisor, name)


def remove(hypervisor: VsphereHypervisor, name: str) -> None:
    """In whatever state it is; nothing where it is gone."""
    with suppress(InstanceNotFound):
        hypervisor.lifecycle.stop(name, force=True)
        with suppress(InvalidState):
            hypervisor.clones.unmake_template(name)
        hypervisor.lifecycle.delete(name, disks=True)
