"""Jobs of the daemon on libvirt: what a run that was killed has made is found by its tag."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import hypersdk
from hypersdk.app.kinds import all_kinds
from hypersdk.app.kinds.site import JOB_TAG
from hypersdk.flows.connections import Connections
from hypersdk.jobs.kinds import Kinds
from hypersdk.model.estate import HypervisorRecord, RepositoryRecord
from tests.app.kinds.running import JOB, FakeRun, Killed, job_of, killing
from tests.flows.kvm.scene import Scene, image_io

NOW = datetime.now(UTC)


@pytest.fixture
def kinds(scene: Scene, tmp_path: Path) -> Iterator[Kinds]:
    place = str(tmp_path / "plain")
    hypersdk.init_repository(place, cache=tmp_path / "plain-cache").close()
    connections = Connections(
        lambda name: HypervisorRecord(name=name, url=scene.lab.url, created=NOW, updated=NOW),
        lambda name: RepositoryRecord(name=name, location=place, created=NOW, updated=NOW),
        cache=tmp_path / "plain-cache",
    )
    yield all_kinds(connections)
    connections.close()


def test_restored_once_though_it_was_killed(scene: Scene, kinds: Kinds) -> None:
    scene.define("web")
    (disk,) = scene.disks["web"]
    image_io(disk.path, "write -P 7 0 1M")
    backup = {"repository": "main", "hypervisor": "kvm", "instance": "web"}
    made = kinds["backup"].work(backup, FakeRun(job_of("backup", backup, id="01JD-BACKUP")))
    request = {
        "repository": "main", "instance": "web", "to_hypervisor": "kvm", "new_name": "copy",
    }  # fmt: skip
    with pytest.raises(Killed):
        kinds["restore"].work(
            request, FakeRun(job_of("restore", request), at=killing("lost restore"))
        )
    first = scene.lab.connection.lookupByName("copy").UUIDString()
    run = FakeRun(job_of("restore", request, run=2))
    done = kinds["restore"].work(request, run)
    assert done["point"] == made["point"]
    assert any("removing copy" in line for line in run.lines)
    names = sorted(domain.name() for domain in scene.lab.connection.listAllDomains())
    assert names == ["copy", "web"]
    assert scene.lab.connection.lookupByName("copy").UUIDString() != first
    found = scene.hypervisor.inventory
    assert found is not None
    copy = found.instance("copy")
    assert copy.tags[JOB_TAG] == JOB
    image_io(Path(copy.disks[0].path), "read -P 7 0 1M")


def test_a_snapshot_is_made_once(scene: Scene, kinds: Kinds) -> None:
    scene.define("web")
    request = {"hypervisor": "kvm", "instance": "web", "description": "of the domain"}
    with pytest.raises(Killed):
        kinds["snapshot"].work(
            request, FakeRun(job_of("snapshot", request), at=killing("lost create"))
        )
    assert kinds["snapshot"].work(request, FakeRun(job_of("snapshot", request)))["unchanged"]
    (name,) = scene.lab.connection.lookupByName("web").snapshotListNames()
    assert name == f"job-{JOB}"
