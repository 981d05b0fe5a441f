"""Whatever goes wrong in whichever phase: all of the machine or a clear error, and nothing stays.

Streams of stopped machines read by ranges, and what is said of changed blocks, have their faults in
tests/drivers/vsphere/test_readingfaults.py and test_changes.py.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from hypersdk import Repository
from hypersdk.datapath.memory import MemorySink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.streamvmdk import StreamVmdkSource
from hypersdk.drivers.vsphere import exporting, temporary
from hypersdk.drivers.vsphere.disks import VsphereDisks
from hypersdk.drivers.vsphere.driver import VsphereHypervisor, connect
from hypersdk.flows import attempts
from hypersdk.flows.backup import backup_instance
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.restore import restore
from hypersdk.model.errors import HyperSDKError
from tests.flows.examples import repository_at
from tests.vsphere.lab import VsphereLab

MIB = 1 << 20
SIZE = 3 * MIB
DISKS = ("scsi0-0", "scsi0-1")
#: Of an error: the machine, and a disk of it.
DISK = r"scsi0-[01]"
#: More often than anybody tries.
EVER = 99
#: Whole disks as they came, by the number of the disk.
Contents = list[bytes]
Flow = Callable[[VsphereHypervisor, str, Path], Contents]


@dataclass(frozen=True)
class Case:
    """A fault, where it strikes, and what is to come of it."""

    phase: str
    kind: str
    fields: dict[str, object] = field(default_factory=dict)
    #: Patterns that the error has to match; empty: it must be survived.
    says: tuple[str, ...] = ()
    #: It is survived all the same: a disk is read again.
    again: bool = False
    #: The machine cannot be rid of its snapshot now; the next run removes it.
    stays: bool = False

    def __str__(self) -> str:
        words = [self.phase, self.kind, *(str(value) for value in self.fields.values())]
        return "-".join(words)


def soap(phase: str, method: str, fault: str, times: int, *says: str, **more: bool) -> Case:
    """A call that ends with a fault."""
    fields: dict[str, object] = {"method": method, "fault": fault, "times": times}
    return Case(phase, "soap_fault", fields, says, **more)


def lost(phase: str, method: str) -> Case:
    """The session ends with a call."""
    return Case(phase, "session_loss", {"method": method})


#: Grains that cannot be unpacked, or make no sense; or the digest was quicker.
DAMAGED = (DISK, "damaged|impossible|did not come as it was sent")
CUT = (DISK, "stream was cut after")
CASES = [
    soap("connect", "CreateContainerView", "HostCommunication", 1, "cannot", "host communication"),
    lost("connect", "RetrievePropertiesEx"),
    Case("connect", "host_unreachable", {}, ("cannot be reached", "host is disconnected")),
    soap("snapshot", "CreateSnapshot_Task", "ApplicationQuiesceFault", 1),
    soap("snapshot", "CreateSnapshot_Task", "NoPermission", EVER,
         "temporary snapshot", "privilege VirtualMachine.State.CreateSnapshot"),
    soap("snapshot", "CreateSnapshot_Task", "HostCommunication", EVER,
         "temporary snapshot", "host communication"),
    soap("snapshot", "CreateSnapshot_Task", "NoDiskSpace", EVER,
         "temporary snapshot", "no disk space"),
    lost("snapshot", "CreateSnapshot_Task"),
    Case("lease", "lease_error", {"times": EVER},
         (DISK, "does not begin the export", "the host did not answer")),
    Case("lease", "lease_expiry", {"seconds": 0, "times": EVER}, (DISK, "the lease timed out")),
    soap("lease", "ExportSnapshot", "HostCommunication", 1),
    soap("lease", "ExportSnapshot", "HostCommunication", EVER, DISK, "export", "communication"),
    soap("lease", "ExportSnapshot", "NoPermission", EVER, DISK, "privilege VApp.Export"),
    soap("lease", "HttpNfcLeaseSetManifestChecksumType", "NotSupported", EVER),
    lost("lease", "ExportSnapshot"),
    Case("lease", "http_error", {"status": 503}),
    Case("lease", "http_error", {"status": 500, "times": EVER},
         (DISK, "the host answers 500", "export stream is begun")),
    Case("stream", "drop_stream", {"at": MIB}, CUT, again=True),
    Case("stream", "drop_stream", {"at": MIB, "times": EVER}, CUT),
    Case("stream", "drop_stream", {"at": 0, "times": 2}),
    Case("stream", "corrupt_stream", {"at": MIB}, DAMAGED, again=True),
    Case("stream", "corrupt_stream", {"at": MIB, "times": EVER}, DAMAGED),
    # In the first sector, behind the fields: nothing but the digest sees it.
    Case("stream", "corrupt_stream", {"at": 300}, (DISK, "did not come as it was sent"),
         again=True),
    Case("stream", "stall_stream", {"at": MIB, "seconds": 0.3}),
    Case("stream", "stall_stream", {"at": MIB, "times": EVER},
         (DISK, "nothing came or went for 1 seconds")),
    Case("stream", "slow_host", {"at": 8 * MIB}),
    Case("stream", "vmotion", {"at": MIB}, (*CUT, "the host ended the transfer"), again=True),
    Case("stream", "lease_error", {"at": MIB}, (*CUT, "the host ended the transfer"), again=True),
    Case("stream", "session_loss", {"at": MIB}),
    Case("stream", "host_lost", {}, (DISK,), stays=True),
    Case("manifest", "truncated_manifest", {}, (DISK, "vSphere's manifest says"), again=True),
    Case("manifest", "truncated_manifest", {"times": EVER}, (DISK, "vSphere's manifest says")),
    soap("manifest", "HttpNfcLeaseGetManifest", "HostCommunication", 1),
    soap("manifest", "HttpNfcLeaseGetManifest", "HostCommunication", EVER,
         DISK, "get the manifest", "host communication"),
    lost("manifest", "HttpNfcLeaseGetManifest"),
    soap("manifest", "HttpNfcLeaseComplete", "InvalidState", EVER),
    soap("manifest", "HttpNfcLeaseComplete", "HostCommunication", EVER,
         "complete the export lease", "host communication"),
    lost("manifest", "HttpNfcLeaseComplete"),
    soap("removal", "RemoveSnapshot_Task", "TaskInProgress", 2),
    soap("removal", "RemoveSnapshot_Task", "HostCommunication", 2),
    soap("removal", "RemoveSnapshot_Task", "HostCommunication", EVER,
         "temporary snapshot .* could not be removed", "host communication", stays=True),
    soap("removal", "RemoveSnapshot_Task", "NoPermission", EVER,
         "temporary snapshot .* could not be removed", "RemoveSnapshot is missing|privilege",
         stays=True),
    lost("removal", "RemoveSnapshot_Task"),
]  # fmt: skip
#: Whom nothing can be said about by name: the call is not made for one machine.
OF_ALL = frozenset({"CreateContainerView", "RetrievePropertiesEx"})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other quickly."""
    monkeypatch.setattr(temporary, "_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(exporting, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(attempts, "_PAUSES", (0.05, 0.05))


@pytest.fixture
def machine(vsphere_lab: VsphereLab) -> Iterator[str]:
    """A running machine with two disks that cannot be packed."""
    name = f"broken-{uuid4().hex[:8]}"
    disks = [{"size": SIZE, "thin": True} for _ in DISKS]
    vsphere_lab.add_vm(name=name, disks=disks, running=True)
    for number in range(len(DISKS)):
        noise = {"offset": 0, "length": SIZE, "seed": f"noise {number}"}
        vsphere_lab.write(name, number, [noise])
    yield name
    vsphere_lab.clear_faults()
    vsphere_lab.remove_vm(name)


def exported(hypervisor: VsphereHypervisor, name: str, folder: Path) -> Contents:
    """By an export as OVF; no file stays of one that fails, nor a half one of any."""
    target = folder / "export"
    target.mkdir()
    try:
        done = export_instance(hypervisor, name, target)
    except HyperSDKError:
        assert os.listdir(target) == []
        raise
    assert not [each for each in os.listdir(target) if each.startswith(".") or "partial" in each]
    return [_unpacked(target / disk.file) for disk in done.disks]


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file, StreamVmdkSource(file, path.name) as source:
        sink = MemorySink(source.size)
        copy(source, sink)
        assert source.finished
    return sink.content


def backed_up(hypervisor: VsphereHypervisor, name: str, folder: Path) -> Contents:
    """By a backup. One that fails is no restore point, unless all was done but for cleaning up."""
    with repository_at(folder) as repository:
        try:
            point = backup_instance(repository, hypervisor, name)
        except HyperSDKError as error:
            assert_point(repository, name, complete="could not be removed" in error.message)
            raise
        for disk in DISKS:
            restore(repository, point, folder / disk, disk=disk)
    return [(folder / disk).read_bytes() for disk in DISKS]


def assert_point(repository: Repository, name: str, *, complete: bool) -> None:
    """A restore point is there, or not."""
    assert bool(repository.latest(name)) == complete


def strike(lab: VsphereLab, case: Case, name: str) -> threading.Timer | None:
    """Let it go wrong; what does not wait for its moment is given one."""
    where = {} if case.fields.get("method") in OF_ALL else {"vm": name}
    if case.kind not in ("host_unreachable", "host_lost"):
        lab.fault(case.kind, **where, **case.fields)
        return None
    host = next(each["host"] for each in lab.state()["machines"] if each["name"] == name)
    if case.kind == "host_unreachable":
        lab.fault(case.kind, host=host)
        return None
    lab.fault("slow_host", vm=name, at=MIB)
    timer = threading.Timer(1.2, lab.fault, ("host_unreachable",), {"host": host})
    timer.start()
    return timer


def assert_nothing_left(lab: VsphereLab, name: str, *, snapshot: bool) -> None:
    """No lease, no stream, and no snapshot but one that could not be removed."""
    deadline = time.monotonic() + 30
    while lab.state()["streams"]["open"] and time.monotonic() < deadline:
        time.sleep(0.05)  # the lab notices a client that is gone when it writes
    state = lab.state()
    assert state["streams"]["open"] == 0
    assert [each for each in state["leases"] if each["vm"] == name] == []
    assert len([each for each in state["snapshots"] if each["vm"] == name]) == snapshot


@pytest.mark.parametrize("flow", [exported, backed_up], ids=["export", "backup"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_all_or_nothing(
    vsphere_lab: VsphereLab, machine: str, tmp_path: Path, case: Case, flow: Flow
) -> None:
    before = len(vsphere_lab.state()["sessions"])
    hypervisor = connect(vsphere_lab.url)
    hypervisor.disks = VsphereDisks(hypervisor.connection, silence=1.0)
    try:
        timer = strike(vsphere_lab, case, machine)
        survives = not case.says or case.again
        if survives:
            wanted = [vsphere_lab.content(machine, number) for number in range(len(DISKS))]
            assert flow(hypervisor, machine, tmp_path) == wanted
        else:
            with pytest.raises(HyperSDKError) as raised:
                flow(hypervisor, machine, tmp_path)
            assert_says(raised.value, case, machine)
        if timer is not None:
            timer.join()
        vsphere_lab.clear_faults()
        assert_nothing_left(vsphere_lab, machine, snapshot=case.stays)
        if case.stays:
            assert machine in "".join(hypervisor.leftovers.reap())
            assert_nothing_left(vsphere_lab, machine, snapshot=False)
    finally:
        hypervisor.close()
    assert len(vsphere_lab.state()["sessions"]) <= before


def assert_says(error: HyperSDKError, case: Case, machine: str) -> None:
    """The machine, the disk where there is one, the phase, the cause, and what to do."""
    for pattern in (machine, *case.says):
        assert re.search(pattern, error.message), error.message
    assert error.hint


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("soap_fault", {"method": "Login", "fault": "InvalidLogin"}, "log in to .* as lab"),
        ("soap_fault", {"method": "Login", "fault": "HostCommunication"}, "log in to .* as lab"),
    ],
)
def test_who_cannot_log_in_leaves_no_session(
    vsphere_lab: VsphereLab, kind: str, fields: dict[str, object], said: str
) -> None:
    """No machine is named yet: the server and the user are."""
    before = len(vsphere_lab.state()["sessions"])
    with vsphere_lab.faulty(kind, **fields), pytest.raises(HyperSDKError, match=said) as raised:
        connect(vsphere_lab.url)
    assert raised.value.hint
    assert len(vsphere_lab.state()["sessions"]) == before
