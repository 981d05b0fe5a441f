from __future__ import annotations

from hypersdk import DiskSpec, InstanceSpec
from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import steady
from tests.flows.fleet.labs import Labs


def test_one_instance(command: Runner, labs: Labs) -> None:
    spec = InstanceSpec(
        name="app",
        vcpus=2,
        folder="prod",
        tags={"site": "lab", "tier": "front"},
        disks=(DiskSpec(size=1 << 30),),
    )
    mock = labs.mock("b")
    made = mock.lifecycle.create(spec)
    mock.snapshots.create("app", "before", description="the upgrade")
    (snapshot,) = mock.snapshots.snapshots("app")
    (disk,) = made.disks
    path = len(disk.path)
    assert path > 4
    created = snapshot.created.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert steady(command("fleet", "show", "app").out) == steady(
        "instance:   app\n"
        f"id:         {made.id}\n"
        f"hypervisor: b ({labs.url('b')})\n"
        "state:      stopped\n"
        "vcpus:      2\n"
        "memory:     1.0 GiB\n"
        "owned:      yes\n"
        "folder:     prod\n"
        "tags:       site=lab, tier=front\n"
        "\n"
        "DISK     SIZE  FORMAT  PATH\n"
        f"vda   1.0 GiB  {disk.format}     {disk.path}\n"
        "\n"
        "SNAPSHOT  CREATED               STATE    PARENT  NOTES\n"
        f"before    {created}  stopped          current, the upgrade\n"
    )
    document = command("fleet", "show", made.id, "--json").json
    assert document["instance"]["tags"] == {"site": "lab", "tier": "front"}
    assert document["snapshots"][0]["description"] == "the upgrade"
    assert document["url"] == labs.url("b")


def test_a_hypervisor_without_snapshots(command: Runner, labs: Labs) -> None:
    labs.add("c", "solo", config='without = ["snapshots"]')
    result = command("fleet", "show", "solo", "-H", labs.url("c"))
    assert result.out.endswith(f"hypervisor: {labs.url('c')}\n"
                               "state:      stopped\n"
                               "vcpus:      1\n"
                               "memory:     1.0 GiB\n"
                               "owned:      yes\n")  # fmt: skip


def test_which_one_must_be_clear(command: Runner, labs: Labs) -> None:
    assert "several instances: a/web, b/web" in command("fleet", "show", "web", expect=1).err
    result = command("fleet", "show", "a/*", expect=1)
    assert result.err == ("hypersdk: 'a/*' matches 2 instances\n  Write one of them: a/db, a/web\n")
    assert "no instance 'wep'" in command("fleet", "show", "wep", expect=1).err
    assert command("fleet", "show", "b/web").out.startswith("instance:   web\n")
