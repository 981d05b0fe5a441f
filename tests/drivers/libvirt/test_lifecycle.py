from __future__ import annotations

import io
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pycdlib
import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.elements import document
from hypersdk.drivers.libvirt.lifecycle import LibvirtLifecycle
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    InvalidState,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.operations import OUTCOMES, Gone, Operation
from hypersdk.model.specs import (
    CloudInit,
    DiskSpec,
    InstanceSpec,
    MountSpec,
    NicSpec,
    PortSpec,
)
from hypersdk.model.units import GIB, MIB
from tests.kvm import domains
from tests.kvm.domains import Guest, domain_xml
from tests.kvm.fixtures import Lab

ODD = "ü & <x> \"y' z"


@pytest.fixture
def hypervisor(lab: Lab) -> Iterator[LibvirtHypervisor]:
    connected = LibvirtHypervisor(lab.libvirtd.uri)
    yield connected
    connected.close()


def state(hypervisor: LibvirtHypervisor, name: str) -> str:
    return hypervisor.inventory.instance(name).state.value


def defined(lab: Lab, name: str = "web", **options: object) -> str:
    lab.connection.defineXML(domain_xml(name, **options))  # type: ignore[arg-type]
    return name


def test_create_makes_disks_and_defines(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    spec = InstanceSpec(
        name=ODD,
        vcpus=2,
        vcpus_maximum=4,
        memory=64 * MIB,
        memory_maximum=128 * MIB,
        disks=(
            DiskSpec(path=f"{lab.folder}/a & b.qcow2", size=8 * MIB),
            DiskSpec(path=f"{lab.folder}/c.raw", size=MIB, format="raw", bus="scsi"),
            DiskSpec(path=f"{lab.folder}/d.raw", size=MIB, format="raw", bus="sata"),
        ),
        nics=(NicSpec(mac="52:54:00:00:00:01"),),
        firmware="uefi",
        acceleration="tcg",
        tags={"tier": "gold & <more>"},
    )
    made = hypervisor.lifecycle.create(spec)
    assert (made.name, made.state) == (ODD, InstanceState.STOPPED)
    assert (made.vcpus, made.memory) == (2, 64 * MIB)
    assert [(disk.name, disk.size, disk.format) for disk in made.disks] == [
        ("vda", 8 * MIB, "qcow2"),
        ("sda", MIB, "raw"),
        ("sdb", MIB, "raw"),
    ]
    assert made.tags == {"tier": "gold & <more>"}
    assert made == hypervisor.inventory.instance(ODD)
    said = subprocess.check_output(["qemu-img", "info", made.disks[0].path], text=True)
    assert "compat: 1.1" in said  # version 3: it can keep bitmaps
    assert Path(made.disks[1].path).stat().st_blocks == 0
    xml = lab.connection.lookupByName(ODD).XMLDesc()
    assert "current='2'>4</vcpu>" in xml
    assert "<memory unit='KiB'>131072</memory>" in xml

    hypervisor.lifecycle.start(ODD)
    xml = lab.connection.lookupByName(ODD).XMLDesc()
    assert "52:54:00:00:00:01" in xml
    assert "org.qemu.guest_agent.0" in xml
    assert "<listen type='address' address='127.0.0.1'/>" in xml
    assert "enabled='no' name='enrolled-keys'" in xml
    hypervisor.lifecycle.stop(ODD, force=True)
    hypervisor.lifecycle.delete(ODD, disks=True)
    assert list(lab.folder.iterdir()) == []


def test_what_create_makes_boots(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """The guest sees its disks, the agent answers, and there are sockets for more."""
    later = lab.image("later.qcow2", "1M")
    hypervisor.lifecycle.create(
        InstanceSpec(
            name="web",
            vcpus_maximum=2,
            memory=192 * MIB,
            memory_maximum=256 * MIB,
            disks=(DiskSpec(path=f"{lab.folder}/a.qcow2", size=4 * MIB),),
            cloud_init=CloudInit(),
            acceleration="tcg",
            kernel=str(lab.system.kernel),
            initrd=str(lab.system.initramfs),
            kernel_arguments="console=ttyS0 quiet loglevel=1 mitigations=off panic=-1",
        )
    )
    hypervisor.lifecycle.start("web")
    domain = lab.connection.lookupByName("web")
    guest = Guest(domain)
    guest.wait_ready()
    assert guest.run("cat /sys/class/block/vda/size") == f"{4 * MIB // 512}\n"
    disk = domains.DiskSpec(later, "vdb").element()
    domain.attachDevice(document(disk))
    begun = time.monotonic()
    while "vdb" not in guest.run("ls /sys/class/block"):
        assert time.monotonic() - begun < 20
    hypervisor.lifecycle.stop("web", timeout=30)
    guest.close()
    hypervisor.lifecycle.delete("web", disks=True)
    assert [path.name for path in lab.folder.iterdir()] == ["later.qcow2"]


def test_disks_in_pools_and_over_base_images(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    assert hypervisor.storage is not None
    hypervisor.storage.create_pool("default", str(lab.folder / "default"))
    hypervisor.storage.create_pool("other", str(lab.folder / "other"))
    base = lab.image("base.qcow2", "5M")
    raw = lab.image("base.raw", "3M", format="raw")
    made = hypervisor.lifecycle.create(
        InstanceSpec(
            name="web",
            acceleration="tcg",
            disks=(
                DiskSpec(size=MIB),
                DiskSpec(pool="other", size=MIB, format="raw"),
                DiskSpec(base=str(base)),
                DiskSpec(base=str(raw), size=7 * MIB, path=str(lab.folder / "top.qcow2")),
            ),
        )
    )
    assert [(disk.size, disk.path) for disk in made.disks] == [
        (MIB, f"{lab.folder}/default/web-vda.qcow2"),
        (MIB, f"{lab.folder}/other/web-vdb.raw"),
        (5 * MIB, f"{lab.folder}/default/web-vdc.qcow2"),
        (7 * MIB, f"{lab.folder}/top.qcow2"),
    ]
    said = subprocess.check_output(["qemu-img", "info", made.disks[3].path], text=True)
    assert f"backing file: {raw}" in said
    assert "backing file format: raw" in said
    hypervisor.lifecycle.start("web", paused=True)
    hypervisor.lifecycle.stop("web", force=True)
    hypervisor.lifecycle.delete("web", disks=True)
    assert sorted(path.name for path in lab.folder.rglob("*.*")) == ["base.qcow2", "base.raw"]


def test_a_disk_that_exists_is_used_as_it_is(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    image = lab.image("old.raw", "3M", format="raw")
    image.write_bytes(b"precious" + image.read_bytes()[8:])
    wrong = InstanceSpec(name="web", acceleration="tcg", disks=(DiskSpec(path=str(image)),))
    with pytest.raises(InvalidInput, match=r"is raw, not qcow2"):
        hypervisor.lifecycle.create(wrong)
    over = (DiskSpec(path=str(image), base=str(image)),)
    with pytest.raises(AlreadyExists, match="Leave base out"):
        hypervisor.lifecycle.create(InstanceSpec(name="web", acceleration="tcg", disks=over))
    disks = (DiskSpec(path=str(image), format="raw"),)
    made = hypervisor.lifecycle.create(InstanceSpec(name="web", acceleration="tcg", disks=disks))
    assert made.disks[0].size == 3 * MIB
    assert image.read_bytes()[:8] == b"precious"


def test_what_was_made_goes_when_defining_fails(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    kept = lab.image("kept.qcow2", "1M")
    spec = InstanceSpec(
        name="web",
        acceleration="tcg",
        disks=(
            DiskSpec(path=str(kept)),
            DiskSpec(path=str(lab.folder / "new.qcow2"), size=MIB),
        ),
        nics=(NicSpec(model="no such card"),),
        cloud_init=CloudInit(user="me"),
    )
    with pytest.raises(HypervisorError, match="Model name"):
        hypervisor.lifecycle.create(spec)
    with pytest.raises(NotFound, match="there is no folder"):
        hypervisor.lifecycle.create(
            InstanceSpec(name="web", disks=(*spec.disks, DiskSpec(path="/no/such/x", size=MIB)))
        )
    assert [path.name for path in lab.folder.iterdir()] == ["kept.qcow2"]
    assert list(hypervisor.inventory.instances()) == []


def test_nothing_is_made_for_a_spec_that_cannot_be(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    defined(lab)
    disk = DiskSpec(path=str(lab.folder / "new.qcow2"), size=MIB)
    with pytest.raises(AlreadyExists, match="'web' exists"):
        hypervisor.lifecycle.create(InstanceSpec(name="web", disks=(disk,)))
    with pytest.raises(NotFound, match="nowhere"):
        hypervisor.lifecycle.create(
            InstanceSpec(name="new", disks=(disk,), nics=(NicSpec(network="nowhere"),))
        )
    with pytest.raises(InvalidInput, match="no pool 'default'"):
        hypervisor.lifecycle.create(InstanceSpec(name="new", disks=(disk, DiskSpec(size=MIB))))
    with pytest.raises(InvalidInput, match="has no size"):
        hypervisor.lifecycle.create(
            InstanceSpec(name="new", disks=(disk, DiskSpec(path=f"{lab.folder}/b.qcow2")))
        )
    assert list(lab.folder.iterdir()) == []


def test_without_a_wish_it_is_what_libvirt_offers(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    hypervisor.lifecycle.create(InstanceSpec(name="web"))
    try:
        lab.connection.getDomainCapabilities(None, None, None, "kvm")
        offered = "kvm"
    except libvirt.libvirtError:
        offered = "qemu"
        with pytest.raises(HypervisorError, match="does not have"):
            hypervisor.lifecycle.create(InstanceSpec(name="fast", acceleration="kvm"))
    xml = lab.connection.lookupByName("web").XMLDesc()
    assert xml.startswith(f"<domain type='{offered}'")


def test_cloud_init_is_put_beside_the_disk(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    disks = (DiskSpec(path=str(lab.folder / "a.qcow2"), size=MIB),)
    spec = InstanceSpec(
        name="web", acceleration="tcg", disks=disks, cloud_init=CloudInit(user_data="#!/bin/sh\n")
    )
    made = hypervisor.lifecycle.create(spec)
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO((lab.folder / "web-seed.iso").read_bytes()))
    content = io.BytesIO()
    image.get_file_from_iso_fp(content, rr_path="/meta-data")
    image.close()
    assert made.id.encode() in content.getvalue()
    assert [disk.name for disk in made.disks] == ["vda"]
    hypervisor.lifecycle.delete("web")
    assert [path.name for path in lab.folder.iterdir()] == ["a.qcow2"]


def test_start_and_stop_may_be_repeated(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    name = defined(lab)
    for _ in range(2):
        hypervisor.lifecycle.start(name)
        assert state(hypervisor, name) == "running"
    for _ in range(2):
        hypervisor.lifecycle.pause(name)
        assert state(hypervisor, name) == "paused"
    hypervisor.lifecycle.reset(name)
    assert state(hypervisor, name) == "paused"
    hypervisor.lifecycle.start(name, paused=True)
    assert state(hypervisor, name) == "paused"
    for _ in range(2):
        hypervisor.lifecycle.resume(name)
        assert state(hypervisor, name) == "running"
    hypervisor.lifecycle.pause(name)
    with pytest.raises(InvalidState, match="cannot power down"):
        hypervisor.lifecycle.stop(name)
    hypervisor.lifecycle.start(name)
    assert state(hypervisor, name) == "running"
    for _ in range(2):
        hypervisor.lifecycle.stop(name, force=True)
        hypervisor.lifecycle.stop(name)
        assert state(hypervisor, name) == "stopped"
    hypervisor.lifecycle.start(name, paused=True)
    assert state(hypervisor, name) == "paused"


def test_what_only_runs_is_refused_while_stopped(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    name = defined(lab)
    for verb in ("pause", "resume", "reset"):
        with pytest.raises(InvalidState, match="Start it"):
            getattr(hypervisor.lifecycle, verb)(name)
    for verb in ("start", "stop", "pause", "resume", "reset", "delete"):
        with pytest.raises(InstanceNotFound):
            getattr(hypervisor.lifecycle, verb)("nobody")
    hypervisor.lifecycle.start(name)
    with pytest.raises(InvalidState, match="Stop it first"):
        hypervisor.lifecycle.delete(name)


@pytest.mark.parametrize("agent", [False, True])
def test_a_guest_that_does_not_obey(lab: Lab, hypervisor: LibvirtHypervisor, agent: bool) -> None:
    """Firmware knows no power button, and no agent behind the channel for one."""
    name = defined(lab, agent=agent)
    hypervisor.lifecycle.start(name)
    with pytest.raises(OperationTimeout, match="still runs 1 s"):
        hypervisor.lifecycle.stop(name, timeout=1)
    assert state(hypervisor, name) == "running"
    token = CancelToken()
    threading.Timer(0.5, token.cancel).start()
    begun = time.monotonic()
    with token.scope(), pytest.raises(Interrupted):
        hypervisor.lifecycle.stop(name)
    assert time.monotonic() - begun < 2.5


def test_a_guest_that_obeys(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """With its agent, and then by its power button alone; a domain without a definition is gone
    when it has stopped."""
    guest = Guest.start(lab.connection, domain_xml("web", system=lab.system))
    hypervisor.lifecycle.stop("web", timeout=30)
    guest.close()
    assert state(hypervisor, "web") == "stopped"
    xml = domain_xml("passing", system=lab.system, agent=False)
    passing = lab.connection.createXML(xml)
    guest = Guest(passing)
    guest.wait_ready()
    hypervisor.lifecycle.stop("passing", timeout=30)
    guest.close()
    with pytest.raises(InstanceNotFound):
        hypervisor.inventory.instance("passing")


def test_a_crashed_guest(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    xml = domain_xml("web", devices=["<panic model='isa'/>"], agent=False).replace(
        "<devices>", "<on_crash>preserve</on_crash><devices>", 1
    )
    for verb, after in (("reset", "running"), ("start", "running"), ("stop", "stopped")):
        domain = lab.connection.defineXML(xml)
        hypervisor.lifecycle.start("web")
        crash(domain)
        with pytest.raises(InvalidState, match="crashed"):
            hypervisor.lifecycle.resume("web")
        getattr(hypervisor.lifecycle, verb)("web")
        assert state(hypervisor, "web") == after
        hypervisor.lifecycle.stop("web", force=True)
        hypervisor.lifecycle.delete("web")


def crash(domain: libvirt.virDomain) -> None:
    """What the guest's kernel would do: write to the port of the panic device."""
    import libvirt_qemu  # noqa: PLC0415

    libvirt_qemu.qemuMonitorCommand(domain, "o /b 0x505 1", 1)
    deadline = time.monotonic() + 10
    while domain.state()[0] != libvirt.VIR_DOMAIN_CRASHED:
        assert time.monotonic() < deadline, domain.state()
        time.sleep(0.05)


OPERATIONS: dict[Operation, Callable[[LibvirtLifecycle, str], None]] = {
    Operation.START: lambda part, name: part.start(name),
    Operation.STOP: lambda part, name: part.stop(name, timeout=30),
    Operation.FORCE_STOP: lambda part, name: part.stop(name, force=True),
    Operation.PAUSE: lambda part, name: part.pause(name),
    Operation.RESUME: lambda part, name: part.resume(name),
    Operation.RESET: lambda part, name: part.reset(name),
    Operation.DELETE: lambda part, name: part.delete(name),
}


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("before", [each for each in InstanceState if each.value != "unknown"])
def test_every_state_answers_as_the_table_says(
    lab: Lab, hypervisor: LibvirtHypervisor, operation: Operation, before: InstanceState
) -> None:
    """It takes a real guest to power down when it is asked; a crash is that of its panic device."""
    boots = operation is Operation.STOP and before is InstanceState.RUNNING
    xml = domain_xml(
        "web", system=lab.system if boots else None, devices=["<panic model='isa'/>"], agent=boots
    )
    domain = lab.connection.defineXML(
        xml.replace("<devices>", "<on_crash>preserve</on_crash><devices>", 1)
    )
    if before is not InstanceState.STOPPED:
        hypervisor.lifecycle.start("web", paused=before is InstanceState.PAUSED)
    if before is InstanceState.CRASHED:
        crash(domain)
    if boots:
        guest = Guest(domain)
        guest.wait_ready()
        guest.close()
    assert state(hypervisor, "web") == before.value
    after = OUTCOMES[operation].get(before)
    if after is None:
        with pytest.raises(InvalidState) as caught:
            OPERATIONS[operation](hypervisor.lifecycle, "web")
        assert caught.value.hint
        assert state(hypervisor, "web") == before.value
        return
    OPERATIONS[operation](hypervisor.lifecycle, "web")
    if after is Gone.GONE:
        with pytest.raises(InstanceNotFound):
            hypervisor.inventory.instance("web")
    else:
        assert state(hypervisor, "web") == after.value


def test_what_is_made_is_ours(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """Also for another connection and in listings; what others made is not, template or not."""
    lab.connection.defineXML(domain_xml("foreign"))
    made = hypervisor.lifecycle.create(
        InstanceSpec(name="web", acceleration="tcg", folder="prod/web", tags={"tier": "1"})
    )
    assert (made.owned, made.folder, made.tags) == (True, "prod/web", {"tier": "1"})
    assert hypervisor.clones is not None
    copy = hypervisor.clones.clone("web", "copy")
    assert (copy.owned, copy.folder, copy.tags) == (True, "prod/web", {"tier": "1"})
    hypervisor.clones.make_template("foreign")
    other = LibvirtHypervisor(lab.libvirtd.uri)
    listed = {found.name: found for found in other.inventory.instances()}
    assert {name: found.owned for name, found in listed.items()} == {
        "copy": True,
        "foreign": False,
        "web": True,
    }
    assert listed["web"] == other.inventory.instance("web") == made
    assert listed["foreign"].tags == {"hypersdk:template": "yes"}
    other.close()


def test_delete_takes_what_is_below_overlays(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """An external snapshot makes an overlay of the disk and leaves the disk below it."""
    assert hypervisor.snapshots is not None
    for number, disks in enumerate((False, True)):
        name = f"web{number}"
        path = lab.folder / f"{name}.qcow2"
        hypervisor.lifecycle.create(
            InstanceSpec(name=name, acceleration="tcg", disks=(DiskSpec(path=str(path), size=MIB),))
        )
        hypervisor.lifecycle.start(name)
        for snapshot in ("one", "two"):
            hypervisor.snapshots.create(name, snapshot)
        hypervisor.lifecycle.stop(name, force=True)
        hypervisor.lifecycle.delete(name, disks=disks)
    assert sorted(path.name for path in lab.folder.iterdir()) == [
        "web0-vda.one.qcow2",
        "web0-vda.two.qcow2",
        "web0.qcow2",
    ]


def test_one_name_has_one_winner(lab: Lab) -> None:
    """Over connections of their own, with the same file for a disk: the winner keeps it."""
    results: list[object] = []

    def make() -> None:
        hypervisor = LibvirtHypervisor(lab.libvirtd.uri)
        disks = (DiskSpec(path=f"{lab.folder}/web.qcow2", size=MIB),)
        try:
            spec = InstanceSpec(name="web", acceleration="tcg", disks=disks)
            results.append(hypervisor.lifecycle.create(spec).name)
        except AlreadyExists:
            results.append("taken")
        finally:
            hypervisor.close()

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["taken"] * 5 + ["web"]
    assert (lab.folder / "web.qcow2").exists()
    assert lab.connection.listAllStoragePools() == []


def test_started_at_once_it_starts_once(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    name = defined(lab)
    problems: list[BaseException] = []

    def start() -> None:
        try:
            hypervisor.lifecycle.start(name)
        except BaseException as error:  # noqa: BLE001 - shown below
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert state(hypervisor, name) == "running"


@pytest.mark.parametrize(
    "change",
    [
        {"image": "debian:12"},
        {"command": ("sh",)},
        {"env": {"A": "b"}},
        {"mounts": (MountSpec(source="/srv", target="/srv"),)},
        {"ports": (PortSpec(host=8080, inside=80),)},
        {"pids_limit": 5},
        {"vcpus": 100_000},
        {"cdrom": "/no/such.iso"},
        {"kernel": "/no/such/kernel"},
        {"cdrom": "relative.iso"},
    ],
)
def test_what_a_machine_cannot_have(
    lab: Lab, hypervisor: LibvirtHypervisor, change: dict[str, object]
) -> None:
    disks = (DiskSpec(path=f"{lab.folder}/a.qcow2", size=MIB),)
    spec = InstanceSpec(name="web", acceleration="tcg", disks=disks)
    with pytest.raises((InvalidInput, NotFound)) as caught:
        hypervisor.lifecycle.create(replace(spec, **change))  # type: ignore[arg-type]
    assert caught.value.hint
    assert list(lab.folder.iterdir()) == []
    assert list(hypervisor.inventory.instances()) == []


def test_a_saved_running_state(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    name = defined(lab)
    hypervisor.lifecycle.start(name)
    domain = lab.connection.lookupByName(name)
    domain.managedSave()
    assert state(hypervisor, name) == "stopped"
    hypervisor.lifecycle.stop(name)
    hypervisor.lifecycle.start(name)
    assert domain.state()[1] == libvirt.VIR_DOMAIN_RUNNING_FROM_SNAPSHOT or not (
        domain.hasManagedSaveImage()
    )
    domain.managedSave()
    hypervisor.lifecycle.delete(name)
    with pytest.raises(InstanceNotFound):
        hypervisor.inventory.instance(name)


def test_delete_keeps_what_others_need(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    own, shared = lab.image("own.qcow2", "1M"), lab.image("shared.qcow2", "1M")
    base = domains.DiskSpec(lab.image("base.qcow2", "1M"))
    middle = lab.image("middle.qcow2", backing=base)
    lab.image("overlay.qcow2", backing=domains.DiskSpec(middle))
    iso = lab.image("cd.iso", "1M", format="raw")
    defined(
        lab,
        "web",
        disks=[
            domains.DiskSpec(own),
            domains.DiskSpec(shared, "vdb"),
            domains.DiskSpec(middle, "vdc"),
            domains.DiskSpec("/dev/null", "vdd", "raw", type="block"),
            domains.DiskSpec(iso, "sda", "raw", device="cdrom", bus="sata"),
            domains.DiskSpec(lab.folder / "gone", "vde"),
        ],
    )
    defined(lab, "other", disks=[domains.DiskSpec(shared)])
    with pytest.raises(HypervisorError) as caught:
        hypervisor.lifecycle.delete("web", disks=True)
    message = caught.value.message
    assert f"{shared}: used by 'other'" in message
    assert f"{middle}: used by {lab.folder}/overlay.qcow2" in message
    assert "/dev/null: block devices are not removed" in message
    assert str(own) not in message
    assert sorted(path.name for path in lab.folder.iterdir()) == [
        "base.qcow2",
        "cd.iso",
        "middle.qcow2",
        "overlay.qcow2",
        "shared.qcow2",
    ]
    with pytest.raises(InstanceNotFound):
        hypervisor.inventory.instance("web")


def test_delete_forgets_variables_snapshots_and_checkpoints(
    lab: Lab, hypervisor: LibvirtHypervisor
) -> None:
    image = lab.image("a.qcow2", "1M")
    defined(lab, disks=[domains.DiskSpec(image)], firmware="efi")
    domain = lab.connection.lookupByName("web")
    hypervisor.lifecycle.start("web", paused=True)
    domain.checkpointCreateXML("<domaincheckpoint><name>c</name></domaincheckpoint>")
    hypervisor.lifecycle.stop("web", force=True)
    hypervisor.lifecycle.delete("web")
    assert image.exists()
    assert not list((lab.libvirtd.folder / "lib/qemu/nvram").iterdir())


def test_many_at_once_in_one_folder(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    failures: list[BaseException] = []

    def make(name: str) -> None:
        disks = (DiskSpec(path=f"{lab.folder}/{name}.qcow2", size=MIB),)
        try:
            hypervisor.lifecycle.create(InstanceSpec(name=name, acceleration="tcg", disks=disks))
            hypervisor.lifecycle.delete(name, disks=True)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=make, args=(f"web{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(lab.folder.iterdir()) == []
    assert lab.connection.listAllStoragePools() == []


def test_libvirts_test_driver_does_what_it_can() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    made = hypervisor.lifecycle.create(InstanceSpec(name="web", memory=GIB, tags={"a": "b"}))
    assert (made.memory, made.tags) == (GIB, {"a": "b"})
    hypervisor.lifecycle.start("web")
    hypervisor.lifecycle.pause("web")
    hypervisor.lifecycle.resume("web")
    hypervisor.lifecycle.stop("web")
    assert state(hypervisor, "web") == "stopped"
    hypervisor.lifecycle.delete("web")
    assert [instance.name for instance in hypervisor.inventory.instances()] == ["test"]
    hypervisor.close()
