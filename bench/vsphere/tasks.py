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

#: What a list shows of a machine.
TWELVE = (
    "name", "runtime.powerState", "runtime.connectionState", "config.instanceUuid",
    "config.hardware.numCPU", "config.hardware.memoryMB", "config.template", "config.guestId",
    "config.files.vmPathName", "guest.toolsRunningStatus", "runtime.host", "parent",
)  # fmt: skip
#: Seconds in which a change must be heard of.
_LONGEST = 60.0

Result = dict[str, float]


def export(url: str, name: str, folder: str) -> Result:
    """All disks of a machine, with checksums. ``cpu``: seconds of processor of the export alone,
    all threads: reading, unpacking and comparing, writing, digests and fsync; without the
    interpreter's start, imports and logging in."""
    with closing(hypersdk.connect(url)) as hypervisor:
        began = time.process_time()
        hypersdk.export_instance(hypervisor, name, Path(folder))
        return {"cpu": time.process_time() - began}


def batch(
    url: str, folder: str, total: str, per_host: str, per_datastore: str, *names: str
) -> Result:
    """Several machines, so many at once."""
    limits = hypersdk.BatchLimits(
        total=int(total), per_host=int(per_host), per_datastore=int(per_datastore)
    )
    with closing(hypersdk.connect(url)) as hypervisor:
        report = hypersdk.export_batch(hypervisor, names, Path(folder), limits=limits)
    failed = [item for item in report.items if item.error is not None]
    if failed:
        raise failed[0].error or RuntimeError(failed[0].name)
    return {"exported": float(len(report.items))}


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


def lists(url: str, password: str, turn: str) -> Result:
    """Lists of all machines by us and by the library, in turn: twelve properties each, and what
    our inventory asks for with what it makes of it. ``first``: seconds to its first machine."""
    # The library is what this task needs, and what others shall not pay for.
    from hypersdk.drivers.vsphere.driver import connect  # noqa: PLC0415
    from hypersdk.drivers.vsphere.translate import LISTED  # noqa: PLC0415

    with closing(connect(url)) as vsphere, closing(_Library(url, password)) as library:
        kind = library.kind
        first = _cost(lambda: next(iter(vsphere.inventory.instances())))[0]
        works: list[tuple[str, Callable[[], object]]] = [
            ("twelve", lambda: list(vsphere.connection.collect(kind, TWELVE))),
            ("raw_twelve", lambda: library.list(TWELVE)),
            ("instances", lambda: list(vsphere.inventory.instances())),
            ("raw_listed", lambda: library.list(LISTED)),
        ]
        turned = works[::-1] if int(turn) % 2 else works
        costs = {name: _cost(work) for name, work in turned}
        count = library.list(("name",))
    seconds = {name: cost[0] for name, cost in costs.items()}
    processor = {f"{name}_cpu": cost[1] for name, cost in costs.items()}
    return {**seconds, **processor, "first": first, "machines": count}


def updates(url: str, changes: str, turn: str) -> Result:
    """Follow all machines, change one again and again: seconds from the moment vSphere is asked to
    change it until we are told. The time that the vCenter needs to change it is in it."""
    from hypersdk.drivers.vsphere.driver import connect  # noqa: PLC0415 - as above

    name = f"DC0_C0_RP0_VM{17 + int(turn)}"
    found: list[float] = []
    with closing(hypersdk.connect(url)) as watching, closing(connect(url)) as changing:
        assert watching.events is not None
        machine = changing.connection.vm(name)
        began = time.perf_counter()
        with watching.events.follow() as following:
            follow = time.perf_counter() - began
            machines = float(len(following.instances()))
            for number in range(int(changes)):
                change = machine.PowerOnVM_Task if number % 2 else machine.PowerOffVM_Task
                began = time.perf_counter()
                change()
                event = following.next(_LONGEST)
                found.append(time.perf_counter() - began)
                assert event is not None
                assert event.name == name
                while following.next(0.2) is not None:
                    pass  # now all of it was told
            machine.PowerOnVM_Task()
    return {
        "median": median(found), "longest": max(found), "follow": follow, "machines": machines,
    }  # fmt: skip


def _cost(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and those of this process's processor time."""
    began, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - processor


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

    @property
    def kind(self) -> Any:
        """Of virtual machines."""
        return self._vim.VirtualMachine

    def list(self, properties: tuple[str, ...]) -> int:
        """How many machines there are, after their properties were read."""
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
            propSet=[query.PropertySpec(type=self._vim.VirtualMachine, pathSet=list(properties))],
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
    "batch": batch,
    "make_repository": make_repository,
    "backup": backup,
    "lists": lists,
    "updates": updates,
}


def main() -> None:
    began = time.perf_counter()
    result = TASKS[sys.argv[1]](*sys.argv[2:])
    print(dumps({**result, "inside": time.perf_counter() - began}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
