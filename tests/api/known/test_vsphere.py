"""``/vsphere`` on the lab's vCenter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.drivers.vsphere.driver import connect as connect_vsphere
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.instances import InstanceState
from tests.api.known.daemons import Known, knowing
from tests.api.serving import DEADLINE
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import VsphereLab

__all__ = ["vsphere_lab"]

TOLD = {"success", "message", "timestamp"}
RESULT = {"source_vm", "target_name", "target_path", "task_id", "success", "duration"}
SAMPLE = {
    "entity_name", "entity_type", "timestamp", "cpu_usage_mhz", "cpu_percent", "memory_usage_mb",
    "memory_percent", "disk_read_mbps", "disk_write_mbps", "net_rx_mbps", "net_tx_mbps",
}  # fmt: skip
EVENT = {
    "event_id", "event_type", "message", "created_time", "user_name", "entity_name",
    "entity_type", "datacenter", "severity", "chain_id",
}  # fmt: skip
TASK = {
    "task_id", "name", "description", "state", "entity_name", "start_time", "complete_time",
    "progress",
}  # fmt: skip


@pytest.fixture(scope="module")
def known(vsphere_lab: VsphereLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """``vc`` is the only vCenter, and so the default one of these routes."""
    with knowing(tmp_path_factory.mktemp("vsphere")) as found:
        found.daemon.services.hypervisors.create("vc", vsphere_lab.url)
        yield found


@pytest.fixture(scope="module")
def vc(vsphere_lab: VsphereLab) -> Iterator[VsphereHypervisor]:
    found = connect_vsphere(vsphere_lab.url)
    yield found
    found.close()


@pytest.fixture
def vm(vsphere_lab: VsphereLab) -> Iterator[str]:
    """Stopped. What is called like it and ends in something else is removed with it."""
    name = f"known-{uuid4().hex[:6]}"
    vsphere_lab.add_vm(name=name)
    yield name
    there = connect_vsphere(vsphere_lab.url)
    for each in list(there.inventory.instances()):
        if each.name.startswith(name):
            vsphere_lab.remove_vm(each.name)
    there.close()


def test_hosts(known: Known, vc: VsphereHypervisor) -> None:
    found = known.get("/vsphere/hosts")
    assert set(found) == {"hosts", "total", "timestamp"}
    hosts = vc.overview.hosts()
    assert [each["name"] for each in found["hosts"]] == [host.name for host in hosts]
    assert set(found["hosts"][0]) == {
        "name", "path", "datacenter", "cluster", "connection_state", "power_state", "cpu_model",
        "cpu_cores", "cpu_threads", "cpu_mhz", "memory_mb", "num_nics", "num_vms", "version",
        "build",
    }  # fmt: skip
    one = hosts[0].name
    assert known.get("/vsphere/hosts", pattern=f"{one[:-1]}?")["total"] >= 1
    assert known.get("/vsphere/hosts", pattern=one)["total"] == 1
    assert known.get("/vsphere/hosts", pattern="nothing*")["hosts"] == []


def test_clusters_and_datacenters(known: Known, vsphere_lab: VsphereLab) -> None:
    clusters = known.get("/vsphere/clusters")
    assert set(clusters) == {"clusters", "total", "timestamp"}
    assert set(clusters["clusters"][0]) == {
        "name", "path", "total_cpu_mhz", "total_memory_mb", "num_hosts", "num_cpu_cores",
        "num_cpu_threads", "drs_enabled", "drs_behavior", "ha_enabled", "effective_cpu_mhz",
        "effective_memory_mb",
    }  # fmt: skip
    datacenters = known.get("/vsphere/datacenters")
    assert set(datacenters) == {"datacenters", "total", "timestamp"}
    assert set(datacenters["datacenters"][0]) == {
        "name", "path", "num_clusters", "num_hosts", "num_vms", "num_datastores",
    }  # fmt: skip
    assert datacenters["datacenters"][0]["name"] == vsphere_lab.datacenter
    info = known.get("/vsphere/vcenter/info")
    assert set(info) == {"info", "timestamp"}
    assert set(info["info"]) == {
        "name", "version", "build", "os_type", "api_type", "api_version", "instance_id",
    }  # fmt: skip
    assert info["info"]["api_type"] == "VirtualCenter"


def test_figures_of_now_and_before(known: Known, vc: VsphereHypervisor) -> None:
    host = vc.overview.hosts()[0].name
    now = known.get("/vsphere/metrics", entity=host, type="host", realtime="true")
    assert set(now) == {"realtime", "current"}
    assert set(now["current"]) == SAMPLE
    assert now["current"]["cpu_usage_mhz"] > 0
    before = known.get("/vsphere/metrics", entity=host, type="host", interval="5min")
    assert set(before) == {"realtime", "history"}
    assert set(before["history"]) == {
        "entity_name", "interval", "start_time", "end_time", "samples",
    }  # fmt: skip
    assert len(before["history"]["samples"]) >= 11
    assert set(before["history"]["samples"][0]) == SAMPLE
    path = "/vsphere/metrics"
    known.refused("GET", path, entity="nobody", type="vm", realtime="true", status=404)
    known.refused("GET", path, entity=host, type="rack", status=400)
    known.refused("GET", path, entity=host, type="host", start="yesterday", status=400)
    known.refused("GET", path, status=400)


def test_resource_pools(known: Known) -> None:
    root = known.get("/vsphere/pools")["pools"][0]
    assert set(root) == {
        "name", "path", "cpu_allocation_mhz", "cpu_reservation_mhz", "cpu_limit_mhz",
        "cpu_expandable", "memory_allocation_mb", "memory_reservation_mb", "memory_limit_mb",
        "memory_expandable", "num_vms", "num_sub_pools",
    }  # fmt: skip
    config = {
        "name": "gold", "parent_path": root["path"], "cpu_reservation_mhz": 100,
        "cpu_limit_mhz": 1000, "cpu_expandable": True, "cpu_shares": "high",
        "memory_reservation_mb": 64, "memory_limit_mb": -1,
    }  # fmt: skip
    assert set(known.post("/vsphere/pools", {"config": config})) == TOLD
    try:
        made = known.get("/vsphere/pools", pattern="gold")["pools"][0]
        assert made["path"] == f"{root['path']}/gold"
        assert (made["cpu_reservation_mhz"], made["cpu_limit_mhz"]) == (100, 1000)
        assert (made["memory_reservation_mb"], made["memory_limit_mb"]) == (64, -1)
        known.refused("POST", "/vsphere/pools", {"config": config}, status=409)
        change = {"pool_name": "gold", "config": {"cpu_limit_mhz": 2000}}
        answer = known.client.put("/vsphere/pools/gold", json=change)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == TOLD
        changed = known.get("/vsphere/pools", pattern="gold")["pools"][0]
        assert (changed["cpu_limit_mhz"], changed["cpu_reservation_mhz"]) == (2000, 100)
        move = {"config": {"parent_path": "elsewhere"}}
        known.refused("PUT", "/vsphere/pools/gold", move, status=501)
    finally:
        gone = known.client.delete(f"/vsphere/pools/{root['path']}/gold")
    assert gone.status_code == 200, gone.text
    assert set(gone.json()) == TOLD
    known.refused("DELETE", "/vsphere/pools/gold", status=404)
    known.refused("POST", "/vsphere/pools", {"config": {}}, status=400)
    known.refused("POST", "/vsphere/pools", {"config": {"cpu_limit": 1}}, status=400)


def test_events_and_tasks(known: Known, vm: str, vc: VsphereHypervisor) -> None:
    vc.lifecycle.start(vm)
    found = known.get("/vsphere/events", entity_types="VirtualMachine")
    assert set(found) == {"events", "total", "timestamp"}
    mine = [each for each in found["events"] if each["entity_name"] == vm]
    assert set(mine[0]) == EVENT
    assert "VmPoweredOnEvent" in [each["event_type"] for each in mine]
    only = known.get("/vsphere/events", types="VmPoweredOnEvent")["events"]
    assert {each["event_type"] for each in only} == {"VmPoweredOnEvent"}
    assert known.get("/vsphere/events", since="2199-01-01T00:00:00Z")["events"] == []
    tasks = known.get("/vsphere/tasks")
    assert set(tasks) == {"tasks", "total", "timestamp"}
    started = next(
        each
        for each in tasks["tasks"]
        # The simulator says the id of a machine instead of its name.
        if each["entity_name"] in (vm, _id(vc, vm)) and "powerOn" in each["name"]
    )
    assert set(started) == TASK
    assert (started["state"], started["progress"]) == ("success", 100)
    known.refused("GET", "/vsphere/tasks", since="soon", status=400)


def test_a_clone_goes_where_it_is_wanted(known: Known, vm: str, vc: VsphereHypervisor) -> None:
    pool = known.get("/vsphere/pools")["pools"][0]["path"]
    spec = {
        "source_vm": vm, "target_name": f"{vm}-c", "target_folder": "cloned",
        "resource_pool": pool, "datastore": vc.storage.pools()[0].name, "power_on": True,
    }  # fmt: skip
    done = known.post("/vsphere/clone", {"spec": spec})
    assert set(done) == {"result", "timestamp"}
    assert set(done["result"]) == RESULT
    assert done["result"]["success"] is True
    assert done["result"]["duration"] > 0
    made = vc.inventory.instance(f"{vm}-c")
    assert (made.folder, made.state) == ("cloned", InstanceState.RUNNING)
    assert done["result"]["target_path"].endswith(f"/vm/cloned/{vm}-c")
    known.refused("POST", "/vsphere/clone", {"spec": spec}, status=409)
    custom = {"spec": {**spec, "target_name": f"{vm}-x", "customize_guest": True}}
    known.refused("POST", "/vsphere/clone", custom, status=501)


def test_several_clones_each_have_their_result(known: Known, vm: str) -> None:
    specs = [{"source_vm": vm, "target_name": f"{vm}-{n}"} for n in range(2)]
    specs.append({"source_vm": "nobody", "target_name": f"{vm}-n"})
    body = {"specs": specs, "max_concurrent": 2}
    done = known.post("/vsphere/clone/bulk", body)
    assert set(done) == {"results", "success", "failed", "duration", "timestamp"}
    assert (done["success"], done["failed"]) == (2, 1)
    assert set(done["results"][2]) == RESULT | {"error"}
    assert "nobody" in done["results"][2]["error"]
    one = {"specs": [specs[2], specs[0]], "max_concurrent": 1, "stop_on_error": True}
    stopped = known.post("/vsphere/clone/bulk", one)
    assert "not begun" in stopped["results"][1]["error"]


def test_templates(known: Known, vm: str, vc: VsphereHypervisor) -> None:
    made = known.post("/vsphere/template/create", {"vm_name": vm})
    assert set(made) == {"success", "message", "vm_name", "timestamp"}
    assert vc.details.details(vm).template
    body = {"spec": {"source_vm": vm, "target_name": f"{vm}-d"}}
    done = known.post("/vsphere/template/deploy", body)
    assert set(done["result"]) == RESULT
    assert vc.inventory.instance(f"{vm}-d").state is InstanceState.STOPPED
    known.refused("POST", "/vsphere/template/create", {"vm_name": "nobody"}, status=404)


def test_machines_of_a_vcenter(known: Known, vm: str, vsphere_lab: VsphereLab) -> None:
    path = f"/{vsphere_lab.datacenter}/vm/{vm}"
    found = known.post("/vms/info", {"vm_path": path}, hypervisor="vc")
    assert found["vm_info"]["path"] == f"{vsphere_lab.datacenter}/vm/{vm}"
    assert known.get("/vms/list", hypervisor="vc")["total"] >= 1
    job = known.post(
        "/jobs/submit",
        {
            "vm_path": path,
            "output_path": "x",
            "vcenter": {"server": vsphere_lab.address},
        },
    )["job_id"]
    assert known.daemon.services.jobs.get(job).request["instance"] == path.strip("/")
    known.daemon.services.jobs.cancel(job)


# Streams.


def _url(known: Known, path: str) -> str:
    return f"{known.daemon.url.replace('http', 'ws')}{path}"


def _id(vc: VsphereHypervisor, vm: str) -> str:
    return moid(vc.connection.vm(vm))


def _next(socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = json.loads(socket.recv(timeout=DEADLINE))
        assert set(found) == {"type", "timestamp", "data"}
        assert found["type"] != "error", found
        if wanted(found["data"]):
            return found


def test_figures_are_streamed(known: Known, vc: VsphereHypervisor) -> None:
    host = vc.overview.hosts()[0].name
    path = f"/vsphere/metrics/stream?entity={host}&type=host&interval=1s"
    with connect(_url(known, path)) as socket:
        for _ in range(2):
            found = _next(socket, lambda _: True)
            assert found["type"] == "metrics"
            assert set(found["data"]) == SAMPLE


def test_events_and_tasks_are_streamed(known: Known, vm: str, vc: VsphereHypervisor) -> None:
    events = connect(_url(known, "/vsphere/events/stream?types=VmPoweredOnEvent"))
    tasks = connect(_url(known, "/vsphere/tasks/stream"))
    with events, tasks:
        vc.lifecycle.start(vm)
        told = _next(events, lambda data: data["entity_name"] == vm)
        assert told["type"] == "event"
        assert set(told["data"]) == EVENT
        assert told["data"]["event_type"] == "VmPoweredOnEvent"
        mine = (vm, _id(vc, vm))
        done = _next(tasks, lambda data: data["entity_name"] in mine and data["state"] == "success")
        assert done["type"] == "task"
        assert set(done["data"]) >= TASK - {"complete_time"}


def test_a_stream_of_nothing_is_refused(known: Known) -> None:
    for path, status in (
        ("/vsphere/metrics/stream?entity=nobody", 404),
        ("/vsphere/metrics/stream?entity=x&interval=soon", 400),
        ("/vsphere/events/stream?hypervisor=lab", 501),
        ("/vsphere/tasks/stream?hypervisor=nowhere", 404),
    ):
        with pytest.raises(InvalidStatus) as caught:
            connect(_url(known, path))
        assert caught.value.response.status_code == status, path


def test_other_hypervisors_have_no_such_parts(known: Known) -> None:
    for path in ("hosts", "clusters", "datacenters", "vcenter/info", "pools", "events", "tasks"):
        error = known.refused("GET", f"/vsphere/{path}", hypervisor="lab", status=501)
        assert "mock:" in error["error"]
    # Clones are a part of the port: these they have, where they are placed by themselves.
    spec = {"source_vm": "web", "target_name": "web-clone"}
    assert known.post("/vsphere/clone", {"spec": spec}, hypervisor="lab")["result"]["success"]
    placed = {"spec": {**spec, "target_name": "y", "datastore": "x"}}
    known.refused("POST", "/vsphere/clone", placed, hypervisor="lab", status=501)
