"""A running guest → a repository → a new guest that boots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.daemons import Daemon, daemon
from tests.daemon.scene import Site, hyperctl
from tests.kvm.domains import Guest
from tests.kvm.fixtures import Lab

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def running(lab: Lab, site: Site) -> Iterator[Daemon]:
    """A daemon whose work has its folders where QEMU reaches them."""
    scratch = lab.folder / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    settings = (
        f"hypervisors: {{lab: '{lab.url}'}}\nrepositories: {{main: '{site.folder}/repository'}}\n"
    )
    with daemon(site.folder, settings=settings, HYPERSDK_SCRATCH_DIR=str(scratch)) as started:
        yield started
    assert list(scratch.iterdir()) == []


def saved(running: Daemon) -> dict[str, object]:
    """The newest job, a backup of the guest that completed."""
    hyperctl(running, "backup", "guest", "-H", "lab", "--repo", "main", "--wait")
    (newest,) = hyperctl(running, "query", "--limit", 1, "--json").json["jobs"]
    disks = {disk["name"]: disk for disk in newest["result"]["disks"]}
    return {**newest["result"], **disks["vda"], "point": newest["result"]["point"]}


def test_saved_twice_restored_and_booted(lab: Lab, running: Daemon, guest: Guest) -> None:
    guest.write("vda", 0, b"written before the first backup")
    guest.write("vda", MIB, 0x41, 4 * MIB)
    first = saved(running)
    assert not first["incremental"]
    guest.write("vda", 8 * MIB, b"written before the second one")
    second = saved(running)
    assert second["incremental"], second["reason"]
    assert 0 < int(str(second["read"])) <= MIB
    points = hyperctl(running, "repo", "points", "main", "--instance", "guest", "--json").json
    assert [each["id"] for each in points["points"]] == [second["point"], first["point"]]
    guest.write("vda", 0, b"written after the backups, too!")

    line = ("restore", "guest", "--repo", "main", "--to-hypervisor", "lab", "--as", "twin")
    hyperctl(running, *line, "--start", "--wait")
    twin = Guest(lab.connection.lookupByName("twin"))
    twin.wait_ready()  # LAB READY on its serial line
    assert "LAB READY" in twin.transcript
    assert twin.run("head -c 31 /dev/vda") == "written before the first backup"
    assert twin.run("dd if=/dev/vda bs=1M skip=8 count=1 2>/dev/null | head -c 29") == (
        "written before the second one"
    )
    twin.close()
    states = {each["name"]: each["state"] for each in running.get("/v1/instances")["items"]}
    assert states == {"guest": "running", "twin": "running"}
    said = hyperctl(
        running,
        "restore",
        "guest",
        "--repo",
        "main",
        "--to-hypervisor",
        "lab",
        "--as",
        "twin",
        "--wait",
        expect=1,
    )
    assert "'twin' exists" in said.err
