from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from hypersdk.drivers.libvirt.cgroups import usual_shares, why_untuned
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.model.specs import InstanceSpec
from hypersdk.model.units import MIB
from tests.components import require, require_root
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab

HERE, THERE = "qemu:///system", "qemu+ssh://root@host/system"


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    return tmp_path


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    (tmp_path / "cpu,cpuacct").mkdir()
    (tmp_path / "cpu,cpuacct/cpu.shares").write_text("1024\n")
    return tmp_path


def test_shares_are_measured_as_the_host_does(version_1: Path) -> None:
    assert usual_shares(HERE, version_1) == 1024
    assert usual_shares(THERE, version_1) == 100


def test_version_2_has_weights(version_2: Path) -> None:
    assert usual_shares(HERE, version_2) == 100


def test_a_host_without_the_controller(
    lab: Lab, version_2: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert why_untuned(lab.connection, HERE, version_2) == ""
    (version_2 / "cgroup.controllers").write_text("cpuset io\n")
    assert "no control groups" in why_untuned(lab.connection, HERE, version_2)
    nothing = tmp_path_factory.mktemp("nothing")
    assert "no control groups" in why_untuned(lab.connection, HERE, nothing)
    assert why_untuned(lab.connection, THERE, nothing) == ""  # not known
    assert "not root" in why_untuned(lab.connection, "qemu:///session", version_2)


def test_a_running_domain_shows_it(lab: Lab, version_2: Path) -> None:
    domain = lab.connection.createXML(domain_xml("web"))
    assert "qemu.conf" in why_untuned(lab.connection, HERE, version_2)
    domain.destroy()
    assert why_untuned(lab.connection, HERE, version_2) == ""


def test_libvirts_test_driver_enforces_nothing_and_keeps_all(tmp_path: Path) -> None:
    connection = libvirt.open("test:///default")
    assert why_untuned(connection, "test:///default", tmp_path) == ""
    connection.close()


@pytest.fixture(scope="module")
def grouped() -> Iterator[Libvirtd]:
    """A libvirtd that has control groups."""
    require_root()
    require("libvirtd", "virtlogd", "qemu-system-x86_64", "unshare")
    with Libvirtd(control_groups=True) as daemon:
        yield daemon


@pytest.mark.parametrize(("weight", "shares"), [(1, 10), (50, 512), (300, 3072), (10_000, 102_400)])
def test_weight_and_limit_reach_the_kernel(grouped: Libvirtd, weight: int, shares: int) -> None:
    hypervisor = LibvirtHypervisor(grouped.uri)
    spec = InstanceSpec(
        name="web", vcpus=2, memory=64 * MIB, cpu_weight=weight, cpu_limit=0.5, acceleration="tcg"
    )
    hypervisor.lifecycle.create(spec)
    hypervisor.lifecycle.start("web")
    lines = Path(f"/proc/{grouped.qemu_pid('web')}/cgroup").read_text().splitlines()
    (path,) = (line.partition(":cpu:")[2] for line in lines if ":cpu:" in line)
    group = Path("/sys/fs/cgroup/cpu" + path).parent
    assert int((group / "cpu.shares").read_text()) == shares
    quota, period = (int((group / f"cpu.cfs_{n}_us").read_text()) for n in ("quota", "period"))
    assert quota / period == 0.5  # of all its processors together
    hypervisor.lifecycle.stop("web", force=True)
    hypervisor.lifecycle.delete("web")
    hypervisor.close()
