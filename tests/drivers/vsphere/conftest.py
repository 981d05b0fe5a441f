"""The lab, and connections to it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.driver import VsphereHypervisor, connect
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import VsphereLab

__all__ = ["vsphere_lab"]

#: Makes a machine of a name of its own with these fields of ``POST /vms``; its name.
Made = Callable[..., str]


@pytest.fixture
def connection(vsphere_lab: VsphereLab) -> Iterator[Connection]:
    made = Connection(address(vsphere_lab.url))
    yield made
    made.close()


@pytest.fixture
def hypervisor(vsphere_lab: VsphereLab) -> Iterator[VsphereHypervisor]:
    made = connect(vsphere_lab.url)
    yield made
    made.close()


@pytest.fixture
def made(vsphere_lab: VsphereLab) -> Iterator[Made]:
    """Machines that are gone again after the test, whatever they are called by then."""
    names: list[str] = []

    def make(name: str = "", **fields: Any) -> str:
        name = name or f"vm-{uuid4().hex[:8]}"
        vsphere_lab.add_vm(name=name, **fields)
        names.append(name)
        return name

    yield make
    vsphere_lab.clear_faults()
    for name in dict.fromkeys(names):
        vsphere_lab.remove_vm(name)


@pytest.fixture
def known_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fingerprints are remembered: nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "hypersdk" / "vsphere-hosts"
