from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any as Packed

from hypersdk.drivers.containerd.api.cgroup2.stats.metrics_pb2 import (
    CPUStat,
    MemoryStat,
)
from hypersdk.drivers.containerd.api.cgroup2.stats.metrics_pb2 import Metrics as Second
from hypersdk.drivers.containerd.metrics import _usage
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import MIB
from tests.drivers.containerd.lab import Lab


def test_all_in_one_call(lab: Lab) -> None:
    lab.running("busy", memory_maximum=128 * MIB)
    lab.created("idle")
    lab.shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", "busy")
    busy, idle = lab.hypervisor.metrics.metrics()
    assert (busy.name, busy.state) == ("busy", InstanceState.RUNNING)
    assert (busy.memory, busy.memory_maximum) == (64 * MIB, 128 * MIB)
    assert 0 < busy.memory_resident <= 64 * MIB
    assert busy.cpu_nanoseconds > 1_000_000
    assert (idle.name, idle.state) == ("idle", InstanceState.STOPPED)
    assert (idle.cpu_nanoseconds, idle.memory_resident) == (0, 0)


def test_the_counters_are_those_of_the_cgroup(lab: Lab) -> None:
    lab.running()
    (first,) = lab.hypervisor.metrics.metrics(["web"])
    said = lab.daemon.ctr("tasks", "metrics", "web")
    (second,) = lab.hypervisor.metrics.metrics(["web"])
    for line in said.splitlines():
        if line.startswith("cpuacct.usage "):
            seen = int(line.split()[1])
            assert first.cpu_nanoseconds <= seen <= second.cpu_nanoseconds
            return
    assert "usage_usec" in said


def test_chosen_ones(lab: Lab) -> None:
    lab.running("one")
    lab.created("two")
    metrics = lab.hypervisor.metrics.metrics
    assert [one.name for one in metrics(["two", "one"])] == ["one", "two"]
    assert list(metrics([])) == []
    with pytest.raises(InstanceNotFound, match="'three'"):
        metrics(["one", "three"])


def test_counters_of_the_second_version_of_cgroups() -> None:
    record = Second(cpu=CPUStat(usage_usec=5), memory=MemoryStat(usage=7))
    packed = Packed(type_url="io.containerd.cgroups.v2.Metrics", value=record.SerializeToString())
    assert _usage(packed) == (5000, 7)
    assert _usage(Packed(type_url="something.else")) == (0, 0)
