"""Which machines there are: few plain properties of all, everything of one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import concerning
from hypersdk.drivers.vsphere.properties import PAGE, moid
from hypersdk.model.instances import Instance

#: Machines in the first page, so that something is on a screen at once.
_FIRST_PAGE = 100
#: Pages that are asked for while an earlier one is read: vSphere works while we take its answer
#: apart.
_AHEAD = 2
#: The names are known by then: they give the order.
_BESIDES_NAME = tuple(each for each in translate.LISTED if each != "name")


class VsphereInventory:
    """Asks vSphere each time. May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def instances(self) -> Iterator[Instance]:
        """All of the datacenter that the URL names, of all when it names none; by name, and page
        by page as they are read, a little ahead of who takes them. Machines that were removed
        meanwhile are left out.

        ``disks`` is empty: of ten thousand machines they take four times as long as all the rest;
        `instance` has them. ``tags`` are read of machines that HyperSDK made.
        """
        connection = self._connection
        top = connection.root
        places = finding.Places(connection)
        names = connection.collect(vim.VirtualMachine, ("name",), top)
        rows = {found: str(row["name"] or found) for found, row in names}
        names_of = dict(sorted(rows.items(), key=lambda each: (translate.plain(each[1]), each[0])))
        for page, known in self._ahead(list(names_of)):
            for found in page:
                if (row := known.get(found)) is not None:
                    row["name"] = names_of[found]
                    folder = places.of(row["parent"]).folder
                    yield translate.instance(found, row, folder=folder)

    def instance(self, name: str) -> Instance:
        """By name, path, UUID or managed object id (`Connection.vm`); with its disks and tags."""
        with concerning(f"'{name}'"):
            return self.of(self._connection.vm(name))

    def of(self, machine: Any) -> Instance:
        """The instance that a ``vim.VirtualMachine`` is. Raises InstanceNotFound."""
        row = self._connection.get(machine, *translate.DESCRIBED)
        where = finding.place(self._connection, row["parent"])
        return translate.instance(moid(machine), row, folder=where.folder)

    def _ahead(
        self, moids: Sequence[str]
    ) -> Iterator[tuple[Sequence[str], Mapping[str, dict[str, Any]]]]:
        """Each page of machines, and what was read of them. Nothing competes with the first."""
        pages = _pages(moids)
        for page in islice(pages, 1):
            yield page, self._rows(page)
        asked: deque[tuple[Sequence[str], Future[Mapping[str, dict[str, Any]]]]] = deque()
        pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="vsphere-list")
        try:
            for page in pages:
                # The token in force where the list is read counts there as well.
                asked.append((page, pool.submit(copy_context().run, self._rows, page)))
                if len(asked) > _AHEAD:
                    first, rows = asked.popleft()
                    yield first, rows.result()
            for first, rows in asked:
                yield first, rows.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _rows(self, moids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        things = [self._connection.object(vim.VirtualMachine, each) for each in moids]
        rows = self._connection.many(things, *_BESIDES_NAME)
        ours = [
            thing
            for each, thing in zip(moids, things, strict=True)
            if each in rows and rows[each][translate.OWNED_PATH]
        ]
        for found, settings in self._connection.many(ours, "config.extraConfig").items():
            rows[found].update(settings)
        return rows


def _pages(moids: Sequence[str]) -> Iterator[Sequence[str]]:
    start, size = 0, _FIRST_PAGE
    while start < len(moids):
        yield moids[start : start + size]
        start, size = start + size, PAGE
