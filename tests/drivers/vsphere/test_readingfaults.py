"""What breaks while a machine is read, seen from whoever reads it disk by disk.

All faults in all phases, through backups and exports: tests/flows/vsphere/test_faults.py.
"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.drivers.vsphere import temporary
from hypersdk.drivers.vsphere.disks import VsphereDisks
from hypersdk.model.errors import (
    DataPathError,
    EndpointTimeout,
    HyperSDKError,
    Interrupted,
    OperationTimeout,
)
from tests.drivers.vsphere.reading import (
    DISK,
    MIB,
    Machines,
    content_of,
    disk_of,
    machines,
    read_all,
)

__all__ = ["machines"]


def whole(machines: Machines, name: str, disks: VsphereDisks | None = None) -> dict[str, bytes]:
    """A read as a backup does it."""
    with (disks or machines.disks).view(name, {}) as view:
        found = read_all(view)
        view.confirm()
    return found


def without_manifest(machines: Machines, name: str) -> None:
    """At the end of the next stream: it is asked for again in the end."""
    method = "HttpNfcLeaseGetManifest"
    machines.lab.fault("soap_fault", vm=name, method=method, fault="HostCommunication")


def noisy(machines: Machines) -> str:
    """With a stream long enough to break in the middle."""
    name = machines.make(running=True)
    machines.lab.write(name, 0, [{"offset": 2 * MIB, "length": 4 * MIB, "seed": "noise"}])
    return name


def test_a_cut_disk_is_begun_again_with_a_lease_of_its_own(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("drop_stream", vm=name, disk=0, at=2 * MIB)
    with machines.disks.view(name, {}) as view:
        with pytest.raises(EndpointTimeout):
            read_all(view)
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)
        assert len(machines.state(name)[0]) == 2
        view.confirm()
    machines.settled(name)


def test_what_came_by_the_first_lease_is_compared_all_the_same(machines: Machines) -> None:
    name = machines.make(running=True, disks=2)
    machines.lab.write(name, 0, [{"offset": 2 * MIB, "length": 4 * MIB, "seed": "noise"}])
    machines.lab.fault("drop_stream", vm=name, disk=0, at=2 * MIB)
    machines.lab.fault("truncated_manifest", vm=name, disk=1, times=9)
    with machines.disks.view(name, {}) as view:
        with pytest.raises(EndpointTimeout):
            content_of(disk_of(view))
        content_of(disk_of(view))
        without_manifest(machines, name)
        content_of(disk_of(view, "scsi0-1"))
        with pytest.raises(DataPathError, match=r"disk scsi0-1 .* manifest"):
            view.confirm()
    machines.settled(name)


def test_a_damaged_disk_that_was_read_again_is_whole(machines: Machines) -> None:
    """Whoever walks the damaged stream comes to its end before a grain is found to be broken; and
    some bytes are looked at by nobody but the digest."""
    name = noisy(machines)
    for at in (300, 2 * MIB):
        machines.lab.fault("corrupt_stream", vm=name, disk=0, at=at)
        with machines.disks.view(name, {}) as view:
            without_manifest(machines, name)
            with suppress(DataPathError):
                content_of(disk_of(view))
            assert content_of(disk_of(view)) == machines.lab.content(name, 0)
            view.confirm()
        machines.settled(name)


def test_a_lease_that_is_lost_takes_nothing_back_that_was_vouched_for(machines: Machines) -> None:
    name = machines.make(running=True, disks=2)
    machines.lab.write(name, 1, [{"offset": 2 * MIB, "length": 4 * MIB, "seed": "noise"}])
    machines.lab.fault("vmotion", vm=name, disk=1, at=2 * MIB)
    with machines.disks.view(name, {}) as view:
        first = content_of(disk_of(view))
        with pytest.raises(EndpointTimeout, match=r"scsi0-1.*the host ended the transfer"):
            content_of(disk_of(view, "scsi0-1"))
        assert content_of(disk_of(view, "scsi0-1")) == machines.lab.content(name, 1)
        view.confirm()
    assert first == machines.lab.content(name, 0)
    machines.settled(name)


def test_a_lease_that_ends_before_its_manifest_came_is_named(machines: Machines) -> None:
    name = noisy(machines)
    with machines.disks.view(name, {}) as view:
        without_manifest(machines, name)
        read_all(view)
        machines.lab.fault("lease_expiry", vm=name, seconds=0)
        deadline = time.monotonic() + 30
        while machines.state(name)[0]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(OperationTimeout, match=f"{DISK} of '{name}'.*timed out") as raised:
            view.confirm()
    assert raised.value.hint
    machines.settled(name)


def test_ranges_are_asked_for_again(machines: Machines) -> None:
    name = machines.make(cbt=True)
    with machines.disks.view(name, {}) as view:
        assert "ranges" in disk_of(view).reason
        machines.lab.fault("http_error", vm=name, disk=0, status=503, times=2)
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)
        machines.lab.fault("drop_stream", vm=name, disk=0, at=MIB)
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)
        machines.lab.fault("session_loss")
        assert content_of(disk_of(view)) == machines.lab.content(name, 0)
        view.confirm()
    machines.settled(name)


def test_ranges_that_never_come(machines: Machines) -> None:
    name = machines.make(cbt=True)
    with machines.disks.view(name, {}) as view:
        machines.lab.fault("http_error", vm=name, disk=0, status=503, times=99)
        with pytest.raises(HyperSDKError, match=f"disk {DISK} of '{name}'.*503"):
            content_of(disk_of(view))
    machines.lab.clear_faults()
    machines.settled(name)


def test_whoever_cancels_leaves_nothing(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("stall_stream", vm=name, disk=0, at=2 * MIB, seconds=60)
    token = CancelToken()
    begun = time.monotonic()

    def read() -> None:
        with machines.disks.view(name, {}) as view, disk_of(view).open() as source:
            for extent in source.extents():
                if extent.start >= MIB:
                    token.cancel()

    with token.scope(), pytest.raises(Interrupted):
        read()
    assert time.monotonic() - begun < 20
    machines.lab.clear_faults()
    machines.settled(name)


def test_a_host_that_is_lost_meanwhile(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "_PAUSE_SECONDS", 0.05)
    name = noisy(machines)

    def read() -> None:
        with machines.disks.view(name, {}) as view:
            with disk_of(view).open() as source:
                machines.lab.fault("host_unreachable", host=machines.host(name), times=99)
                copy(source, MemorySink(source.size))
            with disk_of(view).open():
                pass

    with pytest.raises(HyperSDKError) as raised:
        read()
    machines.lab.clear_faults()
    assert name in raised.value.message
    # Nobody can remove a snapshot from a host that is away: the next run does.
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)
    machines.settled(name)
