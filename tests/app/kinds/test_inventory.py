from __future__ import annotations

import shutil

import pytest

from hypersdk.model.errors import HypervisorUnreachable
from tests.app.kinds.killed import kill, resume
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import FakeRun, job_of


def test_all_hypervisors(lab: Lab) -> None:
    lab.mock("other").create_instance("db", {"vda": MIB})
    lab.mock().lifecycle.start("web")
    done = lab.run("inventory")
    assert done["hypervisors"] == done["instances"] == 2
    assert done["states"] == {"lab": {"running": 1}, "other": {"stopped": 1}}
    assert lab.kept == {"lab": ["web"], "other": ["db"]}
    assert lab.run("inventory", hypervisor="lab")["states"] == {"lab": {"running": 1}}


def test_one_that_cannot_be_asked_is_told(lab: Lab) -> None:
    shutil.rmtree(lab.root / "other")
    done = lab.run("inventory")
    assert list(done["unreachable"]) == ["other"]
    assert done["hypervisors"] == 1
    shutil.rmtree(lab.root / "lab")
    lab.connections.close()
    with pytest.raises(HypervisorUnreachable):
        lab.run("inventory")


def test_a_tenant_sees_its_own(lab: Lab) -> None:
    run = FakeRun(job_of("inventory", {}, tenant="acme"))
    assert lab.kinds()["inventory"].work({}, run)["hypervisors"] == 0


def test_killed_it_is_done_again(lab: Lab) -> None:
    kill(lab.root, "inventory", "lost inventory", {})
    assert resume(lab, "inventory", {}).result["instances"] == 1
