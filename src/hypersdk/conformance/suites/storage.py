"""Pools and volumes."""

from __future__ import annotations

import shutil
import tempfile
from uuid import uuid4

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound
from hypersdk.model.resources import Volume
from hypersdk.model.units import MIB


def _pool(lab: Lab) -> str:
    """Name of a fresh pool in a folder of its own."""
    folder = tempfile.mkdtemp(prefix="kit-pool-")
    lab.later("remove a folder", lambda _: shutil.rmtree(folder, ignore_errors=True))
    name = f"kit-{uuid4().hex[:8]}"
    lab.later(
        "delete a pool",
        lambda parts: expect.tolerated(NotFound, lambda: parts.storage.delete_pool(name)),
    )
    lab.storage.create_pool(name, folder)
    return name


def _name(lab: Lab) -> str:
    return f"kit.{lab.expectations.volumes}"


def _volume(lab: Lab, pool: str, size: int = 4 * MIB) -> Volume:
    """One of the format that this hypervisor makes."""
    name = _name(lab)
    made = lab.storage.create_volume(pool, name, size, lab.expectations.volumes)
    expect.equal(made.name, name, "name of the volume")
    return made


@case("storage")
def pools_come_and_go(lab: Lab) -> None:
    """A pool is listed after it was made, with its room, and not after it was deleted."""
    name = _pool(lab)
    found = lab.storage.pool(name)
    expect.true(found.active and found.capacity >= found.available >= 0, f"its figures: {found}")
    expect.contains([pool.name for pool in lab.storage.pools()], name, "pools")
    expect.raises(AlreadyExists, lambda: lab.storage.create_pool(name, found.path), "a taken name")
    lab.storage.delete_pool(name)
    expect.lacks([pool.name for pool in lab.storage.pools()], name, "pools")
    expect.raises(NotFound, lambda: lab.storage.pool(name), "a look at it")


@case("storage")
def volumes_come_and_go(lab: Lab) -> None:
    """A volume is listed with its size, grows, and is gone when it was deleted."""
    pool = _pool(lab)
    made = _volume(lab, pool)
    name = made.name
    expect.equal((made.pool, made.capacity), (pool, 4 * MIB), "the volume")
    expect.equal([v.name for v in lab.storage.volumes(pool)], [name], "volumes")
    grown = lab.storage.resize_volume(pool, name, 8 * MIB)
    expect.equal(grown.capacity, 8 * MIB, "its size")
    lab.storage.delete_volume(pool, name)
    expect.equal(list(lab.storage.volumes(pool)), [], "volumes")
    expect.raises(NotFound, lambda: lab.storage.delete_volume(pool, name), "deleting again")


@case("storage")
def volumes_are_not_overwritten(lab: Lab) -> None:
    """A taken name raises AlreadyExists, and the volume stays as it is."""
    pool = _pool(lab)
    _volume(lab, pool)
    expect.raises(AlreadyExists, lambda: _volume(lab, pool, 8 * MIB), "a taken name")
    expect.equal([v.capacity for v in lab.storage.volumes(pool)], [4 * MIB], "sizes")
    lab.storage.delete_volume(pool, _name(lab))


@case("storage")
def volumes_do_not_shrink(lab: Lab) -> None:
    """Making a volume smaller raises InvalidInput: what is behind the end would be lost."""
    pool = _pool(lab)
    name = _volume(lab, pool).name
    expect.raises(InvalidInput, lambda: lab.storage.resize_volume(pool, name, 2 * MIB), "shrinking")
    expect.equal([v.capacity for v in lab.storage.volumes(pool)], [4 * MIB], "sizes")
    lab.storage.delete_volume(pool, _name(lab))


@case("storage")
def volumes_without_room_are_refused(lab: Lab) -> None:
    """A raw volume larger than any storage is refused, and is not there."""
    pool = _pool(lab)
    expect.raises(
        (LimitExceeded, InvalidInput),
        lambda: lab.storage.create_volume(pool, "kit.raw", 1 << 62, "raw"),
        "a volume of 4 EiB",
    )
    expect.equal(list(lab.storage.volumes(pool)), [], "volumes")


@case("storage")
def missing_pools_are_not_found(lab: Lab) -> None:
    """Everything asked of a pool that is not there raises NotFound."""
    for what, ask in (
        ("looking", lambda: lab.storage.pool("kit-no-pool")),
        ("listing", lambda: lab.storage.volumes("kit-no-pool")),
        ("creating", lambda: lab.storage.create_volume("kit-no-pool", "kit", MIB)),
        ("deleting", lambda: lab.storage.delete_pool("kit-no-pool")),
    ):
        expect.raises(NotFound, ask, what)
