"""Whatever breaks while a machine is read: the error says what and where, and nothing stays."""

from __future__ import annotations

import time

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
    HypervisorError,
    ImageRefused,
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


def failing(machines: Machines, name: str, disks: VsphereDisks | None = None) -> HyperSDKError:
    """The error of a read; nothing is left on the host by it."""
    with pytest.raises(HyperSDKError) as raised:
        whole(machines, name, disks)
    machines.settled(name)
    assert name in raised.value.message
    assert raised.value.hint
    return raised.value


def noisy(machines: Machines) -> str:
    """With a stream long enough to break in the middle."""
    name = machines.make(running=True)
    machines.lab.write(name, 0, [{"offset": 2 * MIB, "length": 4 * MIB, "seed": "noise"}])
    return name


def test_a_cut_stream_is_no_disk(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("drop_stream", vm=name, disk=0, at=2 * MIB)
    error = failing(machines, name)
    assert isinstance(error, EndpointTimeout)
    assert error.retryable
    assert DISK in error.message
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)


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
        content_of(disk_of(view, "scsi0-1"))
        with pytest.raises(DataPathError, match=r"disk scsi0-1 .* manifest"):
            view.confirm()
    machines.settled(name)


def test_a_stream_that_breaks_before_it_gave_anything_is_begun_again(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("http_error", vm=name, disk=0, status=503, times=1)
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)
    machines.settled(name)


def test_a_host_that_only_answers_with_errors(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("http_error", vm=name, disk=0, status=503, times=9)
    assert "503" in failing(machines, name).message


def test_damage_is_noticed(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("corrupt_stream", vm=name, disk=0, at=2 * MIB)
    assert isinstance(failing(machines, name), (ImageRefused, DataPathError))


def test_a_digest_that_differs_is_not_confirmed(machines: Machines) -> None:
    name = machines.make(running=True)
    machines.lab.fault("truncated_manifest", vm=name, disk=0)
    error = failing(machines, name)
    assert isinstance(error, DataPathError)
    assert "manifest" in error.message


def test_silence_ends(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("stall_stream", vm=name, disk=0, at=2 * MIB, seconds=60)
    begun = time.monotonic()
    error = failing(machines, name, VsphereDisks(machines.connection, silence=1.0))
    machines.lab.clear_faults()
    assert isinstance(error, EndpointTimeout)
    assert time.monotonic() - begun < 30


def test_a_short_silence_is_no_end(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("stall_stream", vm=name, disk=0, at=2 * MIB, seconds=1.5)
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)


def test_a_lease_that_does_not_begin(machines: Machines) -> None:
    name = machines.make(running=True)
    machines.lab.fault("lease_error", vm=name, times=9)
    assert isinstance(failing(machines, name), HypervisorError)


def test_a_lease_that_ends_meanwhile_is_named(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("lease_expiry", vm=name, seconds=0.5)
    with machines.disks.view(name, {}) as view:
        read_all(view)
        time.sleep(1.0)
        with pytest.raises(OperationTimeout) as raised:
            view.confirm()
    assert name in raised.value.message
    machines.settled(name)


def test_a_session_that_is_lost_is_renewed(machines: Machines) -> None:
    name = noisy(machines)
    with machines.disks.view(name, {}) as view:
        machines.lab.fault("session_loss")
        assert read_all(view)[DISK] == machines.lab.content(name, 0)
        view.confirm()
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


def test_vmotion_cuts_a_stream(machines: Machines) -> None:
    name = noisy(machines)
    machines.lab.fault("vmotion", vm=name, at=2 * MIB)
    error = failing(machines, name)
    assert error.retryable or isinstance(error, OperationTimeout)
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)


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


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("CreateSnapshot_Task", "NoPermission"),
        ("ExportSnapshot", "NoPermission"),
        ("ExportSnapshot", "HostCommunication"),
        ("HttpNfcLeaseGetManifest", "HostCommunication"),
        ("HttpNfcLeaseComplete", "HostCommunication"),
    ],
)
def test_calls_that_fail_leave_nothing(machines: Machines, method: str, fault: str) -> None:
    name = machines.make(running=True)
    machines.lab.fault("soap_fault", vm=name, method=method, fault=fault, times=9)
    with pytest.raises(HyperSDKError) as raised:
        whole(machines, name)
    machines.lab.clear_faults()
    assert raised.value.hint
    machines.settled(name)


def test_a_snapshot_that_cannot_be_removed_at_once(machines: Machines) -> None:
    name = machines.make(running=True)
    machines.lab.fault(
        "soap_fault", vm=name, method="RemoveSnapshot_Task", fault="HostCommunication", times=2
    )
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)
    machines.settled(name)


def test_a_host_that_cannot_be_reached(machines: Machines) -> None:
    name = noisy(machines)
    with machines.lab.faulty("host_unreachable", host=machines.host(name), times=99):
        with pytest.raises(HyperSDKError) as raised:
            whole(machines, name)
        assert name in raised.value.message
        assert raised.value.hint
    machines.settled(name)
    assert whole(machines, name)[DISK] == machines.lab.content(name, 0)


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
