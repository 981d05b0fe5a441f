"""Who uses which disk files: what is shared must not go with one machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid


def files_of(layout: Iterable[Any] | None) -> frozenset[str]:
    """Files of all disks of a ``layout.disk``, those that they are based on included."""
    return frozenset(file for disk in layout or () for file in disk.diskFile or ())


def own_files(layout: Iterable[Any] | None) -> frozenset[str]:
    """Without those of another machine that linked clones are based on: a chain is a machine's own
    as far as it lies in one folder."""
    found: set[str] = set()
    for disk in layout or ():
        files = list(disk.diskFile or ())
        for file in files:
            if file.rpartition("/")[0] != files[0].rpartition("/")[0]:
                break
            found.add(file)
    return frozenset(found)


def users(connection: Connection, vm: Any) -> dict[str, frozenset[str]]:
    """Other machines that use disk files of this one, or are based on them: name → files.

    Looks at the machines that share a datastore with it, as far as we may see them.
    """
    found = connection.get(vm, "layout.disk", "datastore")
    mine = own_files(found["layout.disk"])
    places = connection.many(found["datastore"] or (), "vm") if mine else {}
    others = {
        moid(other): other
        for place in places.values()
        for other in place["vm"] or ()
        if moid(other) != moid(vm)
    }
    rows = connection.many(list(others.values()), "name", "layout.disk")
    shared = {row["name"]: files_of(row["layout.disk"]) & mine for row in rows.values()}
    return {name: files for name, files in shared.items() if files}
