"""Resource pools: what groups of machines may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.overview import Paths
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.specs import check_name
from hypersdk.drivers.vsphere.translate import escaped, plain
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound
from hypersdk.model.management import UNLIMITED, PoolFacts, Share
from hypersdk.model.units import MIB

_FOUND = ("name", "parent", "owner", "config", "runtime", "vm", "resourcePool")
_AS_IT_IS = Share()
#: Shares that a new pool gets where nobody says another level.
_NORMAL = 4000


class VspherePools:
    """No part of the port: an attribute of `VsphereHypervisor`. Safe in threads.

    Pools are named by their names, or by their paths where a name is there twice.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pools(self) -> Sequence[PoolFacts]:
        """By path, of the datacenter that the URL names or of all."""
        paths = Paths(self._connection)
        found = [_pool(paths.of(each), row) for each, row in self._rows().items()]
        return sorted(found, key=lambda pool: pool.path)

    def create(
        self, name: str, parent: str = "", *, processors: Share = _AS_IT_IS, ram: Share = _AS_IT_IS
    ) -> PoolFacts:
        """``parent``: a pool, or the cluster or host whose root pool it is; empty: the only
        cluster or host there is. Raises AlreadyExists, InvalidInput, NotFound."""
        check_name(name)
        above = self.find(parent) if parent else self._only_root()
        inside = self._connection.get(above, "resourcePool")["resourcePool"] or ()
        names = self._connection.many(inside, "name") if inside else {}
        if escaped(name) in {row["name"] for row in names.values()}:
            raise AlreadyExists(f"there is a pool '{name}' already", hint="Choose another name.")
        spec = vim.ResourceConfigSpec(
            cpuAllocation=_allocation(processors, None, 1),
            memoryAllocation=_allocation(ram, None, MIB),
        )
        made = self._connection.call(
            lambda: above.CreateResourcePool(name=escaped(name), spec=spec),
            f"make the pool '{name}'",
            again=False,
        )
        return self._one(made)

    def change(
        self, name: str, *, processors: Share = _AS_IT_IS, ram: Share = _AS_IT_IS, rename: str = ""
    ) -> PoolFacts:
        """What is None stays as it is. Raises NotFound, InvalidInput."""
        pool = self.find(name)
        now = self._connection.get(pool, "config")["config"]
        spec = vim.ResourceConfigSpec(
            cpuAllocation=_allocation(processors, now.cpuAllocation, 1),
            memoryAllocation=_allocation(ram, now.memoryAllocation, MIB),
        )
        if rename:
            check_name(rename)
        self._connection.call(
            lambda: pool.UpdateConfig(name=escaped(rename) or None, config=spec),
            f"change the pool '{name}'",
        )
        return self._one(pool)

    def delete(self, name: str) -> None:
        """Machines and pools in it go to the pool above. Raises NotFound, InvalidState for the
        root pool of a cluster or host."""
        pool = self.find(name)
        if not isinstance(self._connection.get(pool, "parent")["parent"], vim.ResourcePool):
            raise InvalidState(
                f"'{name}' is the root pool of a cluster or host",
                hint="Pools in it can be deleted.",
            )
        self._connection.task(pool.Destroy_Task, f"delete the pool '{name}'")

    def find(self, name: str) -> Any:
        """The managed object. Raises NotFound with the nearest name, InvalidInput with the paths
        of two of one name."""
        paths = Paths(self._connection)
        places = {each: paths.of(each) for each in self._rows()}
        found = [
            each for each, path in places.items() if name.strip("/") in (path, paths.name(each))
        ]
        found = found or [
            each
            for each, path in places.items()
            if path.endswith("/Resources") and _owner(path, name.strip("/"))
        ]
        if len(found) == 1:
            return self._connection.object(vim.ResourcePool, found[0])
        known = sorted(places.values())
        if found:
            there = ", ".join(sorted(places[one] for one in found))
            raise InvalidInput(
                f"several pools are called '{name}': {there}",
                hint="Name one by its path.",
            )
        near = get_close_matches(name, [*known, *map(paths.name, places)], n=1)
        raise NotFound(
            f"there is no resource pool '{name}'",
            hint=f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}.",
        )

    def _rows(self) -> Mapping[str, dict[str, Any]]:
        top = finding.datacenter(self._connection)
        return dict(self._connection.collect(vim.ResourcePool, _FOUND, top))

    def _only_root(self) -> Any:
        roots = [
            each
            for each, row in self._rows().items()
            if not isinstance(row["parent"], vim.ResourcePool)
        ]
        if len(roots) == 1:
            return self._connection.object(vim.ResourcePool, roots[0])
        paths = Paths(self._connection)
        above = sorted(paths.of(each).removesuffix("/Resources") for each in roots)
        raise InvalidInput(
            "the pool needs a place: there are several clusters and hosts",
            hint=f"Name one of {', '.join(above)}, or a pool in it.",
        )

    def _one(self, pool: Any) -> PoolFacts:
        row = self._connection.get(pool, *_FOUND)
        return _pool(Paths(self._connection).of(moid(pool)), row)


def _owner(path: str, name: str) -> bool:
    """Whether a root pool is that of a cluster or host of this name or path."""
    above = path.removesuffix("/Resources")
    return name in (above, above.rpartition("/")[2])


def _pool(path: str, row: Mapping[str, Any]) -> PoolFacts:
    config, runtime = row["config"], row["runtime"]
    return PoolFacts(
        name=plain(str(row["name"])),
        path=path,
        mhz=int(runtime.cpu.maxUsage or 0) if runtime else 0,
        memory=int(runtime.memory.maxUsage or 0) if runtime else 0,
        processors=_share(config.cpuAllocation, 1),
        ram=_share(config.memoryAllocation, MIB),
        instances=len(row["vm"] or ()),
        pools=len(row["resourcePool"] or ()),
    )


def _share(allocation: Any, unit: int) -> Share:
    limit = UNLIMITED if allocation.limit is None else int(allocation.limit)
    shares = allocation.shares
    return Share(
        reservation=int(allocation.reservation or 0) * unit,
        limit=limit if limit == UNLIMITED else limit * unit,
        expandable=bool(allocation.expandableReservation),
        shares=str(shares.level) if shares else "normal",
        level=int(shares.shares) if shares else _NORMAL,
    )


def _allocation(share: Share, now: Any, unit: int) -> Any:
    """As vSphere takes it: complete, also where only a part changes."""
    old = _share(now, unit) if now is not None else _NEW
    reservation = old.reservation if share.reservation is None else share.reservation
    limit = old.limit if share.limit is None else share.limit
    shares = share.shares or old.shares
    if share.level is not None and shares != "custom":
        raise InvalidInput(
            f"{share.level} shares go with the level custom, not {shares}",
            hint="Say custom, or leave the number out.",
        )
    return vim.ResourceAllocationInfo(
        reservation=(reservation or 0) // unit,
        limit=UNLIMITED if limit in (None, UNLIMITED) else limit // unit,
        expandableReservation=old.expandable if share.expandable is None else share.expandable,
        shares=vim.SharesInfo(
            level=shares, shares=(old.level if share.level is None else share.level) or _NORMAL
        ),
    )


_NEW = Share(reservation=0, limit=UNLIMITED, expandable=True, shares="normal", level=_NORMAL)
