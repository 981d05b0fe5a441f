from __future__ import annotations

from collections.abc import Iterator

import pytest

from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import InstanceSpec
from tests.api.known.daemons import Known

VM = {"name", "path", "power_state", "guest_os", "memory_mb", "num_cpu", "storage_bytes"}


@pytest.fixture
def vm(known: Known, request: pytest.FixtureRequest) -> Iterator[str]:
    """A running instance with a CD in its drive."""
    name = f"vm-{request.node.name.partition('[')[0][-20:]}"
    image = known.daemon.lab.parent / "disc.iso"
    image.write_bytes(b"disc")
    known.mock.lifecycle.create(
        InstanceSpec(name=name, vcpus=2, memory=256 << 20, folder="prod/web", cdrom=str(image))
    )
    known.mock.lifecycle.start(name)
    yield name
    known.mock.lifecycle.stop(name, force=True)
    known.mock.lifecycle.delete(name, disks=True)


def test_machines_are_listed(known: Known, vm: str) -> None:
    found = known.get("/vms/list")
    assert set(found) == {"vms", "total", "timestamp"}
    assert found["total"] == len(found["vms"]) == 2
    mine = next(each for each in found["vms"] if each["name"] == vm)
    assert set(mine) == VM
    assert mine["path"] == f"prod/web/{vm}"
    assert (mine["power_state"], mine["memory_mb"], mine["num_cpu"]) == ("poweredOn", 256, 2)
    # Credentials in the query were a way to log in once; they change nothing.
    assert known.get("/vms/list", server="vc", username="u", password="p")["total"] == 2


def test_one_machine(known: Known, vm: str) -> None:
    found = known.post("/vms/info", {"vm_path": f"/prod/web/{vm}"})
    assert set(found) == {"success", "vm_info", "timestamp"}
    assert found["success"] is True
    assert set(found["vm_info"]) == VM
    assert found["vm_info"]["name"] == vm
    known.refused("POST", "/vms/info", {"vm_path": "nobody"}, status=404)
    error = known.refused("POST", "/vms/info", {"vm_pth": "web"}, status=400)
    assert "vm_pth" in error["error"] or "vm_path" in error["error"]


@pytest.mark.parametrize("path", ["/vms/shutdown", "/vms/poweroff"])
def test_machines_are_stopped(known: Known, vm: str, path: str) -> None:
    found = known.post(path, {"vm_path": vm, "timeout": 30})
    assert set(found) == {"success", "message", "timestamp"}
    assert vm in found["message"]
    assert known.mock.inventory.instance(vm).state is InstanceState.STOPPED
    known.post(path, {"vm_path": vm})  # again is no error
    events = [each.name for each in known.daemon.services.events.since(0)]
    assert "vm.stopped" in events
    entry = known.daemon.services.audit.list()[0]
    assert entry.subject == f"hypervisors/lab/instances/{vm}"


def test_a_cd_is_taken_out_and_named(known: Known, vm: str) -> None:
    found = known.post("/vms/remove-cdrom", {"vm_path": vm})
    assert set(found) == {"success", "message", "timestamp"}
    assert "disc.iso was taken out of" in found["message"]
    drives = [d for d in known.mock.details.details(vm).devices if d.kind == "cdrom"]
    assert [drive.detail for drive in drives] == [""]
    again = known.post("/vms/remove-cdrom", {"vm_path": vm})
    assert "nothing in its CD drives" in again["message"]
