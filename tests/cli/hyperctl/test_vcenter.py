"""``hyperctl host``, ``cluster``, ``pool``, ``metrics`` and ``clone`` on the lab's vCenter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk import connect
from tests.api.serving import serving
from tests.cli.hyperctl.conftest import Control
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import VsphereLab

__all__ = ["vsphere_lab"]


@pytest.fixture(scope="module")
def vcenter(vsphere_lab: VsphereLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """With a daemon that knows one vCenter, and so needs no -H."""
    with serving(tmp_path_factory.mktemp("vcenter")) as found:
        found.services.hypervisors.create("vc", vsphere_lab.url)
        yield Control(found.url)


@pytest.fixture
def machine(vsphere_lab: VsphereLab) -> Iterator[str]:
    name = f"ctl-{os.getpid()}"
    vsphere_lab.add_vm(name=name)
    yield name
    there = connect(vsphere_lab.url)
    assert there.inventory is not None
    for each in list(there.inventory.instances()):
        if each.name.startswith(name):
            vsphere_lab.remove_vm(each.name)
    there.close()


def test_hosts_and_clusters(vcenter: Control) -> None:
    head, *rows = vcenter("host").out.splitlines()
    assert head.startswith("Name  ")
    assert len(rows) == 2
    name = rows[0].split()[0]
    assert vcenter("host", "-op", "info", "-pattern", name).out.startswith("name:")
    assert vcenter("host", "-pattern", "nope*").err == "There are no hosts.\n"
    assert (
        "List them: hyperctl host"
        in vcenter("host", "-op", "info", "-pattern", "nope", expect=1).err
    )
    assert vcenter("cluster", "-json").json["clusters"][0]["num_hosts"] >= 1


def test_the_life_of_a_pool(vcenter: Control) -> None:
    vcenter("pool", "-op", "create", "-name", "ctl-pool", "-cpu-limit", 500)
    listed = {each["name"]: each for each in vcenter("pool", "-json").json["pools"]}
    assert listed["ctl-pool"]["cpu_limit_mhz"] == 500
    vcenter("pool", "-op", "update", "-name", "ctl-pool", "-mem-limit", 64)
    vcenter("pool", "-op", "delete", "-name", "ctl-pool")
    assert "ctl-pool" not in vcenter("pool").out
    assert vcenter("pool", "-op", "delete", "-name", "ctl-pool", expect=1).out == ""
    assert "name the pool" in vcenter("pool", "-op", "delete", expect=2).err


def test_metrics(vcenter: Control, machine: str) -> None:
    found = vcenter("metrics", "-entity", machine, "-realtime", "-json").json
    assert found["realtime"] is True
    assert found["current"]["entity_name"] == machine
    assert vcenter("metrics", "-entity", "nope", expect=1).out == ""


def test_clones(vcenter: Control, machine: str, tmp_path: Path) -> None:
    one = vcenter("clone", "-source", machine, "-target", f"{machine}-2", "-json").json
    assert (one["target_name"], one["success"]) == (f"{machine}-2", True)
    file = tmp_path / "clones.json"
    specs = [
        {"source_vm": machine, "target_name": f"{machine}-3"},
        {"source_vm": "nope", "target_name": "never"},
    ]
    file.write_text(json.dumps(specs))
    result = vcenter("clone", "-bulk", file, expect=3)
    assert f"{machine} -> {machine}-3 done\n" in result.out
    assert result.err.startswith("hyperctl: 1 of 2 copies failed\n  never: ")
    assert "--source and --target" in vcenter("clone", expect=2).err
    assert machine in vcenter("list", "-H", "vc").out
