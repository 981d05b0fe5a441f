"""What the measured processes do: one task per process, through the public API.

Each prints one JSON object with ``inside``, the seconds without the interpreter's start.
Usage: ``python -m bench.vsphere.tasks TASK ARGUMENTS…``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from json import dumps
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import hypersdk
from bench.contender import PASSPHRASE

#: What a list shows of a machine; our driver asks for as many.
PROPERTIES = (
    "name", "runtime.powerState", "runtime.connectionState", "config.instanceUuid",
    "config.hardware.numCPU", "config.hardware.memoryMB", "config.template", "config.guestId",
    "config.files.vmPathName", "guest.toolsRunningStatus", "runtime.host", "parent",
)  # fmt: skip
#: Lists by each in turn; the median counts.
_LISTS = 3

Result = dict[str, float]


def export(url: str, name: str, folder: str) -> Result:
    """All disks of a machine, with checksums."""
    with closing(hypersdk.connect(url)) as hypervisor:
        hypersdk.export_instance(hypervisor, name, Path(folder))
    return {}


def make_repository(location: str) -> Result:
    """An empty repository, encrypted under a passphrase."""
    hypersdk.init_repository(location, protect=hypersdk.Protect.passphrase(PASSPHRASE)).close()
    return {}


def backup(url: str, name: str, location: str, cache: str) -> Result:
    """Back up a machine: in full the first time, then by its changed areas."""
    with (
        closing(hypersdk.connect(url)) as hypervisor,
        closing(
            hypersdk.open_repository(
                location, key=hypersdk.Key.passphrase(PASSPHRASE), cache=Path(cache)
            )
        ) as repository,
    ):
        point = hypersdk.backup_instance(repository, hypervisor, name)
    found = point.disks[0].statistics
    return {"incremental": float(point.disks[0].incremental), "read": found.read}


def lists(url: str, password: str) -> Result:
    """Our list of all machines, and that of the library with the same properties."""
    ours: list[float] = []
    raw: list[float] = []
    with closing(hypersdk.connect(url)) as hypervisor, closing(_Library(url, password)) as library:
        assert hypervisor.inventory is not None
        inventory = hypervisor.inventory
        first = _seconds(lambda: next(iter(inventory.instances())))
        for _ in range(_LISTS):
            ours.append(_seconds(lambda: list(inventory.instances())))
            raw.append(_seconds(library.list))
        count = len(list(inventory.instances()))
    return {"ours": median(ours), "raw": median(raw), "first": first, "machines": count}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class _Library:
    """pyVmomi, with one container view and named properties: the least that a list needs."""

    def __init__(self, url: str, password: str) -> None:
        import ssl  # noqa: PLC0415 - only this task needs it

        import pyVmomi  # noqa: PLC0415
        from pyVim import connect  # noqa: PLC0415

        self._vim: Any = pyVmomi.vim
        self._vmodl: Any = pyVmomi.vmodl
        parts = urlsplit(url)
        self._connect: Any = connect
        self._instance = self._connect.SmartConnect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            pwd=password,
            sslContext=ssl._create_unverified_context(),  # noqa: S323, SLF001 - the lab's own
        )

    def list(self) -> int:
        content = self._instance.content
        view = content.viewManager.CreateContainerView(
            content.rootFolder, [self._vim.VirtualMachine], True
        )
        query = self._vmodl.query.PropertyCollector
        walk = query.TraversalSpec(
            name="view", path="view", skip=False, type=self._vim.view.ContainerView
        )
        spec = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
            propSet=[query.PropertySpec(type=self._vim.VirtualMachine, pathSet=list(PROPERTIES))],
        )
        collector = content.propertyCollector
        page = collector.RetrievePropertiesEx([spec], query.RetrieveOptions())
        count = 0
        while page is not None:
            count += len(page.objects)
            page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
        view.Destroy()
        return count

    def close(self) -> None:
        self._connect.Disconnect(self._instance)


TASKS: Mapping[str, Callable[..., Result]] = {
    "export": export,
    "make_repository": make_repository,
    "backup": backup,
    "lists": lists,
}


def main() -> None:
    began = time.perf_counter()
    result = TASKS[sys.argv[1]](*sys.argv[2:])
    print(dumps({**result, "inside": time.perf_counter() - began}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
