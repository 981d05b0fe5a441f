from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InstanceNotFound, InvalidInput, NotFound
from tests.drivers.vsphere.conftest import Made


def test_a_running_machine_has_figures(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(running=True)
    used = hypervisor.consumption.current("vm", name)
    assert (used.name, used.kind) == (name, "vm")
    assert datetime.now(UTC) - used.time < timedelta(minutes=5)
    assert used.mhz > 0
    assert used.memory > 0


def test_hosts_and_clusters_have_figures(hypervisor: VsphereHypervisor) -> None:
    host = hypervisor.overview.hosts()[0]
    assert hypervisor.consumption.current("host", host.name).mhz > 0
    cluster = hypervisor.overview.clusters()[0]
    assert hypervisor.consumption.current("cluster", cluster.name).kind == "cluster"


def test_a_history_has_one_sample_for_each_interval(hypervisor: VsphereHypervisor) -> None:
    host = hypervisor.overview.hosts()[0].name
    end = datetime.now(UTC)
    found = hypervisor.consumption.history("host", host, "5min", end - timedelta(hours=1), end)
    assert 11 <= len(found) <= 13
    times = [each.time for each in found]
    assert times == sorted(times)
    assert times[1] - times[0] == timedelta(minutes=5)


def test_what_is_not_there_is_said(hypervisor: VsphereHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        hypervisor.consumption.current("vm", "no-such-machine")
    with pytest.raises(NotFound, match="host"):
        hypervisor.consumption.current("host", "no-such-host")
    with pytest.raises(InvalidInput, match="figures of a 'rack'"):
        hypervisor.consumption.current("rack", "x")


def test_a_history_has_bounds(hypervisor: VsphereHypervisor) -> None:
    end = datetime.now(UTC)
    with pytest.raises(InvalidInput, match="samples"):
        hypervisor.consumption.history("vm", "x", "realtime", end - timedelta(days=30), end)
    with pytest.raises(InvalidInput, match="interval"):
        hypervisor.consumption.history("vm", "x", "weekly", end, end)
