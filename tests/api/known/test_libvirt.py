"""``/libvirt`` on a real libvirtd, whose domains run their firmware only, and on libvirt's own
example (``test:///default``)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from websockets import Subprotocol
from websockets.sync.client import connect

from hypersdk import Protect, init_repository
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.ports import Clones, Snapshots
from hypersdk.model.instances import InstanceState
from tests.api.known.daemons import Known, knowing, working
from tests.api.serving import DEADLINE, until
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab, clean_lab, libvirtd

__all__ = ["libvirtd"]

DOMAIN = {"id", "name", "uuid", "state", "cpus", "memory", "autostart", "persistent"}
VOLUME = {"name", "pool", "path", "type", "capacity", "allocation", "format"}
NETWORK = {"name", "state", "autostart", "bridge", "forward", "ip_start", "ip_end", "subnet"}
BATCH = {
    "operation", "total", "successful", "failed", "results", "start_time", "end_time", "duration",
}  # fmt: skip
DONE = {"status", "message"}
GIB = 1 << 30


@pytest.fixture(scope="module")
def place(libvirtd: Libvirtd) -> Iterator[Lab]:
    with clean_lab(libvirtd) as lab:
        yield lab


@pytest.fixture(scope="module")
def known(place: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """``kvm`` is the only libvirt, and so the default one of these routes."""
    with knowing(tmp_path_factory.mktemp("libvirt")) as found:
        found.daemon.services.hypervisors.create("kvm", place.url)
        yield found


@pytest.fixture(scope="module")
def kvm(place: Lab) -> Iterator[LibvirtHypervisor]:
    """To look at what the daemon did."""
    found = LibvirtHypervisor(place.libvirtd.uri)
    yield found
    found.close()


@pytest.fixture(scope="module")
def pool(place: Lab, kvm: LibvirtHypervisor) -> str:
    """A pool of the lab's folder."""
    assert kvm.storage is not None
    kvm.storage.create_pool("images", str(place.folder))
    return "images"


@pytest.fixture
def domain(place: Lab, pool: str) -> Iterator[str]:
    """Stopped, with a disk and an empty CD drive."""
    name = f"vm-{uuid4().hex[:6]}"
    image = place.image(f"{name}.qcow2", "8M")
    drive = "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
    sockets = [f"<controller type='pci' model='pcie-root{end}'/>" for end in ("", "-port", "-port")]
    xml = domain_xml(name, [DiskSpec(image)], devices=[drive, *sockets])
    made = place.connection.defineXML(xml)
    yield name
    if made.isActive():
        made.destroy()
    for snapshot in made.listAllSnapshots():
        snapshot.delete()


def _state(kvm: LibvirtHypervisor, name: str) -> InstanceState:
    return kvm.inventory.instance(name).state


def _snapshots(kvm: LibvirtHypervisor) -> Snapshots:
    assert kvm.snapshots is not None
    return kvm.snapshots


def _clones(kvm: LibvirtHypervisor) -> Clones:
    assert kvm.clones is not None
    return kvm.clones


# Domains.


def test_domains_are_listed_in_full(known: Known, domain: str) -> None:
    found = known.get("/libvirt/domains")
    assert set(found) == {"domains", "total"}
    mine = next(each for each in found["domains"] if each["name"] == domain)
    assert set(mine) == DOMAIN
    assert (mine["id"], mine["state"], mine["memory"], mine["cpus"]) == ("-", "shut off", 128, 1)
    assert mine["persistent"] is True
    assert mine["autostart"] is False
    assert known.get("/libvirt/domain", name=domain) == mine
    assert known.get("/libvirt/domain", name=mine["uuid"])["name"] == domain
    known.refused("GET", "/libvirt/domain", name="nobody", status=404)
    known.refused("GET", "/libvirt/domain", status=400)
    known.refused("GET", "/libvirt/domain", name=domain, hypervisor="nowhere", status=404)


def test_a_domains_life(known: Known, domain: str, kvm: LibvirtHypervisor) -> None:
    def do(word: str) -> None:
        assert set(known.post(f"/libvirt/domain/{word}", {"name": domain})) == DONE

    do("start")
    assert _state(kvm, domain) is InstanceState.RUNNING
    shown = known.get("/libvirt/domain", name=domain)
    assert shown["state"] == "running"
    assert int(shown["id"]) > 0
    do("pause")
    assert known.get("/libvirt/domain", name=domain)["state"] == "paused"
    do("resume")
    do("reboot")
    assert _state(kvm, domain) is InstanceState.RUNNING
    do("shutdown")  # its firmware does not obey: it was asked, and that is all
    do("destroy")
    assert _state(kvm, domain) is InstanceState.STOPPED
    known.refused("POST", "/libvirt/domain/pause", {"name": domain}, status=409)
    for word in ("start", "shutdown", "destroy", "reboot", "pause", "resume"):
        known.refused("POST", f"/libvirt/domain/{word}", {"name": "nobody"}, status=404)
        known.refused("POST", f"/libvirt/domain/{word}", {"nam": domain}, status=400)


def test_libvirts_own_example(known: Known) -> None:
    services = known.daemon.services
    services.hypervisors.create("example", "libvirt+test:///default")
    try:
        known.refused("GET", "/libvirt/domains", status=400)  # which of the two?
        found = known.get("/libvirt/domains", hypervisor="example")["domains"]
        assert [each["name"] for each in found] == ["test"]
        assert found[0]["id"] == "1"
        network = known.get("/libvirt/network", name="default", hypervisor="example")
        assert network["subnet"] == "192.168.122.1/24"
        assert known.get("/libvirt/pools", hypervisor="example")["total"] == 1
        known.refused("GET", "/console/screenshot", name="test", hypervisor="example", status=501)
    finally:
        services.hypervisors.delete("example")


# Snapshots.


def test_snapshots(known: Known, domain: str, kvm: LibvirtHypervisor) -> None:
    body = {"domain_name": domain, "snapshot_name": "before", "description": "a <b>"}
    assert set(known.post("/libvirt/snapshot/create", body, status=201)) == DONE
    known.refused("POST", "/libvirt/snapshot/create", body, status=409)
    second = {"domain_name": domain, "snapshot_name": "after"}
    known.post("/libvirt/snapshot/create", second, status=201)
    found = known.get("/libvirt/snapshots", name=domain)
    assert set(found) == {"snapshots", "total", "domain"}
    assert set(found["snapshots"][0]) == {
        "name", "description", "creation_time", "state", "current", "parent",
    }  # fmt: skip
    assert [each["name"] for each in found["snapshots"]] == ["before", "after"]
    assert found["snapshots"][0]["description"] == "a <b>"
    assert found["snapshots"][1]["parent"] == "before"
    known.post("/libvirt/snapshot/revert", {"domain_name": domain, "snapshot_name": "before"})
    assert [each.current for each in _snapshots(kvm).snapshots(domain)] == [True, False]
    known.post("/libvirt/snapshot/delete", second)
    known.refused("POST", "/libvirt/snapshot/delete", second, status=404)
    assert known.get("/libvirt/snapshots", name=domain)["total"] == 1


# Networks.


def test_networks_and_cards(known: Known, domain: str, kvm: LibvirtHypervisor) -> None:
    bridge = f"hk{os.getpid()}"
    body = {"name": "lan", "bridge": bridge, "forward": "none"}
    made = known.post("/libvirt/network/create", body, status=201)
    assert set(made) == {"status", "message", "network"}
    found = known.get("/libvirt/networks")
    assert set(found) == {"networks", "total"}
    assert found["total"] == 1
    shown = known.get("/libvirt/network", name="lan")
    assert found["networks"] == [shown]
    assert set(shown) == NETWORK
    assert (shown["state"], shown["forward"], shown["bridge"]) == ("active", "none", bridge)
    known.post("/libvirt/network/stop", {"name": "lan"})
    assert known.get("/libvirt/network", name="lan")["state"] == "inactive"
    known.post("/libvirt/network/start", {"name": "lan"})
    assert known.get("/libvirt/network", name="lan")["state"] == "active"

    card = known.post("/libvirt/interface/attach", {"vm_name": domain, "network": "lan"})
    assert set(card) == {"status", "message", "vm_name", "mac"}
    assert kvm.domains.of(domain).macs == (card["mac"],)
    gone = {"vm_name": domain, "mac": card["mac"]}
    known.post("/libvirt/interface/detach", gone)
    assert kvm.domains.of(domain).macs == ()
    known.refused("POST", "/libvirt/interface/detach", gone, status=404)
    known.refused("POST", "/libvirt/interface/detach", {**gone, "mac": "x"}, status=400)

    known.post("/libvirt/network/delete", {"name": "lan"})
    known.refused("GET", "/libvirt/network", name="lan", status=404)
    for word in ("start", "stop", "delete"):
        known.refused("POST", f"/libvirt/network/{word}", {"name": "lan"}, status=404)
    bad = {"name": "bad", "forward": "nat", "subnet": "300.1.2.3"}
    known.refused("POST", "/libvirt/network/create", bad, status=400)


# Volumes.


def test_volumes(known: Known, pool: str, place: Lab) -> None:
    pools = known.get("/libvirt/pools")
    assert set(pools) == {"pools", "total"}
    assert set(pools["pools"][0]) == {"name", "uuid", "state", "capacity", "available", "path"}
    assert pools["pools"][0]["state"] == "active"
    body = {"pool": pool, "name": "data.qcow2", "capacity": 1}
    made = known.post("/libvirt/volume/create", body, status=201)
    assert set(made) == {"status", "message", "pool", "name", "path", "format", "capacity"}
    assert made["path"] == str(place.folder / "data.qcow2")
    known.refused("POST", "/libvirt/volume/create", body, status=409)
    found = known.get("/libvirt/volumes", pool=pool)
    assert set(found) == {"volumes", "total", "pool"}
    shown = known.get("/libvirt/volume/info", pool=pool, volume="data.qcow2")
    assert shown in found["volumes"]
    assert set(shown) == VOLUME
    assert (shown["capacity"], shown["format"], shown["type"]) == (GIB, "qcow2", "file")

    resized = known.post(
        "/libvirt/volume/resize", {"pool": pool, "volume": "data.qcow2", "capacity": 2}
    )
    assert set(resized) == {"status", "message", "pool", "volume", "new_capacity"}
    less = {"pool": pool, "volume": "data.qcow2", "capacity": 1}
    known.refused("POST", "/libvirt/volume/resize", less, status=400)

    clone = {"pool": pool, "source_volume": "data.qcow2", "target_volume": "copy.qcow2"}
    cloned = known.post("/libvirt/volume/clone", clone, status=201)
    assert set(cloned) == {
        "status", "message", "source_volume", "target_volume", "target_pool", "path",
    }  # fmt: skip
    assert known.get("/libvirt/volume/info", pool=pool, volume="copy.qcow2")["capacity"] == 2 * GIB
    for name in ("data.qcow2", "copy.qcow2"):
        gone = known.post("/libvirt/volume/delete", {"pool": pool, "volume": name})
        assert set(gone) == {"status", "message", "pool", "volume"}
        known.refused("GET", "/libvirt/volume/info", pool=pool, volume=name, status=404)


def test_shrinking_wiping_and_taking_room(known: Known, pool: str, place: Lab) -> None:
    name = "raw.raw"
    body = {"pool": pool, "name": name, "capacity": 2, "format": "raw"}
    known.post("/libvirt/volume/create", body, status=201)
    shrink = {"pool": pool, "volume": name, "capacity": 1, "shrink": True}
    known.post("/libvirt/volume/resize", shrink)
    assert (place.folder / name).stat().st_size == GIB
    known.post("/libvirt/volume/delete", {"pool": pool, "volume": name})

    full = {"pool": pool, "name": "full.qcow2", "capacity": 1, "prealloc": True}
    known.post("/libvirt/volume/create", full, status=201)
    (place.folder / "wipe.raw").write_bytes(os.urandom(1 << 20))
    wiped = known.post("/libvirt/volume/wipe", {"pool": pool, "volume": "wipe.raw"})
    assert set(wiped) == {"status", "message", "pool", "volume", "algorithm"}
    assert (place.folder / "wipe.raw").read_bytes() == bytes(1 << 20)
    odd = {"pool": pool, "volume": "wipe.raw", "algorithm": "magic"}
    known.refused("POST", "/libvirt/volume/wipe", odd, status=400)
    for each in ("full.qcow2", "wipe.raw"):
        known.post("/libvirt/volume/delete", {"pool": pool, "volume": each})


def test_an_image_is_uploaded_from_the_folder_of_imports(known: Known, pool: str) -> None:
    imports = Path(known.daemon.services.settings.folders.imports)
    imports.mkdir(parents=True, exist_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", imports / "disk.qcow2", "8M"],
                   check=True)  # fmt: skip
    body = {"pool": pool, "volume": "up.qcow2", "source_path": "disk.qcow2"}
    made = known.post("/libvirt/volume/upload", body, status=201)
    assert set(made) == {
        "status", "message", "pool", "volume", "path", "format", "capacity_gb", "source",
    }  # fmt: skip
    assert made["capacity_gb"] == 1
    shown = known.get("/libvirt/volume/info", pool=pool, volume="up.qcow2")
    assert shown["capacity"] == 8 << 20
    known.post("/libvirt/volume/delete", {"pool": pool, "volume": "up.qcow2"})
    wrong = {**body, "format": "raw"}
    assert "qcow2" in known.refused("POST", "/libvirt/volume/upload", wrong, status=400)["error"]
    for path in ("/etc/hostname", "../x"):
        outside = {**body, "source_path": path}
        known.refused("POST", "/libvirt/volume/upload", outside, status=403)
    absent = {**body, "source_path": "absent.qcow2"}
    known.refused("POST", "/libvirt/volume/upload", absent, status=404)


# What they use.


def test_figures(known: Known, domain: str) -> None:
    known.post("/libvirt/domain/start", {"name": domain})
    stats = known.get("/libvirt/stats", name=domain)
    assert set(stats) == {"name", "state", "cpu", "memory", "disks", "networks", "timestamp"}
    assert stats["state"] == "running"
    assert set(stats["cpu"]) == {
        "vcpus", "cpu_time_ns", "user_time_ns", "system_time_ns", "usage_percent",
    }  # fmt: skip
    assert stats["memory"]["total_kb"] == 128 << 10
    assert set(stats["disks"][0]) == {
        "device", "read_bytes", "read_requests", "write_bytes", "write_requests", "errors",
    }  # fmt: skip
    assert stats["disks"][0]["device"] == "vda"
    busy = until(
        lambda: known.get("/libvirt/stats/cpu", name=domain)["cpu_stats"]["usage_percent"],
        "the firmware to be seen at work",
    )
    assert busy > 0
    everything = known.get("/libvirt/stats/all")
    assert set(everything) == {"domains", "total", "timestamp"}
    assert domain in [each["name"] for each in everything["domains"]]
    assert set(known.get("/libvirt/stats/memory", name=domain)) == {"name", "memory", "timestamp"}
    assert set(known.get("/libvirt/stats/disk", name=domain)) == {"name", "disks", "timestamp"}
    assert set(known.get("/libvirt/stats/network", name=domain)) == {
        "name", "networks", "timestamp",
    }  # fmt: skip
    known.refused("GET", "/libvirt/stats", name="nobody", status=404)


# Many.


def test_many_at_once(known: Known, place: Lab, pool: str, kvm: LibvirtHypervisor) -> None:
    names = [f"many-{number}" for number in range(3)]
    for name in names:
        image = place.image(f"{name}.qcow2", "8M")
        place.connection.defineXML(domain_xml(name, [DiskSpec(image)]))
    body = {"domains": [*names, "nobody"]}

    def do(word: str, **fields: object) -> None:
        answer = known.post(f"/libvirt/batch/{word}", {**body, **fields})
        assert set(answer) == BATCH
        assert (answer["operation"], answer["total"]) == (word, 4)
        assert (answer["successful"], answer["failed"]) == (3, 1), answer
        results = {each["domain"]: each for each in answer["results"]}
        assert set(results["many-0"]) == {"domain", "success"}
        assert "nobody" in results["nobody"]["error"]

    do("snapshot", name_prefix="batch", disk_only=True)
    assert all(len(_snapshots(kvm).snapshots(name)) == 1 for name in names)
    do("delete", snapshots_only=True)
    assert all(_snapshots(kvm).snapshots(name) == [] for name in names)
    do("start")
    assert all(_state(kvm, name) is InstanceState.RUNNING for name in names)
    do("pause")
    do("resume")
    do("reboot", force=True)
    do("stop", force=True)
    assert all(_state(kvm, name) is InstanceState.STOPPED for name in names)
    do("start", paused=True)
    assert all(_state(kvm, name) is InstanceState.PAUSED for name in names)
    do("delete", remove_storage=True)
    left = {each.name for each in kvm.inventory.instances()}
    assert not left & set(names)
    assert not any((place.folder / f"{name}.qcow2").exists() for name in names)
    known.refused("POST", "/libvirt/batch/start", {"domains": []}, status=400)


def test_an_atomic_snapshot_leaves_none_when_one_fails(
    known: Known, domain: str, kvm: LibvirtHypervisor
) -> None:
    body = {"domains": [domain, "nobody"], "atomic": True}
    answer = known.post("/libvirt/batch/snapshot", body)
    assert (answer["successful"], answer["failed"]) == (0, 2)
    assert _snapshots(kvm).snapshots(domain) == []


# Clones and templates.


def test_clones(known: Known, domain: str, kvm: LibvirtHypervisor) -> None:
    made = known.post("/libvirt/clone", {"source": domain, "target": f"{domain}-c"}, status=201)
    assert set(made) == {"status", "message", "source", "target"}
    assert kvm.inventory.instance(f"{domain}-c").id != kvm.inventory.instance(domain).id
    body = {"source": domain, "name_prefix": f"{domain}-m", "count": 2}
    many = known.post("/libvirt/clone/multiple", body)
    assert set(many) == {"status", "source", "total", "successful", "failed", "results"}
    assert [each["name"] for each in many["results"]] == [f"{domain}-m-1", f"{domain}-m-2"]
    assert many["successful"] == 2
    again = known.post("/libvirt/clone/multiple", {**body, "start_index": 2})
    assert [each["success"] for each in again["results"]] == [False, True]
    for fields in ({"preserve": True}, {"files": ["/tmp/x"]}, {"new_mac": False}):
        known.refused(
            "POST", "/libvirt/clone", {"source": domain, "target": "x", **fields}, status=501
        )
    known.post("/libvirt/domain/start", {"name": domain})
    known.refused("POST", "/libvirt/clone", {"source": domain, "target": "y"}, status=409)


def test_templates(known: Known, domain: str, kvm: LibvirtHypervisor) -> None:
    body = {"domain": domain, "name": f"{domain}-t", "description": "golden <image>"}
    made = known.post("/libvirt/template/create", body, status=201)
    assert set(made) == {"status", "message", "template", "source", "sealed", "description"}
    assert kvm.domains.of(f"{domain}-t").description == "golden <image>"
    listed = known.get("/libvirt/template/list")
    assert set(listed) == {"templates", "total"}
    assert f"{domain}-t" in listed["templates"]
    assert domain not in listed["templates"]
    known.refused("POST", "/libvirt/domain/start", {"name": f"{domain}-t"}, status=409)

    bridge = f"ht{os.getpid()}"
    network = {"name": "deploy", "bridge": bridge, "forward": "none"}
    known.post("/libvirt/network/create", network, status=201)
    deploy = {
        "template": f"{domain}-t", "name": f"{domain}-d", "memory": 64, "network": "deploy",
        "autostart": True,
    }  # fmt: skip
    done = known.post("/libvirt/template/deploy", deploy, status=201)
    assert set(done) == {
        "status", "message", "vm", "template", "started", "memory_mb", "vcpus",
    }  # fmt: skip
    assert (done["memory_mb"], done["started"]) == (64, True)
    assert _state(kvm, f"{domain}-d") is InstanceState.RUNNING
    assert len(kvm.domains.of(f"{domain}-d").macs) == 1
    known.post("/libvirt/domain/destroy", {"name": f"{domain}-d"})
    known.post("/libvirt/network/delete", {"name": "deploy"})

    # What cannot be given leaves nothing behind.
    much = {**deploy, "name": f"{domain}-x", "vcpus": 99, "network": ""}
    known.refused("POST", "/libvirt/template/deploy", much, status=507)
    assert f"{domain}-x" not in {each.name for each in kvm.inventory.instances()}
    plain = {**deploy, "template": domain, "name": f"{domain}-y"}
    known.refused("POST", "/libvirt/template/deploy", plain, status=409)
    for path, fields in (
        ("create", {"domain": domain, "seal": True}),
        ("create", {"domain": domain, "metadata": {"a": "b"}}),
        ("deploy", {"template": f"{domain}-t", "name": "z", "customize": {"a": "b"}}),
    ):
        known.refused("POST", f"/libvirt/template/{path}", fields, status=501)

    export = {"template": f"{domain}-t", "export_path": "golden", "compress": True}
    exported = known.post("/libvirt/template/export", export)
    assert set(exported) == {
        "status", "message", "template", "export_path", "compressed", "job_id",
    }  # fmt: skip
    job = known.daemon.services.jobs.get(exported["job_id"])
    assert job.kind == "export"
    assert job.request["format"] == "ova"
    known.daemon.services.jobs.cancel(job.id)


# ISO images in drives.


def test_isos_in_drives(known: Known, domain: str, kvm: LibvirtHypervisor, place: Lab) -> None:
    isos = Path(known.daemon.services.settings.folders.isos)
    isos.mkdir(parents=True, exist_ok=True)
    (isos / "disc.iso").write_bytes(bytes(2048))
    body = {"vm_name": domain, "filename": "disc.iso"}
    attached = known.post("/libvirt/domain/attach-iso", body)
    assert set(attached) == {"status", "message", "vm_name", "iso_path", "device"}
    assert attached["device"] == "sda"
    xml = place.connection.lookupByName(domain).XMLDesc()
    assert str(isos / "disc.iso") in xml
    detached = known.post("/libvirt/domain/detach-iso", {"vm_name": domain, "device": "sda"})
    assert set(detached) == {"status", "message", "vm_name", "device"}
    assert "disc.iso" not in place.connection.lookupByName(domain).XMLDesc()
    by_path = {"vm_name": domain, "iso_path": str(isos / "disc.iso")}
    known.post("/libvirt/domain/attach-iso", by_path)
    taken = known.post("/vms/remove-cdrom", {"vm_path": domain}, hypervisor="kvm")
    assert "emptied" in taken["message"]
    assert "disc.iso" not in place.connection.lookupByName(domain).XMLDesc()
    known.refused("POST", "/libvirt/domain/attach-iso", {"vm_name": domain}, status=400)
    outside = {"vm_name": domain, "iso_path": "/etc/hostname"}
    known.refused("POST", "/libvirt/domain/attach-iso", outside, status=403)


# Consoles.


def test_a_screen(known: Known, domain: str) -> None:
    known.refused("GET", "/libvirt/console", name=domain, status=409)
    assert known.get("/console/info", name=domain)["has_vnc"] is False
    known.post("/libvirt/domain/start", {"name": domain})
    console = known.get("/libvirt/console", name=domain)
    assert set(console) == {"domain", "vnc_display", "vnc_url"}
    info = known.get("/console/info", name=domain)
    assert set(info) == {
        "vm_name", "vnc_display", "vnc_port", "vnc_url", "webvnc_url", "has_vnc", "has_spice",
        "has_serial", "serial_device",
    }  # fmt: skip
    assert info["has_vnc"] is True
    assert info["has_serial"] is True
    assert info["webvnc_url"] == console["vnc_url"]
    serial = known.get("/console/serial-device", name=domain)
    assert set(serial) == {"vm_name", "device", "has_serial"}
    assert serial["has_serial"] is True
    picture = known.client.get("/console/screenshot", params={"name": domain})
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG\r\n")
    keys = {"name": domain, "keys": ["KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE"]}
    assert set(known.post("/libvirt/domain/send-key", keys)) == DONE
    known.refused("POST", "/libvirt/domain/send-key", {**keys, "keys": ["KEY_NO"]}, status=400)

    url = known.daemon.url.replace("http", "ws") + info["webvnc_url"]
    with connect(url, subprotocols=[Subprotocol("binary")]) as socket:
        assert socket.subprotocol == "binary"
        assert socket.recv(timeout=DEADLINE, decode=False).startswith(b"RFB 003.")
        socket.send(b"RFB 003.008\n")
        kinds = socket.recv(timeout=DEADLINE, decode=False)
        assert kinds[0] == len(kinds) - 1 > 0


# Backups.


def test_backups(known: Known, domain: str, kvm: LibvirtHypervisor, place: Lab) -> None:
    known.refused("GET", "/libvirt/backup/list", status=404)  # no repository yet
    services = known.daemon.services
    location = Path(services.settings.folders.backups) / "main"
    init_repository(location, protect=Protect.none()).close()
    services.repositories.create("main", str(location))
    image = place.folder / f"{domain}.qcow2"
    subprocess.run(["qemu-io", "-c", "write -q -P 0x5a 1M 1M", image], check=True)
    with working(known):
        body = {"vm_name": domain, "backup_name": "first", "description": "before the upgrade"}
        made = known.post("/libvirt/backup/create", body, status=201)
        assert set(made) == {
            "status", "message", "vm_name", "backup_name", "backup_path", "disks_backed_up",
            "total_size", "compressed", "job_id",
        }  # fmt: skip
        assert (made["status"], made["disks_backed_up"]) == ("success", 1), made
        assert made["total_size"] > 0
        known.refused("POST", "/libvirt/backup/create", body, status=409)
        found = known.get("/libvirt/backup/list", vm_name=domain)
        assert set(found) == {"backups", "total", "storage_dir"}
        assert set(found["backups"][0]) == {
            "name", "vm_name", "path", "type", "size", "created_at", "compressed", "verified",
            "description",
        }  # fmt: skip
        assert found["backups"][0]["name"] == "first"
        assert found["backups"][0]["description"] == "before the upgrade"
        assert found["backups"][0]["path"] == made["backup_path"]

        checked = known.post("/libvirt/backup/verify", {"backup_name": "first"})
        assert set(checked) == {
            "status", "backup_name", "valid", "disks_checked", "errors", "job_id",
        }  # fmt: skip
        assert (checked["valid"], checked["disks_checked"], checked["errors"]) == (True, 1, [])

        # The disk is lost; the backup brings its content back, and another machine of it.
        subprocess.run(["qemu-io", "-c", "write -q -P 0x11 1M 1M", image], check=True)
        back = known.post("/libvirt/backup/restore", {"backup_name": "first"})
        assert set(back) == {
            "status", "message", "backup_name", "vm_name", "started", "job_id",
        }  # fmt: skip
        assert (back["status"], back["vm_name"]) == ("success", domain)
        subprocess.run(["qemu-io", "-r", "-c", "read -q -P 0x5a 1M 1M", image], check=True)
        new = {"backup_name": "first", "new_vm_name": f"{domain}-b"}
        again = known.post("/libvirt/backup/restore", new)
        assert again["vm_name"] == f"{domain}-b"
        disk = kvm.inventory.instance(f"{domain}-b").disks[0].path
        subprocess.run(["qemu-io", "-r", "-c", "read -q -P 0x5a 1M 1M", disk], check=True)
        known.refused("POST", "/libvirt/backup/restore", new, status=409)

        assert set(known.post("/libvirt/backup/delete", {"backup_name": "first"})) == {
            "status", "message", "backup_name",
        }  # fmt: skip
        assert known.get("/libvirt/backup/list")["total"] == 0
    for word in ("restore", "verify", "delete"):
        for name in ("first", "../first"):
            known.refused("POST", f"/libvirt/backup/{word}", {"backup_name": name}, status=404)
    # Without a worker the job waits, and the answer says so.
    waiting = known.post("/libvirt/backup/create", {"vm_name": domain}, status=201, wait=0)
    assert waiting["status"] == "running"
    services.jobs.cancel(waiting["job_id"])
