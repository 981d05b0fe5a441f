from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypersdk.flows.preflight.rule import Needs, Rule
from hypersdk.flows.preflight.rules import BROKEN, GROUP, OURS, run_rules
from hypersdk.flows.preflight.subject import ArrivalFacts, DestinationFacts, Errand, Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.details import (
    DeviceDetails,
    DiskDetails,
    FilesystemDetails,
    GuestDetails,
    InstanceDetails,
    NicDetails,
    StorageDetails,
)
from hypersdk.model.instances import Instance, InstanceState
from tests.flows.preflight.examples import (
    GIB,
    arrival,
    destination,
    details,
    disk,
    found,
    running,
    running_disk,
)

TIB = 1 << 40
AGENT = GuestDetails(agent=True, hostname="web-1", addresses=("10.0.0.7",))
ROOT_FULL = GuestDetails(filesystems=(FilesystemDetails(path="/", size=GIB, free=1 << 20),))


def device(kind: str, **facts: Any) -> InstanceDetails:
    return details(devices=(DeviceDetails(kind=kind, name=f"{kind} 0", **facts),))


def nic(**facts: Any) -> NicDetails:
    return NicDetails(**{"name": "nic0", **facts})


#: Each rule, and an instance in which it finds something.
FINDINGS = [
    ("disk.capacity-invalid", disk(size=0)),
    ("disk.capacity-invalid", disk(size=-1)),
    ("disk.size-odd", disk(size=GIB + 1)),
    (
        "disk.changed-blocks-off",
        details(disks=disk(changed_blocks=False).disks, changed_blocks=True),
    ),
    ("disk.independent", disk(independent=True)),
    ("disk.independent-running", running_disk(independent=True)),
    ("disk.rdm-physical", disk(backing="rdm-physical")),
    ("disk.rdm-virtual", disk(backing="rdm-virtual")),
    ("disk.host-device", disk(backing="device")),
    ("disk.shared", disk(shared=True)),
    ("disk.multi-writer-running", running_disk(shared=True)),
    ("disk.too-many", details(disks=disk().disks * 24)),
    ("disk.serial-long", disk(serial="x" * 21)),
    ("disk.nvme", disk(controller="nvme")),
    ("device.passthrough", device("passthrough")),
    ("device.vgpu", device("vgpu")),
    ("device.sriov", device("sriov")),
    ("device.sriov", details(nics=(nic(model="sriov"),))),
    ("device.usb", device("usb")),
    ("device.tpm", device("tpm")),
    ("device.media", device("cdrom", detail="[ds] debian.iso")),
    ("device.serial", device("serial")),
    ("nic.disconnected", running(nics=(nic(connected=False),))),
    ("firmware.nvram", details(firmware="uefi")),
    ("firmware.secure-boot", details(secure_boot=True)),
    ("guest.free-space-later", details(guest=ROOT_FULL)),
    ("guest.disk-mapping", running(guest=AGENT)),
    ("guest.agent-missing", running(guest=GuestDetails(agent=False))),
    ("guest.hostname", running(guest=GuestDetails(agent=True, addresses=("10.0.0.7",)))),
    ("guest.hostname", details(guest=GuestDetails(hostname="localhost"))),
    ("guest.addresses-missing", running(guest=GuestDetails(agent=True), nics=(nic(),))),
    ("guest.os-unsupported", details(guest=GuestDetails(os_id="solaris11_64Guest"))),
    ("placement.storage-missing", details(storage=(StorageDetails(name="ds", accessible=False),))),
    ("placement.storage-full", running(storage=(StorageDetails(name="ds", capacity=GIB, free=1),))),
    ("placement.cpu-affinity", details(cpu_affinity=True)),
    ("placement.numa-affinity", details(numa_affinity=True)),
    ("placement.host-affinity", details(host_affinity=True)),
    ("placement.hotplug", details(cpu_hotplug=True)),
    ("placement.hotplug", details(memory_hotplug=True)),
    ("placement.fault-tolerance", details(fault_tolerance=True)),
    ("placement.balanced", details(balanced=True)),
    ("placement.power-managed", details(power_managed=True)),
    ("snapshot.present", details(snapshots=1)),
    ("snapshot.many", details(snapshots=28)),
    ("snapshot.many", details(snapshots=32)),
    ("snapshot.full", running(snapshots=32)),
    ("snapshot.consolidation", details(consolidation_needed=True)),
    ("changed-blocks.off", details(changed_blocks=False)),
    ("changed-blocks.unsupported", details(changed_blocks_supported=False, hardware="vmx-04")),
    ("state.running", running()),
    ("state.paused", details(state=InstanceState.PAUSED)),
    ("state.strange", details(state=InstanceState.CRASHED)),
    ("state.template", details(template=True)),
    ("privilege.lease", details(missing_privileges=("VApp.Export",))),
    ("privilege.snapshot", running(missing_privileges=("VirtualMachine.State.CreateSnapshot",))),
    ("privilege.other", details(missing_privileges=("VirtualMachine.State.CreateSnapshot",))),
    ("privilege.other", details(missing_privileges=("Datastore.Browse",))),
    ("instance.encrypted", details(encrypted=True)),
    ("name.invalid", details("Web Server")),
    ("name.invalid", details("w" * 64)),
    ("name.files", details("web/1")),
]

DESTINATIONS = [
    ("guest.free-space", details(guest=ROOT_FULL), {"converts": True}),
    ("destination.space", disk(), {"free": 109, "needed": 100, "total": 1000}),
    ("destination.space-low", disk(), {"free": 299, "needed": 100, "total": 1000}),
    ("destination.unwritable", disk(), {"unwritable": "Permission denied"}),
    ("destination.exists", disk(), {"existing": ("web.ovf", "web.mf")}),
    ("destination.unfinished", disk(), {"unfinished": (".web.partial",)}),
    ("format.disk-too-large", disk(size=65 * TIB), {"format": "vhdx"}),
    ("format.disk-too-large", disk(size=3 * TIB), {"format": "vdi"}),
    ("format.disk-too-large", disk(size=2 * TIB), {"format": "vhd"}),
    ("format.disk-too-large", disk(size=63 * TIB), {"format": "ova"}),
    ("format.ova-member", disk(size=9 * GIB), {"format": "ova"}),
]

ARRIVALS = [
    ("import.unreadable", details(), {"unreadable": "this is no OVA archive"}),
    ("import.file-missing", details(), {"missing_files": ("web-disk-0.vmdk",)}),
    ("import.exists", details(), {"exists": True}),
    ("import.refused", details(), {"accepted": False}),
    ("import.network-missing", details(), {"networks": ("lan",), "wanted_networks": ("dmz",)}),
    ("import.space", disk(), {"free": GIB - 1}),
    ("import.too-big", details(), {"memory": GIB}),
    ("import.too-big", details(), {"vcpus": 1}),
    ("disk.capacity-invalid", disk(size=0), {}),
]


@pytest.mark.parametrize(("rule", "of"), FINDINGS)
def test_found_on_an_instance(rule: str, of: InstanceDetails) -> None:
    assert rule in found(of)


@pytest.mark.parametrize(("rule", "of", "facts"), DESTINATIONS)
def test_found_at_a_destination(rule: str, of: InstanceDetails, facts: dict[str, Any]) -> None:
    assert rule in found(of, destination(**facts))


@pytest.mark.parametrize(("rule", "of", "facts"), ARRIVALS)
def test_found_on_arrival(rule: str, of: InstanceDetails, facts: dict[str, Any]) -> None:
    assert rule in found(of, at=arrival(**facts))


def test_every_rule_has_an_example() -> None:
    shown = {each[0] for each in (*FINDINGS, *DESTINATIONS, *ARRIVALS)}
    assert shown == {rule.id for rule in OURS}


def test_what_is_not_known_is_no_concern() -> None:
    plain = details()
    assert found(plain) == set()
    assert found(plain, destination()) == set()
    assert found(plain, at=arrival()) == set()
    assert found(disk(), destination()) == set()


@pytest.mark.parametrize(
    ("of", "to"),
    [
        (disk(independent=False, shared=False, changed_blocks=False), None),
        (details(missing_privileges=(), snapshots=0, encrypted=False, changed_blocks=True), None),
        (device("cdrom"), None),
        (
            running(
                guest=dataclasses.replace(
                    AGENT, filesystems=(FilesystemDetails(path="/", size=GIB, free=GIB),)
                )
            ),
            None,
        ),
        # A boot partition that could never have so much, and a mounted medium, are left alone.
        (
            details(
                guest=GuestDetails(
                    filesystems=(
                        FilesystemDetails(path="/boot/efi", size=64 << 20, free=0),
                        FilesystemDetails(path="/media/cd", size=GIB, free=0),
                        FilesystemDetails(path="/etc/tiny", size=1 << 20, free=0),
                    )
                )
            ),
            None,
        ),
        (disk(), destination(free=1000, needed=100, total=1000, unwritable="")),
        (disk(), destination(existing=("web.ovf",), overwrite=True)),
        (disk(), destination(unfinished=(".web.partial",), resume=True)),
        (disk(size=65 * TIB), destination(format="qcow2")),
        (disk(size=64 * TIB), destination(format="vhdx")),
        (disk(size=8 * GIB), destination(format="ova")),
    ],
)
def test_what_is_as_it_should_be(of: InstanceDetails, to: DestinationFacts | None) -> None:
    assert found(of, to) - {"state.running"} == set()


def test_a_full_datastore_matters_to_running_instances_only() -> None:
    full = (StorageDetails(name="ds", capacity=GIB, free=1),)
    assert "placement.storage-full" not in found(details(storage=full))
    assert "placement.storage-full" not in found(running(storage=(StorageDetails(name="ds"),)))


def test_one_finding_is_told_once() -> None:
    assert found(details(disks=disk(changed_blocks=False).disks, changed_blocks=False)) == {
        "changed-blocks.off"
    }
    low = destination(free=100, needed=100, total=1000)
    assert found(disk(), low) == {"destination.space"}
    assert found(running(snapshots=32)) == {"snapshot.full", "state.running"}


def test_rules_are_told_apart_and_say_what_to_do() -> None:
    ids = [rule.id for rule in OURS]
    assert len(ids) == len(set(ids))
    for rule in OURS:
        assert rule.title
        assert rule.fix.endswith(".")


def test_a_message_names_the_disk_and_the_instance() -> None:
    subject = Subject(errand=Errand.EXPORT, details=running_disk(independent=True))
    first = run_rules(subject)[0]
    assert (first.id, first.severity) == ("disk.independent-running", Severity.CRITICAL)
    assert "scsi0-0 of web" in first.message
    assert "--power-off" in first.fix


def test_the_gravest_comes_first() -> None:
    of = running(encrypted=True, snapshots=2, cpu_affinity=True)
    found_ = run_rules(Subject(errand=Errand.EXPORT, details=of))
    assert [each.severity for each in found_] == sorted(
        (each.severity for each in found_), key=list(Severity).index
    )
    assert [each.id for each in found_][:2] == ["instance.encrypted", "placement.cpu-affinity"]


# Any facts at all: of the right types, with whatever values.

_texts = st.text(max_size=80)
_flags = st.sampled_from([None, True, False])
_numbers = st.none() | st.integers(-(1 << 70), 1 << 70)


def _records(kind: type, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.builds(kind, **fields), max_size=3).map(tuple)


_sizes = st.integers(-(1 << 70), 1 << 70)
_filesystems = _records(FilesystemDetails, path=_texts, size=_sizes, free=_sizes)
_disks = _records(
    DiskDetails,
    name=_texts,
    size=_sizes,
    backing=st.sampled_from(["file", "rdm-physical", "rdm-virtual", "device", ""]),
    independent=_flags,
    shared=_flags,
    thin=_flags,
    changed_blocks=_flags,
    serial=_texts,
    controller=_texts,
)
_kinds = st.sampled_from(["usb", "passthrough", "vgpu", "sriov", "tpm", "cdrom", "floppy", "x"])
_everything = st.builds(
    InstanceDetails,
    instance=st.builds(
        Instance, _texts, _texts, st.sampled_from(InstanceState), st.integers(), _sizes
    ),
    firmware=_texts,
    secure_boot=_flags,
    template=_flags,
    encrypted=_flags,
    stored=_numbers,
    snapshots=_numbers,
    consolidation_needed=_flags,
    changed_blocks=_flags,
    changed_blocks_supported=_flags,
    cpu_affinity=_flags,
    cpu_hotplug=_flags,
    balanced=_flags,
    disks=_disks,
    nics=_records(NicDetails, name=_texts, model=_texts, connected=_flags),
    devices=_records(DeviceDetails, kind=_kinds, name=_texts, detail=_texts),
    storage=_records(
        StorageDetails, name=_texts, accessible=_flags, capacity=_numbers, free=_numbers
    ),
    guest=st.builds(
        GuestDetails,
        agent=_flags,
        hostname=_texts,
        os=_texts,
        os_id=_texts,
        filesystems=_filesystems,
    ),
    missing_privileges=st.none() | st.lists(_texts, max_size=3).map(tuple),
)
_destinations = st.builds(
    DestinationFacts,
    folder=st.just(Path("/exports")),
    format=_texts,
    unwritable=st.none() | _texts,
    free=_numbers,
    total=_numbers,
    needed=_numbers,
    existing=st.lists(_texts, max_size=3).map(tuple),
)
_arrivals = st.builds(
    ArrivalFacts,
    hypervisor=_texts,
    package=st.just(Path("/packages/web.ova")),
    exists=_flags,
    accepted=_flags,
    networks=st.none() | st.lists(_texts, max_size=3).map(tuple),
    wanted_networks=st.lists(_texts, max_size=3).map(tuple),
    free=_numbers,
    memory=_numbers,
    vcpus=_numbers,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(_everything, st.sampled_from(Errand), st.none() | _destinations, st.none() | _arrivals)
def test_no_facts_make_a_rule_raise(
    of: InstanceDetails,
    errand: Errand,
    to: DestinationFacts | None,
    at: ArrivalFacts | None,
) -> None:
    subject = Subject(errand=errand, details=of, destination=to, arrival=at)
    for rule in OURS:
        for concern in rule.concerns(subject):
            assert concern.message
            assert "None" not in concern.message.replace(of.instance.name, "")


# Rules of other programs.

TALL = Rule(
    id="acme.tall",
    title="Tall",
    severity=Severity.WARNING,
    check=lambda subject: [f"{subject.name} is tall"],
    fix="Cut it.",
)


def _failing(_: Subject) -> list[str]:
    raise ZeroDivisionError("division by zero")


FAILING = Rule(
    id="acme.failing", title="Fails", severity=Severity.CRITICAL, check=_failing, fix="Mend it."
)
SEVERAL = (TALL, FAILING, "no rule")
NOTHING = 7


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a program as pip does; its entry points are names in this module."""

    def install(*names: str) -> None:
        info = tmp_path / "acme_rules-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
        lines = "".join(f"acme-{name} = {__name__}:{name}\n" for name in names)
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_rules_of_other_programs(install: Install) -> None:
    install("TALL")
    (concern,) = run_rules(Subject(errand=Errand.EXPORT, details=details()))
    assert (concern.id, concern.message, concern.fix) == ("acme.tall", "web is tall", "Cut it.")


def test_a_broken_rule_of_another_program_is_told_and_others_go_on(install: Install) -> None:
    install("SEVERAL", "MISSING", "NOTHING")
    found_ = run_rules(Subject(errand=Errand.EXPORT, details=details(encrypted=True)))
    assert [each.id for each in found_] == [
        "instance.encrypted", "acme.tall", BROKEN, BROKEN, BROKEN, BROKEN
    ]  # fmt: skip
    told = "\n".join(each.message for each in found_)
    assert "acme.failing of 'acme-SEVERAL' failed: ZeroDivisionError: division by zero" in told
    assert "'acme-SEVERAL' hold something else: TypeError: str is no Rule" in told
    assert "'acme-MISSING' cannot be loaded: AttributeError" in told
    assert "'acme-NOTHING' cannot be loaded: TypeError" in told
    broken = [each for each in found_ if each.id == BROKEN]
    assert {each.severity for each in broken} == {Severity.INFO}
    assert all("acme-rules" in each.fix for each in broken)


def test_a_rule_without_its_facts_is_passed_over() -> None:
    rule = dataclasses.replace(TALL, needs=Needs.DESTINATION)
    assert list(rule.concerns(Subject(errand=Errand.EXPORT, details=details()))) == []
    there = Subject(errand=Errand.EXPORT, details=details(), destination=destination())
    assert [each.id for each in rule.concerns(there)] == ["acme.tall"]
    back = Subject(errand=Errand.IMPORT, details=details(), destination=destination())
    assert list(rule.concerns(back)) == []
