"""Find a machine by what people call it: its name, its place, its UUID."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.translate import escaped, plain
from hypersdk.model.errors import InstanceNotFound, InvalidInput, NotFound

if TYPE_CHECKING:
    from hypersdk.drivers.vsphere.connection import Connection

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: Ids of machines: ``vm-12`` on vCenter, a number on ESXi.
_MOID = re.compile(r"vm-\d+|\d+")
#: Names shown in an error.
_NEAREST = 3
#: Folders above a machine; a limit only for loops in a damaged inventory.
DEPTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is in the inventory."""

    #: Path of the datacenter: ``DC0``, ``europe/DC0``.
    datacenter: str
    #: Below its folder of machines: ``prod/web``; empty: at the top.
    folder: str

    def path(self, name: str) -> str:
        """``DC0/vm/prod/web``"""
        parts = (self.datacenter, "vm", self.folder, escaped(name))
        return "/".join(part for part in parts if part)


class Places:
    """Folders and datacenters as they are now, read in one call."""

    def __init__(self, connection: Connection) -> None:
        kinds = (vim.Folder, vim.Datacenter)
        #: Id → name and the id above it.
        self._above: dict[str, tuple[str, str]] = {}
        self._datacenters: set[str] = set()
        for found, row in connection.collect(kinds, ("name", "parent")):
            parent = row["parent"]
            self._above[found] = (str(row["name"]), moid(parent) if parent else "")
            if found.startswith(("datacenter", "ha-datacenter")):
                self._datacenters.add(found)

    def knows(self, folder: str) -> bool:
        """Whether a folder of this id was there when they were read."""
        return folder in self._above

    def of(self, parent: Any) -> Place:
        """Where something in folder ``parent`` is; nowhere for None (in a vApp, or not for us)."""
        names: list[str] = []
        here = moid(parent) if parent is not None else ""
        for _ in range(DEPTH_MAX):
            if here not in self._above:
                return Place("", "")
            name, above = self._above[here]
            if here in self._datacenters:
                # The last name is that of the datacenter's own folder of machines, ``vm``.
                return Place(self._path(here), "/".join(plain(each) for each in names[-2::-1]))
            names.append(name)
            here = above
        return Place("", "")

    def _path(self, datacenter: str) -> str:
        names: list[str] = []
        here = datacenter
        while here in self._above and len(names) < DEPTH_MAX:
            name, here = self._above[here]
            if here:  # the root folder has nothing above it, and is in no path
                names.append(name)
        return "/".join(reversed(names))


def place(connection: Connection, parent: Any) -> Place:
    """Where a machine in ``parent`` is: asked step by step, which is less than all folders for one
    machine. Nowhere for None (in a vApp, or not for us to see)."""
    names, top = _names(connection, parent, vim.Folder)
    if not isinstance(top, vim.Datacenter):
        return Place("", "")
    # The last name is that of the datacenter's own folder of machines, ``vm``.
    _, path = datacenter_of(connection, top)
    return Place(path, "/".join(plain(each) for each in names[-2::-1]))


def datacenter_of(connection: Connection, thing: Any) -> tuple[Any, str]:
    """The datacenter that something is in, and its path. Raises NotFound."""
    here = thing
    for _ in range(DEPTH_MAX):
        if here is None:
            break
        if isinstance(here, vim.Datacenter):
            row = connection.get(here, "name", "parent")
            above, _top = _names(connection, row["parent"], vim.Folder)
            return here, "/".join([*above[-2::-1], str(row["name"])])
        if isinstance(here, vim.VirtualMachine):
            # One in a vApp has no folder, but always a host.
            row = connection.get(here, "parent", "runtime.host")
            here = row["parent"] or row["runtime.host"]
        else:
            here = connection.get(here, "parent")["parent"]
    raise NotFound(
        f"{moid(thing)} is in no datacenter that this user may see",
        hint="Give the user the right to see the datacenter.",
    )


def _names(connection: Connection, thing: Any, kind: type) -> tuple[list[str], Any]:
    """Names from here upwards as long as they are of a kind, and what comes then."""
    names: list[str] = []
    while isinstance(thing, kind) and len(names) < DEPTH_MAX:
        row = connection.get(thing, "name", "parent")
        names.append(str(row["name"]))
        thing = row["parent"]
    return names, thing


def datacenter(connection: Connection) -> Any:
    """The one that the URL names; None when it names none. Raises NotFound with what there is."""
    wanted = connection.address.datacenter
    if not wanted:
        return None
    index = connection.content.searchIndex
    found = connection.call(
        lambda: index.FindByInventoryPath(wanted), f"find datacenter '{wanted}'"
    )
    if isinstance(found, vim.Datacenter):
        return found
    rows = list(connection.collect(vim.Datacenter, ("name",)))
    for found, row in rows:
        if plain(row["name"]) == wanted:
            return connection.object(vim.Datacenter, found)
    there = ", ".join(sorted(plain(row["name"]) for _, row in rows))
    raise NotFound(
        f"no datacenter '{wanted}' at {connection.address.place}",
        hint=f"There is {there}." if there else "There is none that this user may see.",
    )


def root(connection: Connection) -> Any:
    """Below what machines are looked for: the datacenter's folder of them; None: everywhere."""
    chosen = datacenter(connection)
    return None if chosen is None else connection.get(chosen, "vmFolder")["vmFolder"]


def vm(connection: Connection, name: str) -> Any:
    """See `Connection.vm`."""
    if "/" in name and (found := _by_path(connection, name)) is not None:
        return found
    if _UUID.fullmatch(name) and (found := _by_uuid(connection, name)) is not None:
        return found
    top = connection.root
    rows = list(connection.collect(vim.VirtualMachine, ("name",), top))
    same = [found for found, row in rows if name in (row["name"], plain(row["name"] or ""))]
    if len(same) == 1:
        return connection.object(vim.VirtualMachine, same[0])
    if same:
        raise _ambiguous(connection, name, same)
    if _MOID.fullmatch(name) and any(found == name for found, _ in rows):
        return connection.object(vim.VirtualMachine, name)
    raise _missing(connection, name, [plain(row["name"] or "") for _, row in rows])


def _by_path(connection: Connection, name: str) -> Any:
    """``DC0/vm/prod/web`` as it is, and ``prod/web`` below each datacenter."""
    path = name.strip("/")
    tops = [connection.address.datacenter] if connection.address.datacenter else _tops(connection)
    index = connection.content.searchIndex
    found: dict[str, Any] = {}
    for each in (path, *(f"{top}/vm/{path}" for top in tops)):
        hit = connection.call(partial(index.FindByInventoryPath, each), f"find '{name}'")
        if isinstance(hit, vim.VirtualMachine):
            found[moid(hit)] = hit
    if len(found) > 1:
        raise _ambiguous(connection, name, list(found))
    return next(iter(found.values()), None)


def _tops(connection: Connection) -> list[str]:
    """Paths of all datacenters."""
    places = Places(connection)
    rows = connection.collect(vim.Datacenter, ("vmFolder",))
    return sorted({places.of(row["vmFolder"]).datacenter for _, row in rows if row["vmFolder"]})


def _by_uuid(connection: Connection, uuid: str) -> Any:
    """Instance UUIDs are unique in a vCenter; those of the BIOS are not."""
    chosen = datacenter(connection)
    index = connection.content.searchIndex
    found = connection.call(lambda: index.FindByUuid(chosen, uuid, True, True), f"find '{uuid}'")
    return found if isinstance(found, vim.VirtualMachine) else None


def _ambiguous(connection: Connection, name: str, moids: list[str]) -> InvalidInput:
    places = Places(connection)
    things = [connection.object(vim.VirtualMachine, each) for each in moids]
    rows = connection.many(things, "name", "parent")
    paths = sorted(places.of(row["parent"]).path(plain(row["name"])) for row in rows.values())
    return InvalidInput(
        f"{len(paths)} instances at {connection.address.place} are called '{name}': "
        + ", ".join(paths),
        hint=f"Name one by its path, for example '{paths[0]}'." if paths else "Look again.",
    )


def _missing(connection: Connection, name: str, names: list[str]) -> InstanceNotFound:
    last = name.rpartition("/")[2]  # of a path
    near = difflib.get_close_matches(last, names, n=_NEAREST, cutoff=0.5)
    lower = {each.lower(): each for each in names}
    if not near and last.lower() in lower:
        near = [lower[last.lower()]]
    where = connection.address.datacenter
    return InstanceNotFound(
        f"no instance '{name}' at {connection.address.place}"
        + (f" in datacenter {where}" if where else ""),
        hint=f"Did you mean {', '.join(near)}?"
        if near
        else f"It has {len(names)} instances that this user may see.",
    )
