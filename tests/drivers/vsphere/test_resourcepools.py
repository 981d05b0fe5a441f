from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound
from hypersdk.model.management import UNLIMITED, Share
from hypersdk.model.units import MIB


def test_a_pool_is_made_changed_and_deleted(hypervisor: VsphereHypervisor) -> None:
    pools = hypervisor.pools
    root = pools.pools()[0]
    made = pools.create(
        "gold",
        root.path,
        processors=Share(reservation=500, limit=2000, shares="high"),
        ram=Share(reservation=256 * MIB),
    )
    try:
        assert made.name == "gold"
        assert made.path == f"{root.path}/gold"
        assert made.processors.reservation == 500
        assert made.processors.limit == 2000
        assert made.processors.shares == "high"
        assert made.ram == Share(
            reservation=256 * MIB, limit=UNLIMITED, expandable=True, shares="normal",
            level=made.ram.level,
        )  # fmt: skip
        with pytest.raises(AlreadyExists):
            pools.create("gold", root.path)

        changed = pools.change("gold", processors=Share(limit=UNLIMITED))
        assert changed.processors.limit == UNLIMITED
        assert changed.processors.reservation == 500, "what was not named stays"
        assert changed.ram.reservation == 256 * MIB

        assert pools.change("gold", rename="silver").name == "silver"
        assert [pool.name for pool in pools.pools() if pool.path == f"{root.path}/silver"]
    finally:
        pools.delete("silver")
    with pytest.raises(NotFound, match="silver"):
        pools.delete("silver")


def test_a_level_of_shares_goes_with_custom(hypervisor: VsphereHypervisor) -> None:
    root = hypervisor.pools.pools()[0]
    with pytest.raises(InvalidInput, match="custom"):
        hypervisor.pools.create("odd", root.path, processors=Share(shares="low", level=7))


def test_a_root_pool_stays(hypervisor: VsphereHypervisor) -> None:
    with pytest.raises(InvalidState, match="root pool"):
        hypervisor.pools.delete(hypervisor.pools.pools()[0].path)


def test_a_missing_pool_names_the_nearest(hypervisor: VsphereHypervisor) -> None:
    with pytest.raises(NotFound) as caught:
        hypervisor.pools.find("Resourcse")
    assert "Resources" in caught.value.hint
