from __future__ import annotations

from hypersdk.drivers.docker.driver import connect
from hypersdk.drivers.ports import PARTS, Hypervisor, capabilities, present
from hypersdk.drivers.registry import connect as find
from hypersdk.model.capabilities import Grade
from tests.containers.dockerd import Dockerd

#: What containers have not, and what the engine does not do.
MISSING = {
    *("checkpoints", "clones", "console", "details", "guest_agent", "live_migration", "storage"),
}


def test_parts(engine: Dockerd) -> None:
    hypervisor: Hypervisor = connect(engine.url)
    assert hypervisor.url == engine.url
    assert set(PARTS) - set(present(hypervisor)) == MISSING
    grades = {each.part: each.grade for each in capabilities(hypervisor)}
    assert grades["execution"] is Grade.FULL
    assert grades["snapshots"] is Grade.PARTIAL
    limits = [limit for each in capabilities(hypervisor) for limit in each.limits]
    assert all(limit.aspect.split(".")[0] in PARTS and limit.note for limit in limits)
    hypervisor.close()
    hypervisor.close()


def test_it_is_found_by_its_scheme(engine: Dockerd) -> None:
    hypervisor = find(engine.url)
    assert hypervisor.inventory is not None
    assert not list(hypervisor.inventory.instances())
    hypervisor.close()
